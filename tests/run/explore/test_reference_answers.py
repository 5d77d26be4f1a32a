"""Over HTTP: the predecessor's answers about nine bundle versions, field by field."""

from pathlib import Path
from typing import Any

from tests.run.explore.conftest import REFERENCE
from tests.support.explore_service import ExploreService
from tests.support.reference import comparable, read

LISTED = ("files", "samples", "projects", "bundles")
# More than there are.
ALL = {"catalog": REFERENCE, "size": 100}


def without_additions(hit: Any, entity_type: str) -> Any:
    """Return a hit without what the service adds, once it is checked."""
    for inner in hit[entity_type]:
        assert inner.pop("accessible") is True
    for file in files_of(hit):
        assert f"/repository/files/{file['uuid']}?" in file.pop("url")
    # Another deployment has another source.
    assert [each.keys() for each in hit.pop("sources")] == [{"sourceId", "sourceSpec"}]
    return hit


def files_of(value: Any) -> list[Any]:
    """Return all objects in a hit that are files."""
    if isinstance(value, list):
        return [file for each in value for file in files_of(each)]
    if not isinstance(value, dict):
        return []
    return [value] if "sha256" in value else files_of(list(value.values()))


def sorted_ids(facets: Any) -> Any:
    """Return facets with the ids of projects in one order: theirs have none."""
    for term in facets["project"]["terms"]:
        term["projectId"].sort()
    return facets


def test_hits_and_facets_are_the_predecessors(reference: ExploreService, expected: Path) -> None:
    index = read(expected, "joint.index.json")
    compared = 0
    for entity_type in LISTED:
        page = reference.get(f"/index/{entity_type}", **ALL)
        theirs = index[entity_type]
        assert sorted_ids(page["termFacets"]) == sorted_ids(theirs["termFacets"])
        assert page["pagination"]["total"] == page["pagination"]["count"] == theirs["count"]
        for hit in page["hits"]:
            wanted = theirs["hits_by_entryId"][hit["entryId"]]
            wanted.pop("sources")
            assert comparable(without_additions(hit, entity_type)) == comparable(wanted)
            compared += 1
    assert compared == 60


def test_an_entity_alone_is_its_hit(reference: ExploreService) -> None:
    for entity_type in LISTED:
        for hit in reference.get(f"/index/{entity_type}", **ALL, facets="")["hits"][:3]:
            alone = reference.get(f"/index/{entity_type}/{hit['entryId']}", catalog=REFERENCE)
            assert alone == {**hit, **({"status": "indexed"} if entity_type == "bundles" else {})}


def test_filters_find_and_count_the_same(reference: ExploreService, expected: Path) -> None:
    cases = read(expected, "joint.filters.json")
    assert len(cases) == 29
    for case in cases:
        for entity_type, theirs in case["results"].items():
            facets = ",".join(theirs.get("termFacets", ()))
            found = reference.get(
                f"/index/{entity_type}", **ALL, filters=case["filters"], sort="entryId", facets=facets
            )
            assert [hit["entryId"] for hit in found["hits"]] == theirs["entryIds"], case["filters"]
            assert found["pagination"]["total"] == theirs["total"]
            # The ids of projects are in another answer of theirs, but not in these.
            for term in found["termFacets"].get("project", {}).get("terms", ()):
                term.pop("projectId")
            for term in theirs.get("termFacets", {}).get("project", {}).get("terms", ()):
                term.pop("projectId", None)
            assert found["termFacets"] == theirs.get("termFacets", {}), case["filters"]


def test_orders_are_the_same_from_page_to_page_and_back(reference: ExploreService, expected: Path) -> None:
    cases = read(expected, "joint.sorting.json")
    assert len(cases) == 22
    for case in cases:
        query = {"catalog": REFERENCE, "sort": case["sort"], "order": case["order"], "facets": ""}
        pages = list(reference.pages(f"/index/{case['entity_type']}", **query, size=9))
        assert [hit["entryId"] for page in pages for hit in page["hits"]] == case["entryIds"], case
        page = pages[-1]
        back = [page]
        while page["pagination"]["previous"]:
            page = reference.get(page["pagination"]["previous"])
            assert page["pagination"]["next"]
            back.insert(0, page)
        assert [page["hits"] for page in back] == [page["hits"] for page in pages], case


def test_the_summary_is_the_predecessors(reference: ExploreService, expected: Path) -> None:
    assert reference.get("/index/summary", catalog=REFERENCE) == read(expected, "joint.summary.json")
    everything = {"accessible": {"is": [True]}}
    assert reference.get("/index/summary", catalog=REFERENCE, filters=everything) == read(
        expected, "joint.summary.json"
    )
