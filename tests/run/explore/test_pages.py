"""Pages of entities: their parameters, and what each changes."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from run.api.connections import MAX_URL
from run.explore.arguments import Arguments
from run.explore.pages import pagination_form
from shared.explore.catalogues import Catalogue
from shared.explore.hca.plugin import HcaPlugin
from shared.explore.query import Found, FoundPage, PageOrder
from shared.explore.rows import MAX_SORT_KEY
from shared.explore.settings import CatalogueSetting
from tests.run.explore.conftest import EMPTY, OWN, SAMPLES
from tests.support.api import new_uuid
from tests.support.explore_service import ExploreService
from tests.support.hca_sample import HcaBundle, id_of, sequenced

FILES = "/index/files"
# What anybody may read of SAMPLES.
NAMES = ["first_1.fastq", "first_2.fastq", "third_1.fastq", "third_2.fastq"]
SIZES = {"files": 1000, "samples": 1000, "projects": 100, "bundles": 100}


def names(page: Any) -> list[str]:
    return [hit["files"][0]["name"] for hit in page["hits"]]


def test_a_page_has_ten_hits_by_default_and_all_facets(service: ExploreService) -> None:
    page = service.get(FILES)

    assert page["pagination"] == {
        "count": 4,
        "total": 4,
        "size": 10,
        "pages": 1,
        "sort": "fileName",
        "order": "asc",
        "next": None,
        "previous": None,
    }
    assert names(page) == NAMES
    assert len(page["termFacets"]) == 40
    assert page["termFacets"]["organ"] == {
        "terms": [{"term": "brain", "count": 2}, {"term": "liver", "count": 2}],
        "total": 4,
        "type": "terms",
    }


@pytest.mark.parametrize("entity_type", SIZES)
def test_an_empty_catalogue_has_empty_pages(service: ExploreService, entity_type: str) -> None:
    page = service.get(f"/index/{entity_type}", catalog=EMPTY, size=1)

    assert page["hits"] == []
    assert (page["pagination"]["size"], page["pagination"]["total"], page["pagination"]["pages"]) == (1, 0, 0)
    assert {json.dumps(each) for each in page["termFacets"].values()} == {
        json.dumps({"terms": [], "total": 0, "type": "terms"})
    }


@pytest.mark.parametrize(("entity_type", "most"), SIZES.items())
def test_a_page_has_one_to_the_most_hits(service: ExploreService, entity_type: str, most: int) -> None:
    for size in (1, most):
        assert service.get(f"/index/{entity_type}", size=size)["pagination"]["size"] == size
    for wrong in (0, most + 1, -1, "x", "", "1.5", "9" * 30):
        answer = service.api.get(f"/index/{entity_type}", size=wrong)
        assert (answer.status_code, answer.json()["Message"]) == (400, "Invalid value for `size`")


def test_pages_follow_each_other_in_both_directions(service: ExploreService) -> None:
    pages = list(service.pages(FILES, size=1, sort="fileSize", order="desc", facets=""))

    # In order of the id, if the size is the same.
    assert sorted(names(page)[0] for page in pages[:2]) == ["first_2.fastq", "third_2.fastq"]
    assert sorted(names(page)[0] for page in pages[2:]) == ["first_1.fastq", "third_1.fastq"]
    assert [page["pagination"]["previous"] is None for page in pages] == [True, False, False, False]
    back = service.get(pages[2]["pagination"]["previous"])
    assert back["hits"] == pages[1]["hits"]
    assert back["pagination"]["next"]
    assert service.get(back["pagination"]["next"])["hits"] == pages[2]["hits"]


def test_urls_of_pages_keep_all_that_was_asked(service: ExploreService) -> None:
    query = {"facets": "organ", "fields": "files", "q": "title", "catalog": SAMPLES}
    first = service.get(FILES, size=3, filters={"organ": {"is": ["brain", "liver"]}}, **query)
    [_, second] = list(service.pages(FILES, size=3, filters={"organ": {"is": ["brain", "liver"]}}, **query))

    assert second["pagination"] == {
        **first["pagination"],
        "count": 1,
        "next": None,
        "previous": second["pagination"]["previous"],
    }
    assert second["termFacets"] == first["termFacets"]
    assert second["hits"][0].keys() == {"entryId", "files"}
    assert names(first) + names(second) == NAMES


@pytest.mark.parametrize("character", ["😀", "é", '"', "\\", "\x01", "a"])
def test_the_place_of_a_page_is_taken_whatever_the_key_is(character: str) -> None:
    """Also if a client has written its JSON anew, in ASCII."""
    plugin = HcaPlugin(host="h")
    catalogue = Catalogue(1, CatalogueSetting(name="all", plugin="hca"), plugin)
    edge = Found("x", (f"0{character * MAX_SORT_KEY}", new_uuid()), {})
    order = PageOrder(sort=catalogue.fields["fileName"], descending=False, size=1)

    page = pagination_form(
        FoundPage([edge], True, False), order, 2, url="https://h/i", given={}, in_body=frozenset()
    )

    assert len(page["next"]) < MAX_URL
    [sent] = parse_qs(urlsplit(page["next"]).query)["search_after"]
    for place in (sent, json.dumps(json.loads(sent))):
        read = Arguments({"search_after": place}).order(catalogue, plugin.entity_types["files"])
        assert read.after == edge.position


def test_what_comes_while_somebody_pages_is_shown_once_or_not_at_all(service: ExploreService) -> None:
    project = new_uuid()
    query = {"catalog": OWN, "size": 1, "facets": "", "filters": {"project": {"is": [project]}}}
    for number in "13":
        service.put(OWN, of_one_file(number, project).metadata())
    first = service.get(FILES, **query)
    for number in "02":
        service.put(OWN, of_one_file(number, project).metadata())

    later = [first, *service.pages(first["pagination"]["next"])]

    assert [name for page in later for name in names(page)] == ["1", "2", "3"]


def of_one_file(name: str, project: str) -> HcaBundle:
    bundle = HcaBundle(f"{name} of {project}", project=project)
    bundle.file(name)
    return bundle


def test_facets_are_counted_without_their_own_filter(service: ExploreService) -> None:
    page = service.get(FILES, filters={"organ": {"is": ["brain"]}, "fileFormat": {"is": ["fastq"]}})

    assert page["pagination"]["total"] == 2
    assert {term["term"]: term["count"] for term in page["termFacets"]["organ"]["terms"]} == {
        "brain": 2,
        "liver": 2,
    }
    assert page["termFacets"]["fileFormat"]["total"] == 2
    assert page["termFacets"]["project"]["terms"] == [
        {"term": "project", "count": 2, "projectId": [id_of("project")]}
    ]


def test_projects_of_one_name_are_listed_under_their_own_filter_too(service: ExploreService) -> None:
    [term] = service.get(FILES, filters={"project": {"is": ["none"]}})["termFacets"]["project"]["terms"]

    assert term == {"term": "project", "count": 4, "projectId": [id_of("project")]}


def test_facets_and_members_of_hits_can_be_chosen(service: ExploreService) -> None:
    page = service.get(FILES, facets="organ, accessible", fields="samples,nothing")

    assert page["termFacets"].keys() == {"organ", "accessible"}
    assert {tuple(sorted(hit)) for hit in page["hits"]} == {("entryId", "samples")}
    nothing = service.get(FILES, facets="", fields="")
    assert nothing["termFacets"] == {}
    assert {tuple(hit) for hit in nothing["hits"]} == {("entryId",)}
    assert nothing["pagination"]["total"] == 4


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("TITLE", 4),
        ("project title", 4),
        ("first_1.fastq", 1),
        ("third_1.fastq title", 1),
        ("nothing-of-the-kind", 0),
        ('"of project"', 4),
        # No words at all.
        *(("", 4), (" ", 4), ("!!", 4), ("' \\ :* <-> & |", 4)),
        ("\"unbalanced & | ! ( :* \\ '", 0),
    ],
)
def test_words_are_found(service: ExploreService, words: str, found: int) -> None:
    page = service.get(FILES, q=words, facets="organ")

    assert page["pagination"]["total"] == page["pagination"]["count"] == found
    assert page["termFacets"]["organ"]["total"] == found
    assert service.get("/index/summary", q=words)["fileCount"] == found


def test_a_filter_by_access_finds_all_or_nothing(service: ExploreService) -> None:
    accessible = {"terms": [{"term": "true", "count": 4}], "total": 4, "type": "terms"}
    for values, total in (([True], 4), ([True, False], 4), ([False], 0), ([], 0)):
        page = service.get(FILES, filters={"accessible": {"is": values}})
        assert page["pagination"]["total"] == len(page["hits"]) == total
        assert page["termFacets"]["accessible"] == accessible
        assert page["termFacets"]["organ"]["total"] == total
        summary = service.get("/index/summary", filters={"accessible": {"is": values}})
        assert summary["fileCount"] == total


def test_a_filter_by_source_finds_all(service: ExploreService) -> None:
    [source] = service.get("/repository/sources")["sources"]

    for field, value in (("sourceId", source["sourceId"]), ("sourceSpec", source["sourceSpec"])):
        assert service.get(FILES, filters={field: {"is": [value]}})["pagination"]["total"] == 4


def test_a_long_filter_is_posted(service: ExploreService) -> None:
    ids = [hit["files"][0]["uuid"] for hit in service.get(FILES)["hits"]]
    filters = json.dumps({"fileId": {"is": [*(new_uuid() for _ in range(1000)), *ids]}})
    assert len(filters) > 4 * 8192
    body = {"filters": filters, "size": 3, "facets": ""}

    answer = service.api.post(FILES, json=body)

    page = answer.json()
    assert (answer.status_code, page["pagination"]["total"]) == (200, 4)
    assert len(page["pagination"]["next"]) < 8192
    # The URL lacks what was in the body, which is sent to it again.
    last = service.api.post(page["pagination"]["next"], json=body).json()
    assert names(page) + names(last) == NAMES
    assert service.api.get(FILES, filters=filters).status_code == 414


def test_a_short_body_is_as_a_query(service: ExploreService) -> None:
    filters = json.dumps({"organ": {"is": ["brain"]}})
    posted = service.api.post(FILES, json={"filters": filters, "size": 1}, catalog=SAMPLES).json()

    assert posted == service.get(FILES, filters={"organ": {"is": ["brain"]}}, size=1, catalog=SAMPLES)
    assert names(service.get(posted["pagination"]["next"])) == ["first_2.fastq"]


@pytest.mark.parametrize("path", ["/index/files", "/index/projects", "/index/summary", "/index/catalogs"])
def test_a_head_has_the_headers_alone(service: ExploreService, path: str) -> None:
    answer = service.api.head(path)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == service.api.get(path).headers["Content-Length"]
    assert service.api.head(path, size=0).status_code == 400


def test_a_summary_sums_up_what_matches(service: ExploreService) -> None:
    summary = service.get("/index/summary", filters={"organ": {"is": ["liver"]}})

    assert (summary["fileCount"], summary["totalFileSize"], summary["donorCount"]) == (2, 30.0, 1)
    assert summary["organTypes"] == ["liver"]
    body = {"catalog": SAMPLES, "filters": json.dumps({"organ": {"is": ["liver", *map(str, range(9000))]}})}
    assert service.api.post("/index/summary", json=body).json() == summary
    assert summary["cellCountSummaries"] == [
        {"organType": ["liver"], "countOfDocsWithOrganType": 1, "totalCellCountByOrgan": 50.0}
    ]


def test_an_entity_is_found_only_if_it_matches(service: ExploreService) -> None:
    path = f"/index/samples/{id_of('a')}"

    assert service.get(path)["samples"][0]["id"] == "a"
    assert service.get(path, filters={"organ": {"is": ["brain"]}})["entryId"] == id_of("a")
    assert service.api.get(path, filters='{"organ": {"is": ["liver"]}}').status_code == 404
    assert service.get(path, fields="").keys() == {"entryId"}


def test_two_bundles_of_a_specimen_are_one_sample(service: ExploreService) -> None:
    specimen = new_uuid()
    for number in (1, 2):
        service.put(OWN, sequenced(f"{number} of {specimen}", specimen=specimen).metadata())

    page = service.get("/index/samples", catalog=OWN, filters={"sampleId": {"is": [specimen]}})

    assert [hit["samples"][0]["id"] for hit in page["hits"]] == [specimen]
    assert page["hits"][0]["cellSuspensions"][0]["totalCells"] == 200
