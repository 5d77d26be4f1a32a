"""Every query that the system makes has its index, and every index its query."""

from dataclasses import dataclass
from typing import Any

import pytest
import requests

from shared.catalog import Database
from shared.catalog.indexes import COMPOSITE_INDEXES, FIELD_INDEXES, FieldIndex, Index
from shared.clock import SystemClock
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_collection, put_file
from tests.support.catalog_questions import Place, ask_everything, functions_called, functions_that_ask
from tests.support.clouds import REPLICAS, Clouds
from tests.support.dss import firestore_client
from tests.support.metered_api import MeteredApi
from tests.support.required_index import RequiredIndex, required_indexes

REASON = {"reason": "to see what is asked"}
FOLDERS = ("files", "bundles")


@dataclass(frozen=True)
class Asked:
    """What the queries of a running system need, and which functions made those of this process."""

    queries: set[RequiredIndex]
    called: set[Place]


@pytest.fixture(scope="module")
def asked(metered: MeteredApi, clouds: Clouds, stack: dict[str, str]) -> Asked:
    """What all calls of the API ask, and then every method of the catalog."""
    with metered.usage() as usage:
        for replica in REPLICAS:
            _make_every_call(metered.api, metered.admin, clouds, replica)
        env = {**stack, "FIRESTORE_EMULATOR_HOST": metered.firestore.address}
        with functions_called() as called:
            ask_everything(Database(firestore_client(env), replicas=REPLICAS, clock=SystemClock()))
    return Asked({index for query in usage.queries for index in required_indexes(query)}, called)


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


def test_every_function_that_asks_was_called(asked: Asked) -> None:
    """What no test calls could ask something without an index: the emulator would answer it."""
    asking = functions_that_ask()

    assert len(asking) > 40
    assert sorted(name for place, name in asking.items() if place not in asked.called) == []


def test_every_query_has_its_index(asked: Asked) -> None:
    assert len(asked.queries) >= 50, "most of the system's queries were not seen"
    assert [query for query in asked.queries if query.uses(COMPOSITE_INDEXES, FIELD_INDEXES) is None] == []


@pytest.mark.parametrize("index", [*COMPOSITE_INDEXES, *FIELD_INDEXES], ids=str)
def test_every_index_has_its_query(asked: Asked, index: Index | FieldIndex) -> None:
    used = [query.uses(COMPOSITE_INDEXES, FIELD_INDEXES) for query in asked.queries]

    assert any(index in (indexes or ()) for indexes in used)


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


def test_the_index_of_a_field_serves_only_its_mode_and_scope() -> None:
    equal = RequiredIndex("c", frozenset({("a", "ASCENDING")}), ())
    newest = RequiredIndex("c", frozenset(), (("a", "DESCENDING"),))
    across = RequiredIndex("c", frozenset({("a", "CONTAINS")}), (), across=True)

    assert equal.uses((), [FieldIndex("c", "a")]) == {FieldIndex("c", "a")}
    assert equal.uses((), [FieldIndex("c", "a", "CONTAINS"), FieldIndex("x", "a")]) is None
    assert newest.uses((), [FieldIndex("c", "a", "DESCENDING")]) == {FieldIndex("c", "a", "DESCENDING")}
    assert newest.uses((), [FieldIndex("c", "a")]) is None
    assert across.uses((), [FieldIndex("c", "a", "CONTAINS", across=True)])
    assert across.uses((), [FieldIndex("c", "a", "CONTAINS")]) is None
    assert RequiredIndex("c", frozenset(), ()).uses((), ()) == set(), "documents are read by name"


def test_only_fields_that_are_compared_for_equality_merge_their_indexes() -> None:
    fields = [FieldIndex("c", "a"), FieldIndex("c", "b"), FieldIndex("c", "b", "CONTAINS")]
    both = frozenset({("a", "ASCENDING"), ("b", "ASCENDING")})
    composite = Index("c", (("b", "ASCENDING"), ("a", "ASCENDING")))

    assert RequiredIndex("c", both, ()).uses((), fields) == {*fields[:2]}
    assert RequiredIndex("c", both, ()).uses([composite], fields) == {composite}
    assert RequiredIndex("c", both, ()).uses((), fields[:1]) is None
    assert RequiredIndex("c", frozenset({("a", "ASCENDING"), ("b", "CONTAINS")}), ()).uses((), fields) is None
    ordered = RequiredIndex("c", frozenset({("a", "ASCENDING")}), (("b", "ASCENDING"),))
    assert ordered.uses((), fields) is None
