"""`notify`, as a process: who matches gets a delivery, the same one each time; replays; kills."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from local.issuer.client import request_token
from shared.bindings import change_binding
from shared.catalog import Catalog, Database
from shared.clock import SystemClock
from shared.events.publishing import event_of
from shared.faults import FAULT_POINTS
from shared.identifiers import Fqid, document_key, moment_of
from shared.messages import DELIVERIES, DELIVERY_RETRIES, REPLAYS, BundleEvent
from shared.purges.records import declare, new_purge
from shared.system import Dss
from tests.support.api import Api, new_uuid, now
from tests.support.clouds import REPLICAS, Clouds
from tests.support.dss import firestore_client, open_dss_for_threads
from tests.support.function_process import FunctionProcess, function_process
from tests.support.topic_listener import TopicListener, listen_to
from tests.support.waiting import wait_until

# Each step doubles a list.
ENDLESS = "[@, @]" + " | [@, @][]" * 60
PUBLIC_URL = {"DSS_PUBLIC_URL": "https://dss.example.org"}
NOTIFY = [point for point in FAULT_POINTS if point.startswith("notify: ")]
REPLAY = [point for point in FAULT_POINTS if point.startswith("replay: ")]


@pytest.fixture(scope="module")
def deliveries(stack: dict[str, str]) -> Iterator[TopicListener]:
    """The queue of new notifications."""
    with listen_to(stack, DELIVERIES) as found:
        yield found


@pytest.fixture(scope="module")
def retries(stack: dict[str, str]) -> Iterator[TopicListener]:
    """The retry queue."""
    with listen_to(stack, DELIVERY_RETRIES) as found:
        yield found


@pytest.fixture(scope="module")
def pages(stack: dict[str, str]) -> Iterator[TopicListener]:
    """Pages of replays."""
    with listen_to(stack, REPLAYS) as found:
        yield found


@pytest.fixture(scope="module")
def notify(
    stack: dict[str, str], deliveries: TopicListener, retries: TopicListener, pages: TopicListener
) -> Iterator[FunctionProcess]:
    """The function; the topics that it publishes to are there."""
    assert deliveries.attributes == retries.attributes == pages.attributes == []
    with function_process("notify", stack, **PUBLIC_URL) as process:
        yield process


@pytest.fixture(scope="module")
def dss(stack: dict[str, str]) -> Dss:
    """The dependencies of the running system."""
    return open_dss_for_threads(stack, publishes=False)


def bind(dss: Dss, uuid: str, *readers: str) -> None:
    """Bind a UUID to readers; none unbinds it."""
    change_binding(
        dss, uuid, "operator@example.org", lambda before: replace(before, readers=frozenset(readers))
    )


def subscribed(api: Api, replica: str, jmespath: str) -> str:
    """Return the UUID of a new subscription."""
    body = {"callback_url": "https://example.org", "jmespath_query": jmespath}
    return str(api.put("/v1/subscriptions", replica=replica, json=body).json()["uuid"])


def happened(clouds: Clouds, replica: str, *, dead: bool = False, **document: Any) -> BundleEvent:
    """Return an event of a bundle that nobody has, and whose document is kept."""
    uuid, version, kind = new_uuid(), now(), "TOMBSTONE" if dead else "CREATE"
    content = {"event_type": kind, "bundle_info": {"uuid": uuid, "version": version}, **document}
    content |= {"email": "", "reason": ""} if dead else {"manifest": {"files": []}, "files": {}}
    key = document_key(Fqid(uuid, version), dead=dead)
    clouds.stage(replica, json.dumps(content).encode(), bucket=clouds.main[replica], key=key, metadata={})
    return BundleEvent(id=new_uuid(), replica=replica, type=kind, uuid=uuid, version=version, timestamp=now())


def pushed(function: FunctionProcess, event: BundleEvent) -> int:
    """Return the status that an event is answered with; 0 where the function is killed."""
    try:
        return function.push(event.attributes).status_code
    except requests.ConnectionError:
        return 0


def waited_for(
    listener: TopicListener, event: BundleEvent, mine: set[str], count: int, *, distinct: bool = False
) -> list[tuple[str, str]]:
    """Return the deliveries of an event to these subscriptions, with their ids, once there are so many.

    If `distinct`, a delivery that is published again counts once. There are subscriptions of other tests,
    some of which match everything.
    """

    def found() -> list[tuple[str, str]]:
        of_event = [one for one in listener.attributes if one.get("eventId") == event.id]
        return [(one["subscription"], one["deliveryId"]) for one in of_event if one["subscription"] in mine]

    def here() -> int:
        return len(set(found()) if distinct else found())

    def enough() -> bool:
        if here() < count:
            listener.pull()
        return here() >= count

    wait_until(enough, lambda: f"only {found()}", 30)
    return found()


def test_a_delivery_is_the_same_each_time(
    api: Api, clouds: Clouds, notify: FunctionProcess, deliveries: TopicListener, replica: str
) -> None:
    mark = new_uuid()
    mine = {subscribed(api, replica, f"mark == '{mark}'") for _ in range(3)}
    other = subscribed(api, replica, f"mark == '{new_uuid()}'")
    event = happened(clouds, replica, mark=mark)

    assert (pushed(notify, event), pushed(notify, event)) == (204, 204)

    found = waited_for(deliveries, event, {*mine, other}, 6)
    assert {subscription for subscription, _ in found} == mine
    assert len(set(found)) == 3


def test_nobody_is_notified_of_what_is_purged(
    api: Api, clouds: Clouds, dss: Dss, notify: FunctionProcess, deliveries: TopicListener
) -> None:
    mark = new_uuid()
    mine = subscribed(api, "gcp", f"mark == '{mark}'")
    purged, other = (happened(clouds, "gcp", mark=mark) for _ in range(2))
    declare(dss, new_purge(dss, purged.uuid, purged.version, reason="withdrawn", by="admin@example.org"))

    assert (pushed(notify, purged), pushed(notify, other)) == (204, 204)

    waited_for(deliveries, other, {mine}, 1)
    assert not any(one.get("eventId") == purged.id for one in deliveries.attributes)


def test_owners_are_notified_of_what_they_may_read(
    stack: dict[str, str],
    api: Api,
    clouds: Clouds,
    notify: FunctionProcess,
    deliveries: TopicListener,
    dss: Dss,
    replica: str = "gcp",
) -> None:
    mark, email = new_uuid(), f"{new_uuid()}@example.org"
    member = Api(api.url, request_token(stack, email, ["dss", "lab"]))
    outside, inside = (subscribed(one, replica, f"mark == '{mark}'") for one in (api, member))
    both = {outside, inside}

    def notified(event: BundleEvent, count: int) -> set[str]:
        assert pushed(notify, event) == 204
        return {subscription for subscription, _ in waited_for(deliveries, event, both, count)}

    first, second, third = (happened(clouds, replica, mark=mark) for _ in range(3))
    for event in (first, second, third):
        bind(dss, event.uuid, "lab")
    assert notified(first, 1) == {inside}
    # Access changes at once: the next event, and the same again.
    bind(dss, first.uuid)
    assert notified(first, 3) == both
    # The owner has left the group: known at the next sign-in.
    former = member.signed_in(request_token(stack, email, "dss"))
    assert former.get(f"/v1/subscriptions/{inside}", replica=replica).status_code == 200
    assert pushed(notify, second) == 204
    assert member.get("/v1/subscriptions", replica=replica).status_code == 200
    assert notified(third, 1) == {inside}
    assert waited_for(deliveries, second, both, 0) == []


def test_a_subscription_pauses_without_sign_ins_and_says_so(
    stack: dict[str, str],
    admin: Api,
    clouds: Clouds,
    notify: FunctionProcess,
    deliveries: TopicListener,
    dss: Dss,
    replica: str = "gcp",
) -> None:
    mark = new_uuid()
    owner = Api(admin.url, request_token(stack, f"{new_uuid()}@example.org", "dss"))
    uuids = {subscribed(owner, replica, f"mark == '{mark}'") for _ in range(2)}
    uuid = min(uuids)
    path = f"/v1/subscriptions/{uuid}"
    before = owner.get(path, replica=replica).json()
    assert "last_pause" not in before and "paused" not in before
    signed_in = moment_of(before["acts_until"]) - timedelta(days=90)
    assert abs(signed_in - datetime.now(UTC)) < timedelta(minutes=10)

    subscriptions = dss.catalog.subscriptions
    old = [subscriptions.get(one) for one in uuids]
    long_ago = datetime.now(UTC) - timedelta(days=91)
    subscriptions.save_sign_in([replace(one, signed_in=long_ago) for one in old if one])
    missed = happened(clouds, replica, mark=mark)
    assert pushed(notify, missed) == 204

    # An admin's look is no sign-in of the owner.
    assert admin.get(path, replica=replica).json()["paused"] is True
    assert admin.get(f"{path}/deliveries", replica=replica).json()["paused"] is True
    # Any operation of the owner resumes all subscriptions; and says when they were paused.
    resumed = owner.get(f"{path}/deliveries", replica=replica).json()
    assert moment_of(resumed["last_pause"]["from"]) == long_ago + timedelta(days=90)
    assert abs(moment_of(resumed["last_pause"]["to"]) - datetime.now(UTC)) < timedelta(minutes=10)
    assert "paused" not in resumed and resumed["deliveries"] == []
    listed = owner.get("/v1/subscriptions", replica=replica).json()["subscriptions"]
    assert {one["uuid"] for one in listed} == uuids
    assert all(one["last_pause"] == resumed["last_pause"] for one in listed)
    event = happened(clouds, replica, mark=mark)
    assert pushed(notify, event) == 204
    assert {one for one, _ in waited_for(deliveries, event, uuids, 2)} == uuids
    assert waited_for(deliveries, missed, uuids, 0) == []


def test_a_subscription_is_matched_from_its_answer_to_its_deletion(
    api: Api, clouds: Clouds, notify: FunctionProcess, deliveries: TopicListener, replica: str = "gcp"
) -> None:
    mark = new_uuid()
    for _ in range(3):
        # Each time the function has all others in memory.
        uuid = subscribed(api, replica, f"mark == '{mark}'")
        event = happened(clouds, replica, dead=True, mark=mark)
        assert pushed(notify, event) == 204
        assert [subscription for subscription, _ in waited_for(deliveries, event, {uuid}, 1)] == [uuid]
        assert api.delete(f"/v1/subscriptions/{uuid}", replica=replica).status_code == 200
    event = happened(clouds, replica, mark=mark)
    last = subscribed(api, replica, f"mark == '{mark}'")
    assert pushed(notify, event) == 204
    assert len(waited_for(deliveries, event, {uuid, last}, 1)) == 1


def test_an_event_without_a_document_is_retried(
    api: Api, notify: FunctionProcess, replica: str = "aws"
) -> None:
    subscribed(api, replica, "nothing")
    event = BundleEvent(
        id=new_uuid(), replica=replica, type="CREATE", uuid=new_uuid(), version=now(), timestamp=now()
    )
    assert pushed(notify, event) == 503
    assert notify.push({"replica": replica}).status_code == 503


def rows_of(api: Api, replica: str, subscription: str, event: BundleEvent) -> list[dict[str, Any]]:
    """Return what the owner of a subscription sees of an event."""
    answer = api.get(f"/v1/subscriptions/{subscription}/deliveries", replica=replica)
    return [row for row in answer.json()["deliveries"] if row["event_id"] == event.id]


def test_a_query_that_fails_on_an_event_is_a_row_of_its_deliveries(
    api: Api, clouds: Clouds, notify: FunctionProcess, deliveries: TopicListener, replica: str
) -> None:
    mark = new_uuid()
    failing = subscribed(api, replica, "abs(mark)")
    odd = subscribed(api, replica, f"mark == '{mark}' && ages[?@ > `18`]")
    event = happened(clouds, replica, mark=mark, ages=[30, "unknown"])

    assert (pushed(notify, event), pushed(notify, event)) == (204, 204)

    assert [one for one, _ in waited_for(deliveries, event, {failing, odd}, 2)] == [odd, odd]
    [row] = rows_of(api, replica, failing, event)
    assert (row["state"], row["attempts"]) == ("query_failed", 0)
    assert "abs" in row["reason"]
    assert rows_of(api, replica, odd, event) == []
    # Other tests count what an event costs.
    assert api.delete(f"/v1/subscriptions/{failing}", replica=replica).status_code == 200


def test_costly_queries_of_one_owner_wait_and_delay_nobody_else(
    stack: dict[str, str],
    api: Api,
    clouds: Clouds,
    notify: FunctionProcess,
    deliveries: TopicListener,
    pages: TopicListener,
    replica: str = "aws",
) -> None:
    mark = new_uuid()
    bad = Api(stack["DSS_URL"], request_token(stack, f"{new_uuid()}@example.org", "dss"))
    good = subscribed(api, replica, f"mark == '{mark}'")
    costly = {
        subscribed(bad, replica, f"mark == '{mark}' && length({ENDLESS} | [{number}])")
        for number in range(12)
    }
    try:
        event = happened(clouds, replica, mark=mark)
        assert pushed(notify, event) == 204
        assert [one for one, _ in waited_for(deliveries, event, {good}, 1)] == [good]

        deferred = pages.wait(lambda one: one.get("eventId") == event.id and "deferredSince" in one)
        data = pages.data[pages.attributes.index(deferred)]
        assert len(costly & set(json.loads(data))) == len(json.loads(data)) >= 6
        late = {**deferred, "deferredSince": "2026-01-01T000000.000000Z"}

        def all_have_failed() -> bool:
            # Each push evaluates some, as far as the budget goes, or all have failed after an hour without.
            assert notify.push(late, data=data).status_code == 204
            return all(rows_of(bad, replica, subscription, event) for subscription in costly)

        wait_until(all_have_failed, "not all of them are evaluated")
        states = {
            row["state"] for subscription in costly for row in rows_of(bad, replica, subscription, event)
        }
        assert states == {"query_failed"}
    finally:
        for subscription in costly:
            bad.delete(f"/v1/subscriptions/{subscription}", replica=replica)
    # Deleted ones wait for no budget.
    assert notify.push(deferred, data=data).status_code == 204


@pytest.mark.parametrize("point", NOTIFY)
def test_a_kill_between_deliveries_loses_none(
    stack: dict[str, str],
    api: Api,
    clouds: Clouds,
    deliveries: TopicListener,
    point: str,
    replica: str = "gcp",
) -> None:
    mark = new_uuid()
    mine = {subscribed(api, replica, f"mark == '{mark}'") for _ in range(4)}
    event = happened(clouds, replica, mark=mark)
    with function_process("notify", stack, DSS_FAULT_POINT=point, **PUBLIC_URL) as mortal:
        assert pushed(mortal, event) == 0
        mortal.kill()
        mortal.start(DSS_FAULT_POINT="")
        assert pushed(mortal, event) == 204
    # Some may have been published before the kill as well; what comes twice has one id.
    found = waited_for(deliveries, event, mine, 4, distinct=True)
    assert len(set(found)) == 4


@pytest.fixture(scope="module")
def catalog(stack: dict[str, str]) -> Catalog:
    """The catalog, which has the journal."""
    return Catalog(Database(firestore_client(stack), replicas=REPLICAS, clock=SystemClock()))


def journalled(catalog: Catalog, clouds: Clouds, event: BundleEvent, count: int) -> list[str]:
    """Put so many events of the document of an event into the journal; return their ids."""
    fqid = Fqid(event.uuid, event.version)
    # Other tests compact the journal of this stack, so the size and digests must be right.
    content = clouds.read(event.replica, document_key(fqid, dead=False))
    journal_event = event_of(event.replica, fqid, content, dead=False)
    ids = [new_uuid() for _ in range(count)]
    for event_id in ids:
        catalog.events.record(replace(journal_event, id=event_id))
    return ids


@pytest.mark.parametrize("point", REPLAY)
def test_a_replay_goes_by_pages_and_a_kill_loses_nothing(
    stack: dict[str, str],
    api: Api,
    clouds: Clouds,
    notify: FunctionProcess,
    retries: TopicListener,
    pages: TopicListener,
    catalog: Catalog,
    point: str,
    replica: str = "aws",
) -> None:
    uuid = subscribed(api, replica, f"mark == '{point}'")
    from_date = now()
    ids = journalled(catalog, clouds, happened(clouds, replica, mark=point), 101)
    journalled(catalog, clouds, happened(clouds, replica, mark="another"), 1)

    asked = api.post(f"/v1/subscriptions/{uuid}/replay", replica=replica, from_date=from_date)
    assert asked.status_code == 202, asked.text
    replay = asked.json()["replay_id"]
    journalled(catalog, clouds, happened(clouds, replica, mark=point), 1)
    first = pages.wait(lambda one: one.get("replay") == replay)
    with (
        function_process("notify", stack, DSS_FAULT_POINT=point, **PUBLIC_URL) as mortal,
        pytest.raises(requests.ConnectionError),
    ):
        mortal.push(first)
    assert notify.push(first).status_code == 204
    rest = pages.wait(lambda one: one.get("replay") == replay and one["start"] > first["start"])
    assert notify.push(rest).status_code == 204

    def replayed() -> set[str]:
        return {one["eventId"] for one in retries.attributes if one.get("replay") == replay}

    # What happened after it was asked for is sent anyway, and is not part of it.
    retries.drain()
    assert replayed() == set(ids)
    assert {one["subscription"] for one in retries.attributes if one.get("replay") == replay} == {uuid}
