"""Subscribers are notified of every match until they answer, independently of other subscribers."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.issuer.client import request_token
from tests.support.api import Api, Version, assert_problem, new_uuid, now, put_bundle, put_file
from tests.support.clouds import Clouds
from tests.support.subscriber import RecordedRequest, Subscriber, subscriber

CELL = {"name": "a cell", "age": 3}
REASON = {"reason": "withdrawn"}
OTHER = {"gcp": "aws", "aws": "gcp"}
# What misbehaves does it for as long as the test runs; these are the words of the subscriber for how.
MISBEHAVIOURS = ("hang", "500", "redirect", "reset")


@pytest.fixture(scope="module")
def server() -> Iterator[Subscriber]:
    """A subscriber of many."""
    with subscriber() as running:
        yield running


@pytest.fixture
def whole_api(whole_system: dict[str, str]) -> Api:
    """The API of the whole system, asked by somebody who has no subscriptions yet."""
    return Api(whole_system["DSS_URL"], request_token(whole_system, f"{new_uuid()}@example.org", "dss"))


@pytest.fixture
def whole_admin(whole_system: dict[str, str]) -> Api:
    """The API of the whole system, asked by an admin."""
    return Api(whole_system["DSS_URL"], whole_system["DSS_ADMIN_TOKEN"])


@pytest.fixture(scope="module")
def whole_clouds(whole_system: dict[str, str]) -> Clouds:
    """Both clouds of the whole system."""
    return Clouds(whole_system)


def subscribe(api: Api, replica: str, url: str, **wanted: Any) -> str:
    """Return the UUID of a new subscription."""
    answer = api.put("/v1/subscriptions", replica=replica, json={"callback_url": url, **wanted})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["uuid"])


def only(bundle: str) -> str:
    """Return the JMESPath that is true of the events of one bundle."""
    return f"bundle_info.uuid == '{bundle}'"


def cell_of(api: Api, clouds: Clouds, replica: str, cell: dict[str, Any] = CELL) -> dict[str, Any]:
    """Return a JSON file on the replica, as an item of a bundle."""
    source = clouds.stage(replica, json.dumps(cell).encode(), content_type="application/json")
    return put_file(api, source).named("cell.json", indexed=True)


def deliveries(api: Api, replica: str, uuid: str) -> list[dict[str, Any]]:
    """Return what was sent to a subscription, the newest first."""
    answer = api.get(f"/v1/subscriptions/{uuid}/deliveries", replica=replica)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["deliveries"]
    return found


def without_attempt(call: RecordedRequest) -> dict[str, Any]:
    """Return what a call said, but for which attempt it was."""
    return {name: value for name, value in call.json.items() if name != "attempt"}


def test_subscribers_are_notified_of_bundles_and_tombstones_on_their_replica(
    whole_api: Api,
    whole_admin: Api,
    whole_clouds: Clouds,
    server: Subscriber,
    whole_system: dict[str, str],
    replica: str,
) -> None:
    api, uuid, path = whole_api, new_uuid(), f"/ok/{new_uuid()}"
    ended = subscribe(api, replica, server.url(f"{path}/ended"), jmespath_query=only(uuid))
    everywhere = {
        name: subscribe(api, name, server.url(f"{path}/{name}"), jmespath_query=only(uuid))
        for name in (replica, OTHER[replica])
    }
    with_cells = subscribe(
        api,
        replica,
        server.url(f"{path}/cells"),
        es_query={
            "query": {
                "bool": {
                    "must": [{"range": {"files.cell_json.age": {"gt": 2}}}, {"term": {"uuid.keyword": uuid}}]
                }
            }
        },
        attachments={
            "cells": {"type": "jmespath", "expression": "files.cell_json"},
            "wrong": {"type": "jmespath", "expression": "abs(files)"},
        },
        method="PUT",
    )
    subscribe(api, replica, server.url(f"{path}/others"), jmespath_query=only(new_uuid()))
    assert api.delete(f"/v1/subscriptions/{ended}", replica=replica).status_code == 200

    bundle = put_bundle(api, replica, [cell_of(api, whole_clouds, replica)], bundle=Version(uuid, now()))

    for name, subscription in everywhere.items():
        [call] = server.wait_for(f"{path}/{name}")
        api_url = f"{whole_system['DSS_URL']}/v1"
        assert call.json == {
            "transaction_id": call.json["transaction_id"],
            "subscription_id": subscription,
            "event_id": call.json["event_id"],
            "event_type": "CREATE",
            "event_timestamp": call.json["event_timestamp"],
            "dss_api": api_url,
            "bundle_url": f"{api_url}/bundles/{uuid}?replica={name}&version={bundle.version}",
            "match": {"bundle_uuid": uuid, "bundle_version": bundle.version},
            "jmespath_query": only(uuid),
            "attempt": 1,
        }
        assert api.get(call.json["bundle_url"]).status_code == 200
    [call] = server.wait_for(f"{path}/cells")
    assert (call.method, call.json["subscription_id"]) == ("PUT", with_cells)
    assert call.json["attachments"]["cells"] == [CELL]
    assert list(call.json["attachments"]["_errors"]) == ["wrong"]
    assert "es_query" in call.json
    assert "jmespath_query" not in call.json

    second = put_bundle(api, replica, [], bundle=Version(uuid, now()))
    server.wait_for(f"{path}/{replica}", 2)
    server.wait_for(f"{path}/{OTHER[replica]}", 2)
    deleted = whole_admin.delete(f"/v1/bundles/{uuid}", replica=replica, version=bundle.version, json=REASON)
    assert deleted.status_code == 200
    server.wait_for(f"{path}/{replica}", 3)
    assert whole_admin.delete(f"/v1/bundles/{uuid}", replica=replica, json=REASON).status_code == 200

    expected = [
        ("CREATE", bundle.version),
        ("CREATE", second.version),
        ("TOMBSTONE", bundle.version),
        ("TOMBSTONE", second.version),
    ]
    for name in everywhere:
        calls = server.wait_for(f"{path}/{name}", 4)
        notified = [(call.json["event_type"], call.json["match"]["bundle_version"]) for call in calls]
        # Once for each version that was not hidden before.
        assert sorted(notified) == sorted(expected)
        assert len({call.json["event_id"] for call in calls}) == 4
    assert not server.calls_of(f"{path}/ended")
    assert not server.calls_of(f"{path}/others")


def test_a_failed_notification_is_retried_until_delivered_and_can_be_replayed(
    whole_api: Api, whole_clouds: Clouds, server: Subscriber, replica: str = "gcp"
) -> None:
    api, uuid, path = whole_api, new_uuid(), f"/ok/{new_uuid()}"
    server.answers[path] = 500
    began = now()
    subscription = subscribe(
        api,
        replica,
        server.url(path),
        jmespath_query=only(uuid),
        hmac_secret_key="secret",
        attachments={"cells": {"type": "jmespath", "expression": "files.cell_json"}},
    )
    bundle = put_bundle(api, replica, [cell_of(api, whole_clouds, replica)], bundle=Version(uuid, now()))

    server.wait_for(path, 2)
    [failing] = deliveries(api, replica, subscription)
    assert (failing["state"], failing["status"]) == ("failing", 500)
    assert failing["next_try"] > failing["last_attempt"] >= failing["created"] > began
    assert "500" in failing["reason"]
    del server.answers[path]

    def delivered() -> Any:
        found = deliveries(api, replica, subscription)
        return [one for one in found if one["state"] == "delivered"]

    [shown] = server.wait(delivered)
    calls = server.calls_of(path)
    assert [call.json["attempt"] for call in calls] == list(range(1, len(calls) + 1))
    assert all(without_attempt(call) == without_attempt(calls[0]) for call in calls)
    assert all('keyId="hca-dss:' + subscription in call.headers["authorization"] for call in calls)
    assert (shown["attempts"], shown["status"]) == (len(calls), 200)
    assert shown["match"] == {"bundle_uuid": uuid, "bundle_version": bundle.version}
    assert shown["event_id"] == calls[0].json["event_id"]
    assert shown.keys().isdisjoint({"reason", "next_try"})

    # All that was missed comes again, and is what it was.
    replayed = api.post(f"/v1/subscriptions/{subscription}/replay", replica=replica, from_date=began)
    assert replayed.status_code == 202, replayed.text
    again = server.wait_for(path, len(calls) + 1)[-1]
    assert without_attempt(again) == without_attempt(calls[0])
    assert again.json["attempt"] == len(calls) + 1
    [shown] = server.wait(delivered)
    assert shown["replay_id"] == replayed.json()["replay_id"]

    # Of a time after that nothing comes; a sample does, by the same way.
    later = api.post(f"/v1/subscriptions/{subscription}/replay", replica=replica, from_date=now())
    assert later.status_code == 202
    sample = api.post(f"/v1/subscriptions/{subscription}/test", replica=replica)
    assert sample.status_code == 202
    call = server.wait_for(path, len(calls) + 2)[-1]
    assert (call.json["event_type"], call.json["event_id"]) == ("TEST", sample.json()["event_id"])
    assert call.json["attachments"] == {"cells": None}
    assert 'algorithm="hmac-sha256"' in call.headers["authorization"]
    pages = list(api.pages(f"/v1/subscriptions/{subscription}/deliveries", replica=replica, per_page=10))
    server.wait(
        lambda: [one["event_type"] for one in deliveries(api, replica, subscription)] == ["TEST", "CREATE"]
    )
    assert [page.status_code for page in pages] == [200]


def test_deliveries_are_paged_and_private_to_the_owner(
    whole_api: Api, whole_system: dict[str, str], server: Subscriber, replica: str = "aws"
) -> None:
    api, path = whole_api, f"/ok/{new_uuid()}"
    subscription = subscribe(api, replica, server.url(path), jmespath_query=only(new_uuid()))
    where = f"/v1/subscriptions/{subscription}"
    events = [api.post(f"{where}/test", replica=replica).json()["event_id"] for _ in range(12)]
    server.wait(lambda: len(deliveries(api, replica, subscription)) == 12)

    pages = list(api.pages(f"{where}/deliveries", replica=replica, per_page=10))

    assert [len(page.json()["deliveries"]) for page in pages] == [10, 2]
    assert pages[0].headers["X-OpenAPI-Paginated-Content-Key"] == "deliveries"
    shown = [one for page in pages for one in page.json()["deliveries"]]
    assert sorted(one["event_id"] for one in shown) == sorted(events)
    assert [one["created"] for one in shown] == sorted((one["created"] for one in shown), reverse=True)
    stranger = api.signed_in(whole_system["DSS_TOKEN2"])
    for answer in (
        stranger.get(f"{where}/deliveries", replica=replica),
        stranger.post(f"{where}/test", replica=replica),
        stranger.post(f"{where}/replay", replica=replica, from_date=now()),
        api.get(f"{where}/deliveries", replica=OTHER[replica]),
        api.post(f"/v1/subscriptions/{new_uuid()}/test", replica=replica),
    ):
        assert_problem(answer, 404, "not_found")
    for token in ("", "x", f"{now()},", f",{new_uuid()}", f"x,{new_uuid()}"):
        answer = api.get(f"{where}/deliveries", replica=replica, search_after=token)
        assert answer.status_code == (400 if token else 200), answer.text
    assert_problem(api.post(f"{where}/replay", replica=replica, from_date="x"), 400, "illegal_version")


def test_a_bad_subscriber_delays_nobody_else(
    whole_api: Api, server: Subscriber, replica: str = "gcp"
) -> None:
    api, uuid, run = whole_api, new_uuid(), new_uuid()
    good = [f"/ok/{run}/{number}" for number in range(24)]
    # Were they called without regard to each other, those that hang would occupy all 16 threads of `deliver`.
    bad = [f"/{MISBEHAVIOURS[number % 4]}/{run}/{number}" for number in range(16)]
    # The bad ones first, and among the others.
    for path in (*bad[:8], *good[:12], *bad[8:], *good[12:]):
        subscribe(api, replica, server.url(path), jmespath_query=only(uuid))

    versions = [put_bundle(api, replica, [], bundle=Version(uuid, now())).version for _ in range(4)]

    def of(path: str) -> set[str]:
        return {call.json["match"]["bundle_version"] for call in server.calls_of(path)}

    server.wait(lambda: all(of(path) == set(versions) for path in good), seconds=120)
    # The bad subscribers have been called, and their notifications are not lost; none has received all.
    assert all(server.calls_of(path) for path in bad)
    assert all(len(server.calls_of(path)) == len(versions) for path in good)
