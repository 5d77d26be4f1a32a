"""One trace follows a bundle through the real processes, and another one a job; over HTTP to a collector."""

import pytest

from shared.catalog.bundles import PAGE_FILES
from shared.checksums import MIB
from tests.support.api import Api, new_uuid, now, put_bundle, put_file
from tests.support.clouds import Clouds
from tests.support.collector import Collector
from tests.support.copies import distinct_bytes
from tests.support.subscriber import subscriber

PUT, ORDER = "PUT /v1/bundles/<uuid>", "POST /v1/bundles/<uuid>/checkout"


@pytest.fixture(scope="module")
def api(whole_system: dict[str, str]) -> Api:
    return Api(whole_system["DSS_URL"], whole_system["DSS_TOKEN"])


@pytest.fixture(scope="module")
def clouds(whole_system: dict[str, str]) -> Clouds:
    return Clouds(whole_system)


def test_the_trace_of_a_put_goes_on_until_the_bundle_is_in_both_clouds_and_delivered(
    api: Api, clouds: Clouds, spans: Collector, replica: str
) -> None:
    file = put_file(api, clouds.stage(replica, b"{}", content_type="application/json"))
    uuid = new_uuid()
    with subscriber() as server:
        wanted = {"callback_url": server.url("/ok"), "jmespath_query": f"bundle_info.uuid == '{uuid}'"}
        assert api.put("/v1/subscriptions", replica=replica, json=wanted).status_code == 201
        body = {"files": [file.named("a.json", indexed=True)], "creator_uid": 1}
        answer = api.put(f"/v1/bundles/{uuid}", replica=replica, version=now(), json=body)
        assert answer.status_code == 201, answer.text
        server.wait(lambda: server.calls_of("/ok"))

        found = spans.wait_for(answer.headers["X-Request-Id"], PUT, "sync", "index", "notify", "deliveries")
    [put] = [span for span in found if span.name == PUT]
    by_id = {span.span: span for span in found}
    assert put.parent == ""
    # The object event names no trace: the head does.
    assert {span.parent for span in found if span.name in ("sync", "index")} == {put.span}
    assert {by_id[span.parent].name for span in found if span.name == "notify"} == {"index"}
    assert {by_id[span.parent].name for span in found if span.name == "deliveries"} == {"notify"}
    # Each process has a name of its own there.
    assert {(span.name, span.service) for span in found} >= {
        (PUT, "dss-api"),
        ("sync", "dss-sync"),
        ("index", "dss-index"),
        ("notify", "dss-notify"),
        ("deliveries", "dss-deliver"),
    }


def test_the_steps_of_a_checkout_are_in_the_trace_of_its_order(
    api: Api, clouds: Clouds, spans: Collector
) -> None:
    file = put_file(api, clouds.stage("gcp", b"checked out"))
    # So many that each page of them is a step.
    bundle = put_bundle(api, "gcp", [file.named(str(number)) for number in range(PAGE_FILES + 1)])

    answer = api.post(f"/v1/bundles/{bundle.uuid}/checkout", replica="gcp", version=bundle.version)

    assert answer.status_code == 200, answer.text
    steps = "checkout plan", "checkout page", "checkout finish"
    found = spans.wait_for(answer.headers["X-Request-Id"], ORDER, *steps)
    [order] = [span for span in found if span.name == ORDER]
    assert {span.parent for span in found if span.name.startswith("checkout")} == {order.span}


def test_the_steps_of_a_large_copy_are_in_the_trace_of_the_put(
    api: Api, clouds: Clouds, spans: Collector
) -> None:
    source = clouds.stage("gcp", distinct_bytes(17 * MIB))
    answer = api.put(f"/v1/files/{new_uuid()}", version=now(), json={"source_url": source, "creator_uid": 1})

    assert answer.status_code == 202, answer.text
    steps = "copy plan", "copy verify", "copy finish"
    spans.wait_for(answer.headers["X-Request-Id"], "PUT /v1/files/<uuid>", *steps)
