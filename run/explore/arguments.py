"""The parameters of the catalogue's operations, from the query or the body, checked against a catalogue."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from run.explore.checked_json import checked_json
from shared.errors import Forbidden, IllegalArguments, NotFound
from shared.explore.catalogues import Catalogue
from shared.explore.fields import Field, FieldType
from shared.explore.filters import Filter, Relation, parse_filters
from shared.explore.plugins import EntityType
from shared.explore.query import PageOrder, Position, Query

FILTERED = frozenset(("catalog", "filters", "q"))
# The predecessor's clients send the last two; they have no effect.
PAGED = FILTERED | {
    *("size", "sort", "order", "search_after", "search_before", "facets", "fields"),
    *("search_after_uid", "search_before_uid"),
}
# What a reader may not see is not there, so all that is found is accessible: a field of the service's own.
ACCESSIBLE = Field("accessible", (), FieldType.FLAG, is_facet=True)
# Matches no document.
NOTHING = Filter(Field("entryId", ("entity_id",)), Relation.IS, ())
_SOURCE = "sourceId"
_CATALOG = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_DEFAULT_SIZE = 10
# Characters of parameters that are no JSON.
_MOST_CHARACTERS = 1000
# Characters: those of a sort key (`shared.explore.rows`), each of which a client may write as twelve, and an
# id.
_MOST_OF_POSITION = 7000
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
            raise IllegalArguments(f"Parameter `{both[0][:100]}` is in both the query and the body")
        given = {**query, **in_body}
        unknown = sorted(given.keys() - known)
        if unknown:
            names = ", ".join(f"`{name[:100]}`" for name in unknown[:20])
            raise IllegalArguments(f"Unknown query parameter{'s' if len(unknown) > 1 else ''} {names}")
        return cls(given)

    def required(self, name: str) -> str:
        """Return a parameter that has to be there. Raises IllegalArguments."""
        if name not in self.given:
            raise IllegalArguments(f"Missing required query parameter `{name}`")
        return self.text(name)

    def text(self, name: str, default: str = "") -> str:
        """Return a short text. Raises IllegalArguments if it is long."""
        text = self.given.get(name, default)
        if len(text) > _MOST_CHARACTERS:
            raise invalid(name)
        return text

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        """Return one of some words. Raises IllegalArguments."""
        chosen = self.given.get(name, default)
        if chosen not in choices:
            raise invalid(name)
        return chosen

    def catalogue(self, catalogues: Mapping[str, Catalogue]) -> Catalogue:
        """Return the catalogue that is asked, by default the first one. Raises IllegalArguments, NotFound."""
        name = self.given.get("catalog")
        if name is not None and not _CATALOG.fullmatch(name):
            raise invalid("catalog")
        if not catalogues:
            raise NotFound("This deployment has no catalog; its operator lists catalogs in DSS_CATALOGUES.")
        if name is None:
            return next(iter(catalogues.values()))
        if name not in catalogues:
            known = ", ".join(sorted(map(repr, catalogues)))
            raise NotFound(f"Catalog name {name!r} does not exist. Must be one of {{{known}}}.")
        return catalogues[name]

    def query(self, catalogue: Catalogue, entity_type: str) -> Query:
        """Return what is asked for. Raises IllegalArguments, and Forbidden for a source that is not there.

        `facets` are all that are to be counted, but for ACCESSIBLE.
        """
        return Query(
            entity_type=entity_type,
            filters=self._filters(catalogue),
            words=self._words(),
            facets=[each for each in self.facets(catalogue) if each is not ACCESSIBLE],
        )

    def facets(self, catalogue: Catalogue) -> Sequence[Field]:
        """Return the facets to count: those that are named, or all. Raises IllegalArguments."""
        known = {each.name: each for each in (ACCESSIBLE, *catalogue.fields.values()) if each.is_facet}
        if "facets" not in self.given:
            return list(known.values())
        names = dict.fromkeys(_names(self.given["facets"]))
        for name in names:
            if name not in known:
                raise IllegalArguments(f"Unknown facet `{name[:200]}`")
        return [known[name] for name in names]

    def order(self, catalogue: Catalogue, entity_type: EntityType) -> PageOrder:
        """Return the order and the place of the page that is asked for. Raises IllegalArguments."""
        sort = self.given.get("sort", entity_type.default_sort)
        if sort not in catalogue.fields:
            raise IllegalArguments(f"Unknown field `{sort[:200]}`")
        default = entity_type.default_order if "sort" not in self.given else "asc"
        order = self.choice("order", ("asc", "desc"), default)
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

    def _words(self) -> str:
        words = self.text("q")
        if "\0" in words:
            raise IllegalArguments(f"{invalid('q').title}: holds a null character")
        return words

    def _filters(self, catalogue: Catalogue) -> Sequence[Filter]:
        text = self.given.get("filters", "{}")
        if len(text) > _MOST_FILTERS:
            raise invalid("filters")
        given = checked_json(text, "The `filters` parameter is not valid JSON")
        found = parse_filters(given, {**catalogue.fields, ACCESSIBLE.name: ACCESSIBLE})
        for each in found:
            if each.field.name == _SOURCE:
                _check_source(each, catalogue)
        return [NOTHING if _finds_nothing(each) else each for each in found if not _finds_all(each)]

    def _size(self, entity_type: EntityType) -> int:
        text = self.given.get("size", str(_DEFAULT_SIZE))
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:10]) <= entity_type.max_size):
            raise invalid("size")
        return int(text[:10])

    def _position(self, name: str) -> Position | None:
        if name not in self.given:
            return None
        text = self.given[name]
        if len(text) > _MOST_OF_POSITION:
            raise invalid(name)
        match checked_json(text, str(invalid(name))):
            case [str(key), str(entity_id)]:
                return key, entity_id
        raise invalid(name)


def _finds_all(each: Filter) -> bool:
    return each.field is ACCESSIBLE and True in _flags(each)


def _finds_nothing(each: Filter) -> bool:
    return each.field is ACCESSIBLE and True not in _flags(each)


def _flags(each: Filter) -> Sequence[Any]:
    _refuse_null(each)
    return each.values


def _check_source(each: Filter, catalogue: Catalogue) -> None:
    """Raise Forbidden for another source than the catalogue's, whether it exists or not."""
    _refuse_null(each)
    if not set(each.values) <= {catalogue.source["id"]}:
        raise Forbidden(f"The filter for `{_SOURCE}` names a source that you have no access to")


def _refuse_null(each: Filter) -> None:
    if None in each.values:
        raise IllegalArguments(
            f"The value of the `{each.relation.value}` relation in the filter for `{each.field.name}` "
            "is invalid: null is no value of this field"
        )


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise invalid(name)
    return str(value)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def invalid(name: str) -> IllegalArguments:
    """Return the error of a parameter whose value can't be read."""
    return IllegalArguments(f"Invalid value for `{name[:100]}`")
