"""POST /search finds bundles by their metadata, page by page, and names clauses that are not served."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import requests

from run.api.search import answer_of
from shared.config import Settings
from shared.identifiers import Fqid
from shared.search.base import IndexBackend, IndexEntry, Page, Total
from shared.search.documents import tombstone_document
from shared.wiring import open_system
from tests.support.api import Api, assert_problem, new_uuid, now
from tests.support.old_client import OldClient

Put = Callable[..., Fqid]


@pytest.fixture(scope="module")
def index(stack: dict[str, str]) -> IndexBackend:
    """The index of the running system."""
    with mock.patch.dict(os.environ, stack):
        return open_system(Settings.from_environment(stack)).index


@pytest.fixture
def put(index: IndexBackend, replica: str) -> Put:
    """Put a document into the index of the replica in turn."""

    def put_it(document: dict[str, Any], *, fqid: Fqid | None = None, dead: bool = False) -> Fqid:
        entry = IndexEntry(
            replica=replica, fqid=fqid or Fqid(new_uuid(), now()), document=document, dead=dead
        )
        index.put(entry)
        return entry.fqid

    return put_it


@pytest.fixture
def mark() -> str:
    """A word that only the documents of this test hold."""
    return new_uuid()


def search(api: Api, replica: str, query: Any, **more: Any) -> requests.Response:
    return api.request("POST", "/v1/search", replica=replica, json={"es_query": query}, **more)


def marked(mark: str) -> dict[str, Any]:
    return {"query": {"term": {"mark": mark}}}


def test_a_result_names_its_bundle_and_its_url(api, anyone, put, mark, replica):
    put({"mark": "another"})
    fqid = put({"mark": mark, "organ": ["brain"]})

    answer = search(anyone, replica, marked(mark))

    assert answer.status_code == 200
    assert answer.headers["X-OpenAPI-Pagination"] == "false"
    assert answer.headers["X-OpenAPI-Paginated-Content-Key"] == "results"
    assert answer.json() == {
        "es_query": marked(mark),
        "results": [
            {
                "bundle_fqid": str(fqid),
                "bundle_url": f"{api.url}/v1/bundles/{fqid.uuid}?version={fqid.version}&replica={replica}",
                "search_score": None,
            }
        ],
        "total_hits": 1,
    }
    raw = search(anyone, replica, marked(mark), output_format="raw").json()
    assert raw["results"][0]["metadata"] == {"mark": mark, "organ": ["brain"]}


def test_a_search_without_hits_is_an_empty_last_page(anyone, mark, replica):
    answer = search(anyone, replica, marked(mark))
    assert (answer.status_code, answer.json()["results"], answer.json()["total_hits"]) == (200, [], 0)


@pytest.mark.parametrize(("output_format", "size"), [("summary", 12), ("raw", 10)])
def test_pages_lead_to_each_other(anyone, put, mark, replica, output_format, size):
    fqids = sorted((put({"mark": mark, "n": n}) for n in range(25)), reverse=True)
    query = {"replica": replica, "per_page": 12, "output_format": output_format}

    answer = anyone.request("POST", "/v1/search", json={"es_query": marked(mark)}, **query)
    pages = [answer]
    while answer.status_code == 206:
        link = answer.links["next"]["url"]
        after = re.search(r"search_after=([^&]*)", link)
        assert after and re.fullmatch(r"[-0-9a-f]{36}%2C[-0-9T.]*Z", after[1])
        # Old clients say all of their query again.
        answer = anyone.request("POST", link, json={"es_query": marked(mark)}, **query)
        pages.append(answer)

    found = [[hit["bundle_fqid"] for hit in page.json()["results"]] for page in pages]
    assert [len(page) for page in found] == [size, size, 25 - 2 * size]
    assert [fqid for page in found for fqid in page] == list(map(str, fqids))
    assert {page.json()["total_hits"] for page in pages} == {25}
    assert [page.headers["X-OpenAPI-Pagination"] for page in pages] == ["true", "true", "false"]


def test_a_raw_page_ends_by_the_size_of_its_documents(anyone, put, mark, replica):
    text = "x" * 4 * 1024 * 1024
    fqids = sorted((put({"mark": mark, "text": text, "n": n}) for n in range(3)), reverse=True)

    answer = search(anyone, replica, marked(mark), output_format="raw")
    pages = [answer]
    while answer.status_code == 206:
        answer = anyone.request("POST", answer.links["next"]["url"], json={"es_query": marked(mark)})
        pages.append(answer)

    # Two documents are more than 8 MiB. Before, this was one answer of all.
    assert [len(page.json()["results"]) for page in pages] == [2, 1]
    hits = [hit for page in pages for hit in page.json()["results"]]
    assert [hit["bundle_fqid"] for hit in hits] == list(map(str, fqids))
    assert {hit["metadata"]["n"] for hit in hits} == set(range(3))
    assert {hit["metadata"]["text"] for hit in hits} == {text}
    assert {page.json()["total_hits"] for page in pages} == {3}
    assert all(int(page.headers["Content-Length"]) == len(page.content) for page in pages)


def test_ids_that_are_no_fqids_find_nothing(anyone, put, mark, replica):
    fqid = put({"mark": mark})

    answer = search(anyone, replica, {"ids": {"values": ["x", 5, str(fqid)]}})
    nothing = search(anyone, replica, {"query": {"ids": {"values": ["x"]}}})

    assert [hit["bundle_fqid"] for hit in answer.json()["results"]] == [str(fqid)]
    assert (nothing.status_code, nothing.json()["results"], nothing.json()["total_hits"]) == (200, [], 0)


def test_a_lower_bound_of_the_total_says_so(replica):
    found = Page(hits=[], after=None, total=Total(hits=7, exact=False))

    body = json.loads(b"".join(answer_of("https://dss.example.org", replica, {}, found)))

    assert body == {"es_query": {}, "results": [], "total_hits": 7, "total_hits_relation": "gte"}


def test_an_old_client_gets_all_pages(stack, put, mark, replica):
    fqids = {str(put({"mark": mark})) for _ in range(11)}
    client = OldClient(
        f"{stack['DSS_URL']}/v1/swagger.json", Path(stack["DSS_LOCAL_SERVICE_ACCOUNT_KEY_FILE"])
    )
    found = list(client.items("post_search", es_query=marked(mark), replica=replica, per_page=10))
    assert {hit["bundle_fqid"] for hit in found} == fqids and len(found) == 11


def test_only_its_own_content_finds_a_tombstone(anyone, put, mark, replica):
    uuid = new_uuid()
    fqid = put({"mark": mark, "uuid": uuid}, fqid=Fqid(uuid, now()))
    dead = tombstone_document(uuid, "who@example.org", "withdrawn")
    put(dead, fqid=fqid, dead=True)

    assert search(anyone, replica, marked(mark)).json()["results"] == []
    killed = {"bool": {"must": [{"term": {"admin_deleted": True}}, {"match": {"uuid": uuid}}]}}
    [hit] = search(anyone, replica, killed, output_format="raw").json()["results"]
    assert (hit["bundle_fqid"], hit["metadata"]) == (str(fqid), dead)
    without = {
        "bool": {"must_not": {"exists": {"field": "mark"}}, "filter": {"ids": {"values": [str(fqid)]}}}
    }
    assert search(anyone, replica, without).json()["results"] == []


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"query": {"match_phrase": {"a": "b"}}}, ("es_query.query.match_phrase", "match_all")),
        ({"query": {"bool": {"must": [{"match": {"a": 1}}, {"nested": {}}]}}}, ("must[1].nested",)),
        ({"query": {"match_all": {}}, "aggs": {}}, ("es_query.aggs",)),
        ({"query": "text"}, ("es_query.query",)),
        ({"query": {"range": {"a": {"gte": [1]}}}}, ("es_query.query.range.a.gte",)),
    ],
)
def test_a_query_that_is_not_served_is_400_and_names_the_clause(anyone, replica, query, words):
    assert_problem(search(anyone, replica, query), 400, "elasticsearch_bad_request", *words)


@pytest.mark.parametrize(
    ("search_after", "code"),
    [
        ("x", "illegal_arguments"),
        ("7c3f2a60-5d43-4b8e-9a34-0f6f9f0f3c11.2026-01-12T093000.000000Z", "illegal_arguments"),
        ("x,y", "illegal_arguments"),
        ("7c3f2a60-5d43-4b8e-9a34-0f6f9f0f3c11,2020", "illegal_version"),
    ],
    # Not the values: two workers would each make up their own, and then agree on no list of tests.
    ids=["one word", "a version", "two words", "a year"],
)
def test_a_malformed_search_after_is_400(anyone, replica, search_after, code):
    answer = search(anyone, replica, {}, search_after=search_after)
    assert_problem(answer, 400, code, "search_after")


def test_a_search_works_in_read_only_mode(read_only, put, mark, replica):
    fqid = put({"mark": mark})
    [hit] = search(read_only.signed_in(None), replica, marked(mark)).json()["results"]
    assert hit["bundle_fqid"] == str(fqid)
