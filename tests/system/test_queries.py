"""Every query that the system makes has its index, and every index its query."""

from datetime import timedelta
from typing import Any

import pytest
import requests

from shared.catalog import Catalog, Database, Event, Queue
from shared.catalog.indexes import COMPOSITE_INDEXES, EXEMPTIONS, Exemption, Index
from shared.clock import SystemClock
from shared.identifiers import Fqid, version_of
from shared.kinds import KINDS
from shared.search.base import IndexEntry
from shared.search.firestore.backend import FirestoreIndex
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_collection, put_file
from tests.support.clouds import REPLICAS, Clouds
from tests.support.dss import firestore_client
from tests.support.metered_api import MeteredApi
from tests.support.required_index import RequiredIndex, required_indexes

REASON = {"reason": "to see what is asked"}
FOLDERS = ("files", "bundles")


@pytest.fixture(scope="module")
def asked(metered: MeteredApi, clouds: Clouds, stack: dict[str, str]) -> set[RequiredIndex]:
    """What the queries of all calls need, and those that the sweep and operators make."""
    with metered.usage() as usage:
        for replica in REPLICAS:
            _make_every_call(metered.api, metered.admin, clouds, replica)
        env = {**stack, "FIRESTORE_EMULATOR_HOST": metered.firestore.address}
        _ask_what_the_sweep_asks(env)
        _ask_what_operators_ask(env)
    return {index for query in usage.queries for index in required_indexes(query)}


def _make_every_call(api: Api, admin: Api, clouds: Clouds, replica: str) -> None:
    source = clouds.stage(replica, b"content")
    file = put_file(api, source)
    put_file(api, source, file=file, status=200)
    put_file(api, clouds.stage(replica, b"other content"), file=file, status=409)
    first = put_bundle(api, replica, [file.named("name")])
    second = put_bundle(api, replica, [], bundle=Version(first.uuid, now()))
    put_bundle(api, replica, [file.named("name")], bundle=first, status=200)
    put_bundle(api, replica, [file.named("other")], bundle=first, status=409)
    path = f"/v1/bundles/{first.uuid}"
    changes = {"add_files": [file.named("added")], "remove_files": []}
    expected = [(api.patch(path, replica=replica, version=first.version, json=changes), 200)]
    expected += _every_call_about_subscriptions(api, replica)
    expected += _every_call_about_collections(api, replica, file)
    expected += _every_search(api, replica)
    for version in (None, file.version):
        query = {"replica": replica, "version": version}
        expected += [(api.request("HEAD", f"/v1/files/{file.uuid}", **query), 200)]
        expected += [(api.get(f"/v1/files/{file.uuid}", **query), 302)]
    for version in (None, first.version):
        for presigned in (True, False):
            expected += [(api.get(path, replica=replica, version=version, presignedurls=presigned), 200)]
    for reader in (api, admin, api.signed_in(None)):
        expected += [(page, page.status_code) for page in _every_list(reader, replica, first.uuid)]
    for version in (second.version, None, None):
        expected += [(admin.delete(path, replica=replica, version=version, json=REASON), 200)]
    for version in (None, now()):
        expected += [
            (api.get(f"/v1/{kind}/{new_uuid()}", replica=replica, version=version), 404) for kind in FOLDERS
        ]
    expected += [(admin.delete(f"/v1/bundles/{new_uuid()}", replica=replica, json=REASON), 404)]
    for dates in ({}, {"from_date": first.version}, {"from_date": first.version, "to_date": now()}):
        # Other tests may have made events: then there is another page.
        answer = api.get("/v1/events", replica=replica, **dates)
        expected += [(answer, 206 if answer.status_code == 206 else 200)]
    expected += [(api.get("/internal/health"), 200)]
    assert [answer.status_code for answer, _ in expected] == [status for _, status in expected]


def _every_call_about_subscriptions(api: Api, replica: str) -> list[tuple[requests.Response, int]]:
    made = api.put("/v1/subscriptions", replica=replica, json={"callback_url": "https://example.org/"})
    path = f"/v1/subscriptions/{made.json()['uuid']}"
    return [
        (made, 201),
        (api.get("/v1/subscriptions", replica=replica), 200),
        (api.get(path, replica=replica), 200),
        (api.get(f"{path}/deliveries", replica=replica), 200),
        (
            api.get(f"{path}/deliveries", replica=replica, search_after=f"{now()},{new_uuid()}"),
            200,
        ),
        (api.delete(path, replica=replica), 200),
    ]


def _every_call_about_collections(api: Api, replica: str, file: Version) -> list[Any]:
    first = put_collection(api, replica, [file.linked()])
    put_collection(api, replica, [file.linked(), first.linked("collection")])
    path, query = f"/v1/collections/{first.uuid}", {"replica": replica, "version": first.version}
    return [
        (api.patch(path, json={}, **query), 200),
        *((api.get(path, replica=replica, version=version), 200) for version in (first.version, None)),
        (api.get("/v1/collections"), 200),
        (api.delete(path, replica=replica), 200),
        (api.get(path, replica=replica), 404),
    ]


