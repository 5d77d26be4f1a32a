"""Who may not read managed data learns nothing of them from lists and searches, not even their number."""

from collections.abc import Iterator
from typing import Any

import pytest

from local.issuer.client import request_token
from shared.identifiers import Fqid
from shared.search.base import IndexEntry
from shared.system import Dss
from tests.support.access_world import bind
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_collection
from tests.support.bulk_heads import duplicate_bundles
from tests.support.metered_api import MeteredApi, metered_api

GROUP = frozenset(("a-group",))
# More than a page, and less than ten.
SEEN, PER_PAGE, MANAGED = 25, 10, 60


@pytest.fixture(scope="module")
def metered(stack: dict[str, str]) -> Iterator[MeteredApi]:
    with metered_api(stack) as metered:
        yield metered


def with_prefix(prefix: str) -> Version:
    return Version(prefix + new_uuid()[len(prefix) :], now())


def listed(metered: MeteredApi, prefix: str) -> list[Any]:
    """Return all that a stranger gets of a list, page by page, and what each page costs."""
    stranger = metered.api.signed_in(None)
    path, query = "/v1/bundles/all", {"replica": "gcp", "prefix": prefix, "per_page": PER_PAGE}
    seen = []
    while path:
        with metered.usage() as usage:
            answer = stranger.get(path, **query)
        body = answer.json()
        del body["event_timestamp"]
        seen.append((answer.status_code, body, answer.links, usage.bill.reads, usage.bill.requests))
        path, query = answer.links.get("next", {}).get("url", ""), {}
    return seen


def test_a_list_with_its_cursors_and_cost_is_the_same_with_managed_bundles_between(
    stack: dict[str, str], metered: MeteredApi, dss: Dss
) -> None:
    prefix = new_uuid()[:8]
    for _ in range(SEEN):
        put_bundle(metered.api, "gcp", [], bundle=with_prefix(prefix))
    before = listed(metered, prefix)

    managed = put_bundle(metered.api, "gcp", [], bundle=with_prefix(prefix))
    bind(dss, managed.uuid, readers=GROUP)
    duplicate_bundles(stack, managed, MANAGED, prefix=prefix)

    assert len(before) == 3
    assert listed(metered, prefix) == before
    everything = metered.admin.get("/v1/bundles/all", replica="gcp", prefix=prefix, per_page=100).json()
    assert len(everything["bundles"]) == SEEN + 1 + MANAGED


def test_bundles_that_have_not_arrived_at_a_replica_cost_few_requests(
    stack: dict[str, str], metered: MeteredApi, dss: Dss
) -> None:
    prefix, lacking = new_uuid()[:8], 500
    elsewhere = put_bundle(metered.api, "aws", [], bundle=with_prefix(prefix))
    bind(dss, elsewhere.uuid, readers=GROUP)
    duplicate_bundles(stack, elsewhere, lacking, prefix=f"{prefix}-0")
    last = put_bundle(metered.api, "gcp", [], bundle=with_prefix(f"{prefix}-f"))
    reader = metered.api.signed_in(request_token(stack, f"{new_uuid()}@example.org", [*GROUP]))

    with metered.usage() as usage:
        answer = reader.get("/v1/bundles/all", replica="gcp", prefix=prefix, per_page=PER_PAGE)

    assert [bundle["uuid"] for bundle in answer.json()["bundles"]] == [last.uuid]
    # 11, 22, 44, ... rows
    assert usage.bill.requests <= 7


def found(metered: MeteredApi, mark: str) -> list[Any]:
    """Return all that a stranger gets of a search, page by page, with what each page costs."""
    stranger = metered.api.signed_in(None)
    path, query = "/v1/search", {"replica": "gcp", "per_page": PER_PAGE}
    body = {"es_query": {"query": {"term": {"mark": mark}}}}
    seen = []
    while path:
        with metered.usage() as usage:
            answer = stranger.post(path, json=body, **query)
        seen.append((answer.status_code, answer.json(), answer.links, usage.bill.requests))
        path, query = answer.links.get("next", {}).get("url", ""), {}
    return seen


def test_a_search_with_its_total_and_cursors_is_the_same_with_managed_bundles_between(
    metered: MeteredApi, dss: Dss
) -> None:
    mark = new_uuid()

    def index(readers: frozenset[str]) -> None:
        fqid = Fqid(new_uuid(), now())
        dss.index.put(IndexEntry(replica="gcp", fqid=fqid, document={"mark": mark}, readers=readers))

    for _ in range(SEEN):
        index(frozenset())
    before = found(metered, mark)

    for _ in range(MANAGED):
        index(GROUP)

    assert [answer["total_hits"] for _, answer, _, _ in before] == [SEEN] * 3
    assert found(metered, mark) == before


def test_a_collection_is_in_no_list_but_its_owners(api: Api, dss: Dss, stack: dict[str, str]) -> None:
    owner, reader = (
        api.signed_in(request_token(stack, f"{new_uuid()}@example.org", ["dss", *GROUP])) for _ in range(2)
    )
    collection = put_collection(owner, "gcp", [])
    bind(dss, collection.uuid, readers=GROUP)

    assert reader.get(f"/v1/collections/{collection.uuid}", replica="gcp").status_code == 200
    assert reader.get("/v1/collections").json() == {"collections": []}
    assert len(owner.get("/v1/collections").json()["collections"]) == 1
