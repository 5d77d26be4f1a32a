"""The parameters of the catalogue's operations, from the query or the body, checked against a catalogue."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import IllegalArguments, NotFound
from shared.explore.catalogues import Catalogue
from shared.explore.fields import Field
from shared.explore.filters import Filter, parse_filters
from shared.explore.plugins import EntityType
from shared.explore.query import PageOrder, Position, Query

COMMON = frozenset(("catalog", "filters", "q"))
# The predecessor's clients send the last two; they have no effect.
PAGED = COMMON | {
    *("size", "sort", "order", "search_after", "search_before", "facets", "fields"),
    *("search_after_uid", "search_before_uid"),
}
_CATALOG = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_DEFAULT_SIZE = 10
_MOST_WORDS = 1000
# Characters. A filter may list thousands of ids.
_MOST_FILTERS = 1_000_000


@dataclass(frozen=True)
class Arguments:
    """Named texts, of a query or a body."""

    given: Mapping[str, str]

    @classmethod
    def of(
        cls, query: Mapping[str, str], body: Mapping[str, Any] | None, known: frozenset[str]
    ) -> "Arguments":
        """Return the parameters of a request.

        Raises IllegalArguments, which names them, if there are unknown ones, or one in both query and body.
        """
        in_body = {name: _text(name, value) for name, value in (body or {}).items()}
        both = sorted(in_body.keys() & query.keys())
        if both:
            raise IllegalArguments(f"Parameter `{both[0]}` is in both the query and the body")
        given = {**query, **in_body}
        unknown = sorted(given.keys() - known)
        if unknown:
            names = ", ".join(f"`{name[:100]}`" for name in unknown)
            raise IllegalArguments(f"Unknown query parameter{'s' if len(unknown) > 1 else ''} {names}")
        return cls(given)

    def catalogue(self, catalogues: Mapping[str, Catalogue]) -> Catalogue:
        """Return the catalogue that is asked, by default the first one. Raises IllegalArguments, NotFound."""
        name = self.given.get("catalog")
        if name is None and catalogues:
            return next(iter(catalogues.values()))
        if name is not None and not _CATALOG.fullmatch(name):
            raise _invalid("catalog")
        if name not in catalogues:
            known = ", ".join(sorted(catalogues))
            raise NotFound(f"Catalog name {name!r} does not exist. Must be one of {{{known}}}.")
        return catalogues[name]

    def query(self, catalogue: Catalogue, entity_type: str) -> Query:
        """Return what is asked for. Raises IllegalArguments."""
        words = self.given.get("q", "")
        if len(words) > _MOST_WORDS:
            raise _invalid("q")
        return Query(
            entity_type=entity_type,
            filters=self._filters(catalogue),
            words=words.replace("\0", " "),
            facets=self._facets(catalogue),
        )

    def order(self, catalogue: Catalogue, entity_type: EntityType) -> PageOrder:
        """Return the order and the place of the page that is asked for. Raises IllegalArguments."""
        sort = self.given.get("sort", entity_type.default_sort)
        if sort not in catalogue.fields:
            raise IllegalArguments(f"Unknown field `{sort[:200]}`")
        default = entity_type.default_order if "sort" not in self.given else "asc"
        order = self.given.get("order", default)
        if order not in ("asc", "desc"):
            raise _invalid("order")
        after, before = self._position("search_after"), self._position("search_before")
        if after and before:
            raise IllegalArguments("Only one of search_after or search_before may be set")
        return PageOrder(
            sort=catalogue.fields[sort],
            descending=order == "desc",
            size=self._size(entity_type),
            after=after,
            before=before,
        )

    def fields(self) -> frozenset[str] | None:
        """Return which parts of hits are wanted; None for all."""
        return frozenset(_names(self.given["fields"])) if "fields" in self.given else None

    def _filters(self, catalogue: Catalogue) -> Sequence[Filter]:
        text = self.given.get("filters", "{}")
        if len(text) > _MOST_FILTERS:
            raise _invalid("filters")
        return parse_filters(text, catalogue.fields)

    def _facets(self, catalogue: Catalogue) -> Sequence[Field] | None:
        if "facets" not in self.given:
            return None
        found = []
        for name in _names(self.given["facets"]):
            if name not in catalogue.fields or not catalogue.fields[name].is_facet:
                raise IllegalArguments(f"Unknown facet `{name[:200]}`")
            found.append(catalogue.fields[name])
        return found

    def _size(self, entity_type: EntityType) -> int:
        text = self.given.get("size", str(_DEFAULT_SIZE))
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:10]) <= entity_type.max_size):
            raise _invalid("size")
        return int(text)

    def _position(self, name: str) -> Position | None:
        if name not in self.given:
            return None
        try:
            key, entity_id = json.loads(self.given[name])
        except (ValueError, TypeError, RecursionError):
            raise _invalid(name) from None
        if not isinstance(key, str) or not isinstance(entity_id, str) or "\0" in key + entity_id:
            raise _invalid(name)
        return key, entity_id


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _invalid(name)
    return str(value)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _invalid(name: str) -> IllegalArguments:
    return IllegalArguments(f"Invalid value for `{name[:100]}`")
