"""Hits stay small: of a bundle of thousands of files, a page shows the first, and says where the others are.

The predecessor's answers were larger than its limit, and so errors, at 10,177 files.
"""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from run.explore.pages import hit_form
from shared.explore.catalogues import Catalogue
from shared.explore.plugins import Plugin
from shared.explore.query import Found
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


def shown(entity_type: str, document: Any, *, most: int = 1000) -> Any:
    """Return a hit of a plug-in that shows documents as they are."""
    plugin = cast(Plugin, SimpleNamespace(hit=lambda _, each: each))
    catalogue = Catalogue(1, CatalogueSetting(name="all", plugin="x"), plugin)
    return hit_form(catalogue, entity_type, Found("x", ("", ""), document), BASE, most=most)


@pytest.mark.parametrize(("files", "most"), [(10_000, 100), (10_000, 1000), (3, 2)])
def test_no_hit_lists_more_files_than_it_may(files: int, most: int) -> None:
    listed = [{"uuid": str(number), "version": "1"} for number in range(files)]

    hit = shown("bundles", {"entryId": "b", "files": listed}, most=most)

    assert [file["uuid"] for file in hit["files"]] == list(map(str, range(most)))
    assert hit["files"][0]["url"] == f"{BASE}/repository/files/0?catalog=all&version=1"
    assert hit["filesTotal"] == files
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


def test_a_plugin_may_list_neither() -> None:
    for entity_type in ("files", "bundles", "others"):
        assert shown(entity_type, {"entryId": "x"}) == {"entryId": "x"}