def _every_search(api: Api, replica: str) -> list[tuple[requests.Response, int]]:
    path, after = "/v1/search", f"{new_uuid()},{now()}"
    queries = [{}, {"bool": {"must": [{"match": {"a": "b c"}}, {"exists": {"field": "d"}}]}}]
    return [
        (api.request("POST", path, replica=replica, json={"es_query": query}, search_after=last), 200)
        for query in queries
        for last in (None, after)
    ]


def _every_list(api: Api, replica: str, uuid: str) -> list[object]:
    every = []
    for prefix in (None, uuid[:4]):
        every.append(api.get("/v1/bundles/all", replica=replica, prefix=prefix))
        every.append(
            api.get("/v1/bundles/all", replica=replica, prefix=prefix, search_after=f"{uuid}.{now()}")
        )
    return every


def _ask_what_the_sweep_asks(env: dict[str, str]) -> None:
    clock = SystemClock()
    catalog = Catalog(Database(firestore_client(env), replicas=REPLICAS, clock=clock))
    past = {"start": clock.now() - timedelta(days=2), "before": clock.now() - timedelta(days=1)}
    assert not list(catalog.backlog.claimed(KINDS.values(), after=past["start"], before=past["before"]))
    for replica in REPLICAS:
        # So long ago that nothing is found: what was asked is the same.
        for queue in (Queue(replica=replica), Queue(replica=replica, outbox=True)):
            assert not list(catalog.backlog.queued(KINDS.values(), queue, **past))
            for kind in KINDS.values():
                catalog.backlog.measure(kind, queue, start=past["start"], most=1)
                catalog.backlog.oldest(kind, queue, start=past["start"])
        assert not list(catalog.events.since(replica, stop=version_of(clock.now() - timedelta(days=1))))
        assert not list(catalog.bundles.hidden_by(new_uuid()))
    catalog.jobs.abandoned()


def _ask_what_operators_ask(env: dict[str, str]) -> None:
    catalog = Catalog(Database(firestore_client(env), replicas=REPLICAS, clock=SystemClock()))
    scan = catalog.scan
    everything = (
        *(scan.files(), scan.bundles(), scan.tombstones(), scan.contents()),
        *(scan.collections(), scan.collection_tombstones()),
    )
    for every in everything:
        next(every)
    list(scan.bindings())
    unknown = Event(
        id=new_uuid(),
        replica=new_uuid(),
        fqid=Fqid(new_uuid(), now()),
        type="CREATE",
        timestamp=now(),
        size=0,
        digest="",
        md5="",
        crc32c="",
    )
    catalog.journals.set_labels(unknown, frozenset())
    index = FirestoreIndex(Database(firestore_client(env), replicas=REPLICAS, clock=SystemClock()))
    entry = IndexEntry(replica=new_uuid(), fqid=Fqid(new_uuid(), now()), document={"a": "b"})
    index.put(entry)
    index.put(IndexEntry(replica=entry.replica, fqid=entry.fqid, document={"a": "c"}))
    assert [held.fqid for held in index.entries(entry.replica)] == [entry.fqid]
    index.delete(entry.replica, entry.fqid)
    assert not list(scan.of_content("0" * 64))
    assert all(scan.count(replica) for replica in REPLICAS)


def test_every_query_has_its_index(asked: set[RequiredIndex]) -> None:
    without = [
        query
        for query in asked
        if len(query.fields) > 1 and not any(query.served_by(index) for index in COMPOSITE_INDEXES)
    ]

    assert len(asked) >= 5, "most of the system's queries were not seen"
    assert without == []


def test_no_query_uses_a_field_that_is_exempt_from_indexes(asked: set[RequiredIndex]) -> None:
    assert [query for query in asked if any(map(query.hindered_by, EXEMPTIONS))] == []


@pytest.mark.parametrize("index", COMPOSITE_INDEXES, ids=str)
def test_every_index_has_its_query(asked: set[RequiredIndex], index: Index) -> None:
    assert any(query.served_by(index) for query in asked)


def test_an_index_serves_a_query_by_the_rules_of_firestore() -> None:
    """Fields of equality in any order; those of order in theirs; nothing more and nothing less."""
    needed = RequiredIndex("c", frozenset({("a", "ASCENDING"), ("b", "CONTAINS")}), (("d", "DESCENDING"),))

    assert needed.served_by(Index("c", (("b", "CONTAINS"), ("a", "ASCENDING"), ("d", "DESCENDING"))))
    assert not needed.served_by(Index("c", (("b", "CONTAINS"), ("a", "ASCENDING"), ("d", "ASCENDING"))))
    assert not needed.served_by(Index("c", (("a", "ASCENDING"), ("d", "DESCENDING"), ("b", "CONTAINS"))))
    assert not needed.served_by(Index("c", (("a", "ASCENDING"), ("b", "CONTAINS"))))
    assert not needed.served_by(
        Index("c", (("a", "ASCENDING"), ("b", "CONTAINS"), ("d", "DESCENDING"), ("e", "ASCENDING")))
    )
    assert not needed.served_by(Index("x", (("a", "ASCENDING"), ("b", "CONTAINS"), ("d", "DESCENDING"))))
    assert not needed.hindered_by(Exemption("c", "a"))
    assert RequiredIndex("c", frozenset({("a", "ASCENDING")}), ()).hindered_by(Exemption("c", "a"))
