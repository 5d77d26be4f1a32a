"""Hits stay small: of a bundle of thousands of files, a page shows the first, and says where the others are.

The predecessor's answers were larger than its limit, and so errors, at 10,177 files.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from run.explore import handlers
from run.explore.pages import hit_form
from shared.explore.catalogues import Catalogue
from shared.explore.entities import shortened
from shared.explore.hca.plugin import HcaPlugin
from shared.explore.plugins import Plugin
from shared.explore.query import Found, FoundPage
from shared.explore.settings import CatalogueSetting
from tests.run.explore.conftest import OWN
from tests.support.api import new_uuid
from tests.support.explore_service import ExploreService
from tests.support.hca_sample import HcaBundle

BASE = "https://dss.example.org"


def test_a_bundle_of_many_files_links_to_them(service: ExploreService) -> None:
    name = new_uuid()
    bundle = HcaBundle(name, project=f"project of {name}")
    for number in range(101):
        bundle.file(f"{number:03}-{name}.txt")
    fqid = service.put(OWN, bundle.metadata())
    filters = {"bundleUuid": {"is": [fqid.uuid]}}

    [hit] = service.get("/index/bundles", catalog=OWN, filters=filters, facets="")["hits"]
    alone = service.get(f"/index/bundles/{fqid.uuid}", by=service.admin, catalog=OWN)

    assert (len(hit["files"]), hit["filesTotal"]) == (100, 101)
    assert service.get(hit["filesUrl"])["pagination"]["total"] == 101
    assert len(alone["files"]) == 101
    assert "filesTotal" not in alone


def shown(entity_type: str, document: Any) -> Any:
    """Return a hit of a plug-in that shows documents as they are."""
    plugin = cast(Plugin, SimpleNamespace(hit=lambda _, each: each))
    catalogue = Catalogue(1, CatalogueSetting(name="all", plugin="x"), plugin)
    return hit_form(catalogue, entity_type, Found("x", ("", ""), document), BASE)


@pytest.mark.parametrize(("files", "most"), [(10_000, 100), (10_000, 1000), (3, 2), (2, 2)])
def test_no_document_of_a_bundle_lists_more_files_than_it_may(files: int, most: int) -> None:
    document = {"contents": {"files": list(range(files))}, "more": 1}

    found = shortened("bundles", document, most)

    assert found["contents"]["files"] == list(range(most))
    assert found["more"] == 1
    assert found.get("files_total") == (files if files > most else None)
    assert shortened("projects", document, most) == document


def test_a_hit_that_does_not_list_all_files_says_where_they_are() -> None:
    listed = [{"uuid": "0", "version": "1"}]

    hit = shown("bundles", {"entryId": "b", "files": listed, "files_total": 10_000})

    assert hit["files"][0]["url"] == f"{BASE}/repository/files/0?catalog=all&version=1"
    assert hit["filesTotal"] == 10_000
    assert hit["filesUrl"] == (
        f"{BASE}/index/files?catalog=all&filters=%7B%22bundleUuid%22%3A+%7B%22is%22%3A+%5B%22b%22%5D%7D%7D"
    )


@pytest.mark.parametrize(("bundles", "links"), [(99, False), (100, True)])
def test_a_file_in_very_many_bundles_links_to_them(bundles: int, links: bool) -> None:
    files = [{"uuid": "f", "version": "1"}]

    hit = shown("files", {"entryId": "x", "files": files, "bundles": [{}] * bundles})

    assert ("bundlesUrl" in hit) is links
    if links:
        assert hit["bundlesUrl"].startswith(f"{BASE}/index/bundles?catalog=all&filters=%7B%22fileId%22")


@pytest.mark.parametrize(
    "more",
    [
        {"files": [{"uuid": "a"}, {"version": "1"}, {}, "a.txt", None]},
        {"files": {"uuid": "a"}, "projects": ["a"], "bundles": [{}] * 100},
        {"files": None, "projects": [{"matrices": "a", "contributedAnalyses": {"a": ["b", {"size": 1}]}}]},
    ],
)
@pytest.mark.parametrize("entity_type", ["files", "bundles", "projects"])
def test_what_a_plugin_lists_need_not_be_files(entity_type: str, more: Any) -> None:
    hit = shown(entity_type, {"entryId": "x", **more})

    assert '"url"' not in json.dumps(hit)
    assert hit.keys() == {"entryId", *more}


@pytest.mark.parametrize(("entity_type", "share"), [("bundles", 10), ("files", 100)])
def test_pages_share_the_memory_of_large_answers(entity_type: str, share: int) -> None:
    reserved = []

    @contextmanager
    def reserve(size: int) -> Iterator[None]:
        reserved.append(size)
        yield
        reserved.append(0)

    plugin = HcaPlugin(host="h")
    catalogue = Catalogue(1, CatalogueSetting(name="all", plugin="hca"), plugin)
    call: Any = SimpleNamespace(
        query={"facets": ""},
        base_url=BASE,
        path="",
        reader=None,
        memory=SimpleNamespace(collections=SimpleNamespace(reserve=reserve)),
        dss=SimpleNamespace(
            policy=SimpleNamespace(counts_as=lambda _: None),
            catalogues=SimpleNamespace(
                catalogues=lambda: {"all": catalogue},
                page=lambda *_: FoundPage([], has_next=False, has_previous=False),
                counts=lambda *_: (0, {}),
            ),
        ),
    )

    assert handlers.list_entities(call, entity_type=entity_type).status_code == 200
    assert reserved == [handlers.MEMORY_OF_LARGEST_PAGE // share, 0]


def test_a_plugin_may_list_neither() -> None:
    for entity_type in ("files", "bundles", "others"):
        assert shown(entity_type, {"entryId": "x"}) == {"entryId": "x"}
