"""Bundles are checked out by the workflow: whole and proved, to the checkout bucket or to one's own."""

from datetime import UTC, datetime, timedelta

import pytest

from local.api import api_process
from shared.catalog import Catalog, CheckoutOrder, Database
from shared.clock import SystemClock
from shared.identifiers import Fqid, Kind
from tests.support.api import Api, Version, assert_problem, new_uuid, put_bundle, put_file
from tests.support.checkouts import await_checkout, check_out, read_objects, user_bucket
from tests.support.clouds import REPLICAS, Clouds
from tests.support.dss import firestore_client
from tests.support.waiting import wait_until

CONTENTS = {"a.txt": b"first", "b/c.json": b'{"second": 2}', "empty": b""}
TYPES = {"a.txt": "text/plain", "b/c.json": "application/json", "empty": "application/octet-stream"}
SCHEMES = {"gcp": "gs", "aws": "s3"}


@pytest.fixture(scope="module")
def clouds(whole_system: dict[str, str]) -> Clouds:
    return Clouds(whole_system)


@pytest.fixture(scope="module")
def api(whole_system: dict[str, str]) -> Api:
    return Api(whole_system["DSS_URL"], whole_system["DSS_TOKEN"])


@pytest.fixture
def bundle(api: Api, clouds: Clouds, replica: str) -> Version:
    """A bundle of one file on the replica in turn."""
    return put_bundle(api, replica, [put_file(api, clouds.stage(replica, b"content")).named("a")])


@pytest.fixture
def various(api: Api, clouds: Clouds, replica: str) -> Version:
    """A bundle of a few small files on the replica in turn."""
    files = [
        put_file(api, clouds.stage(replica, data, content_type=TYPES[name])).named(name)
        for name, data in CONTENTS.items()
    ]
    return put_bundle(api, replica, files)


def test_a_bundle_is_checked_out_to_the_checkout_bucket(
    api: Api, clouds: Clouds, replica: str, various: Version
) -> None:
    status = await_checkout(api, replica, check_out(api, replica, various))

    bucket, prefix = clouds.checkout[replica], f"bundles/{various}"
    assert status == {
        "status": "SUCCEEDED",
        "location": f"{SCHEMES[replica]}://{bucket}/{prefix}",
        "files": 3,
        "files_done": 3,
        "bytes": 18,
        "bytes_done": 18,
    }
    assert read_objects(clouds, replica, bucket, prefix) == {
        f"{prefix}/{name}": (data, TYPES[name]) for name, data in CONTENTS.items()
    }


def test_names_with_empty_and_hidden_steps_are_checked_out_as_they_are(
    api: Api, clouds: Clouds, replica: str
) -> None:
    names = ["path.json2/", "a//b", "counts/.zarray", "a./b", "n" * 255 + "/n"]
    file = put_file(api, clouds.stage(replica, b"content"))
    bundle = put_bundle(api, replica, [file.named(name) for name in names])

    status = await_checkout(api, replica, check_out(api, replica, bundle))

    assert (status["status"], status["files_done"]) == ("SUCCEEDED", len(names))
    prefix = f"bundles/{bundle}"
    found = read_objects(clouds, replica, clouds.checkout[replica], prefix)
    assert {key: data for key, (data, _) in found.items()} == {
        f"{prefix}/{name}": b"content" for name in names
    }


def test_a_bundle_is_checked_out_to_ones_own_bucket(
    api: Api, clouds: Clouds, replica: str, bundle: Version
) -> None:
    bucket = user_bucket(clouds, replica)

    status = await_checkout(api, replica, check_out(api, replica, bundle, destination=bucket))

    assert status["location"] == f"{SCHEMES[replica]}://{bucket}/bundles/{bundle}"
    assert len(read_objects(clouds, replica, bucket, f"bundles/{bundle}/")) == 1


def test_who_asks_twice_or_at_once_joins(api: Api, replica: str, bundle: Version) -> None:
    ids = {check_out(api, replica, bundle, version=version) for version in (None, bundle.version)}

    [job_id] = ids
    assert await_checkout(api, replica, job_id)["status"] == "SUCCEEDED"
    assert check_out(api, replica, bundle) == job_id
    assert await_checkout(api, replica, job_id)["status"] == "SUCCEEDED"


@pytest.mark.parametrize("replica", ["gcp"])
def test_no_more_are_under_way_at_once_than_may_be(
    whole_system: dict[str, str], api: Api, clouds: Clouds, bundle: Version, replica: str
) -> None:
    client = firestore_client(whole_system)
    catalog = Catalog(Database(client, replicas=REPLICAS, clock=SystemClock()))
    order = CheckoutOrder(
        kind=Kind.BUNDLE,
        fqid=Fqid(bundle.uuid, bundle.version),
        replica=replica,
        bucket=clouds.checkout[replica],
    )
    other = put_bundle(api, replica, [put_file(api, clouds.stage(replica, b"other")).named("a")])
    path = f"/v1/bundles/{other.uuid}"
    # One that nobody works on: nobody has asked the system for it yet.
    job = catalog.checkouts.begin(order, at_most=1000)
    with api_process(whole_system, {"DSS_CHECKOUTS_AT_ONCE": "1"}) as process:
        strict = Api(process.url, api.token)
        for full in (
            strict.post(f"{path}/checkout", replica=replica),
            strict.get(path, replica=replica, directurls=True),
        ):
            assert_problem(full, 503, "service_unavailable", "1 checkouts")
            assert full.headers["Retry-After"] == "60"
        # Who joins one, or takes up one that was left, begins no other.
        long_ago = datetime.now(UTC) - timedelta(hours=2)
        client.document(f"checkout_jobs/{job.id}").update({"touched": long_ago})
        assert check_out(strict, replica, bundle) == check_out(strict, replica, bundle) == job.id
        assert await_checkout(strict, replica, job.id)["status"] == "SUCCEEDED"
        wait_until(
            lambda: strict.post(f"{path}/checkout", replica=replica).status_code == 200, "there is room", 60
        )


def test_what_cannot_be_checked_out_is_refused(api: Api, replica: str, bundle: Version) -> None:
    path = f"/v1/bundles/{bundle.uuid}/checkout"
    for destination in ("a/b", "", "-", "gs://bucket", "x" * 300, "\u00fcber"):
        answer = api.post(path, replica=replica, json={"destination": destination})
        assert_problem(answer, 400, "illegal_arguments", "destination")
    assert_problem(api.post(f"/v1/bundles/{new_uuid()}/checkout", replica=replica), 404, "not_found")
    assert_problem(api.get(f"/v1/bundles/checkout/{new_uuid()}", replica=replica), 404, "not_found")


def test_a_job_is_known_on_its_replica_only(api: Api, replica: str, bundle: Version) -> None:
    job_id = check_out(api, replica, bundle)
    other = {"gcp": "aws", "aws": "gcp"}[replica]
    assert_problem(api.get(f"/v1/bundles/checkout/{job_id}", replica=other), 404, "not_found")
