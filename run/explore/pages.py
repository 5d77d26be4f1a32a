"""Hits, and pages of them, in the predecessor's form."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

from run.api.connections import MAX_URL
from shared.explore.bundle_metadata import Json
from shared.explore.catalogues import Catalogue
from shared.explore.entities import MOST_BUNDLES
from shared.explore.links import file_url
from shared.explore.query import Found, FoundPage, PageOrder

# Members of projects: trees of files.
_TREES = ("matrices", "contributedAnalyses")
# What a page's URL may have of a request; the order and the place are put in anew.
_KEPT = ("catalog", "filters", "q", "facets", "fields")


def hit_form(catalogue: Catalogue, entity_type: str, found: Found, base_url: str) -> dict[str, Json]:
    """Return a hit, with what the service adds: that it is accessible, and URLs of files.

    If a bundle has more files than are listed, `filesTotal` says how many there are, and `filesUrl` where.
    `bundlesUrl` is where all bundles of a file are that is in very many.
    """
    hit = catalogue.plugin.hit(entity_type, found.document)
    for inner in _members(hit, entity_type):
        inner["accessible"] = True
    link = partial(_link, catalogue, base_url)
    if "files" in hit and "files_total" in found.document:
        hit["filesTotal"] = found.document["files_total"]
        hit["filesUrl"] = link("files", "bundleUuid", hit["entryId"])
    files = list(stored_files(hit))
    if entity_type == "files" and files and len(hit.get("bundles", ())) >= MOST_BUNDLES:
        hit["bundlesUrl"] = link("bundles", "fileId", files[0]["uuid"])
    for file in files:
        file["url"] = file_url(base_url, catalogue.name, file)
    return hit


def _link(catalogue: Catalogue, base_url: str, entity_type: str, field: str, value: Json) -> str:
    filters = json.dumps({field: {"is": [value]}})
    return f"{base_url}/index/{entity_type}?{urlencode({'catalog': catalogue.name, 'filters': filters})}"


def stored_files(hit: Mapping[str, Any]) -> Iterator[dict[str, Json]]:
    """Yield the files of a hit that name one of the store, by `uuid` and `version`."""
    return (file for file in _files(hit) if "uuid" in file and "version" in file)


def _files(hit: Mapping[str, Any]) -> Iterator[dict[str, Json]]:
    yield from _members(hit, "files")
    trees = [project.get(name) for project in _members(hit, "projects") for name in _TREES]
    while trees:
        match trees.pop():
            case list(files):
                yield from _objects(files)
            case dict(below):
                trees += below.values()


def _members(hit: Mapping[str, Any], name: str) -> Iterator[dict[str, Json]]:
    """Yield the objects of a list of a hit, if a plug-in has made one."""
    found = hit.get(name)
    return _objects(found if isinstance(found, list) else [])


def _objects(found: list[Any]) -> Iterator[dict[str, Json]]:
    return (each for each in found if isinstance(each, dict))


def pagination_form(
    found: FoundPage,
    order: PageOrder,
    total: int,
    *,
    url: str,
    given: Mapping[str, str],
    in_body: frozenset[str],
) -> dict[str, Json]:
    """Return where a page lies among all hits, with the URLs of its neighbours.

    If a URL would be too long, parameters that were in the body are left out of it: they are to be sent to
    it again, but for the place.
    """
    base = {
        **{name: given[name] for name in _KEPT if name in given},
        "sort": order.sort.name,
        "order": "desc" if order.descending else "asc",
        "size": order.size,
    }

    def neighbour(name: str, edge: Found) -> str:
        place = {name: json.dumps(list(edge.position), ensure_ascii=False)}
        complete = f"{url}?{urlencode({**base, **place})}"
        if len(complete) < MAX_URL:
            return complete
        return f"{url}?{urlencode({**{key: base[key] for key in base if key not in in_body}, **place})}"

    hits = found.found
    return {
        "count": len(hits),
        "total": total,
        "size": order.size,
        "pages": -(-total // order.size),
        "sort": order.sort.name,
        "order": base["order"],
        "next": neighbour("search_after", hits[-1]) if hits and found.has_next else None,
        "previous": neighbour("search_before", hits[0]) if hits and found.has_previous else None,
    }


def chosen(hit: dict[str, Any], names: frozenset[str] | None) -> dict[str, Json]:
    """Return the parts of a hit that are wanted; `entryId` is always one."""
    return hit if names is None else {key: hit[key] for key in hit if key in names or key == "entryId"}
