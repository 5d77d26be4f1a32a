"""Pages of hits in the predecessor's form."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from shared.explore.bundle_metadata import Json
from shared.explore.catalogues import Catalogue
from shared.explore.query import FacetCounts, Found, FoundPage, PageOrder

# The inner list of a hit that is about the entity itself.
_OWN = {"files": "files", "samples": "samples", "projects": "projects", "bundles": "bundles"}


def hit_form(catalogue: Catalogue, entity_type: str, found: Found, base_url: str) -> dict[str, Json]:
    """Return a hit, with what the service adds: that it is accessible, and URLs of files."""
    hit = catalogue.plugin.hit(entity_type, found.document)
    for inner in hit.get(_OWN.get(entity_type, ""), ()):
        inner["accessible"] = True
    for file in hit.get("files", ()):
        query = urlencode({"catalog": catalogue.name, "version": file["version"]})
        file["url"] = f"{base_url}/repository/files/{file['uuid']}?{query}"
    return hit


def facets_form(counts: Mapping[str, FacetCounts]) -> dict[str, Json]:
    """Return the counts of facets."""
    return {name: _facet(each) for name, each in counts.items()}


def _facet(counts: FacetCounts) -> dict[str, Json]:
    terms = [{"term": _term(value), "count": count} for value, count in counts.terms]
    return {"terms": terms, "total": counts.total, "type": "terms"}


def _term(value: Json) -> Json:
    # The predecessor's numbers and booleans are texts in facets.
    return json.dumps(value) if isinstance(value, bool | int | float) else value


def pagination_form(
    found: FoundPage, order: PageOrder, total: int, *, url: str, given: Mapping[str, str]
) -> dict[str, Json]:
    """Return where a page lies among all hits, with the URLs of its neighbours."""
    base = {
        **{name: given[name] for name in ("catalog", "filters", "q", "facets", "fields") if name in given},
        "sort": order.sort.name,
        "order": "desc" if order.descending else "asc",
        "size": order.size,
    }

    def neighbour(name: str, edge: Found) -> str:
        return f"{url}?{urlencode({**base, name: json.dumps(list(edge.position))})}"

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
