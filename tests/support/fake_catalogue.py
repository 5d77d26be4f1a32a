"""A catalogue of a few invented files, in the form of the API, for tests of its clients."""

import json
from typing import Any
from urllib.parse import urlencode

_DESCRIBED = {
    "metadata": {"name": "hca", "indices": {"files": {}, "samples": {"max_size": 3}}},
    "repository": {},
}
_OTHER = {"metadata": {"name": "recordings", "indices": {"animals": {}}}, "repository": {}}


class FakeCatalogue:
    """Answers as the service does for `hits`, and remembers the parameters of what was asked.

    Where a page begins is the number of its first hit.
    """

    def __init__(self, hits: list[dict[str, Any]]) -> None:
        self.hits = hits
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.names = {"hca": _DESCRIBED, "recordings": _OTHER}
        # As for filters that are too long for a URL.
        self.next_has_the_place_alone = False
        self.next_is_the_same = False

    def __call__(self, path: str, params: dict[str, str]) -> tuple[int, Any]:
        self.asked.append((path, params))
        if path == "catalogs":
            catalogs = {name: {"plugins": plugins} for name, plugins in self.names.items()}
            return 200, {"default_catalog": next(iter(self.names), None), "catalogs": catalogs}
        if "nope" in params.get("filters", ""):
            return 400, {"Code": "BadRequestError", "Message": "Unknown field `nope`"}
        if path == "summary":
            sums = [{"format": "csv", "count": 2, "totalSize": 20.0}]
            return 200, {
                "fileCount": len(self.hits),
                "organTypes": ["brain", None],
                "fileTypeSummaries": sums,
            }
        return 200, self._page(path, params)

    def _page(self, path: str, params: dict[str, str]) -> dict[str, Any]:
        start, size = json.loads(params.get("search_after", "[0, 0]"))[0], int(params["size"])
        end = start + size
        place = {"search_after": json.dumps([0 if self.next_is_the_same else end, "id"])}
        kept = {} if self.next_has_the_place_alone else params
        # As behind a proxy: the DSS knows itself by another name.
        url = f"https://dss.invalid/index/{path}?{urlencode({**kept, **place})}"
        terms = [{"term": "brain", "count": 3}, {"term": {"value": "20", "unit": "year"}, "count": 1}]
        terms.append({"term": None, "count": 1})
        return {
            "hits": self.hits[start:end],
            "pagination": {"total": len(self.hits), "next": url if end < len(self.hits) else None},
            "termFacets": {"organ": {"terms": terms, "total": 5, "type": "terms"}},
        }


def file_hit(number: int, **more: Any) -> dict[str, Any]:
    """Return a hit of a file."""
    file = {"name": f"{number}.csv", "format": "csv", "size": number, "uuid": f"uuid-{number}"}
    bundles = [{"bundleUuid": "b1", "bundleVersion": "v"}, {"bundleUuid": "b2", "bundleVersion": "v"}]
    return {
        "entryId": f"id-{number}",
        "files": [file],
        "bundles": bundles,
        "samples": [{"effectiveOrgan": ["brain", None], "disease": []}],
        "donorOrganisms": [],
        **more,
    }
