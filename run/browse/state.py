"""The state of a list, which is all in the URL of its page, so that it can be shared and gone back to.

is.FIELD=VALUE            one of the values that the field may have; comes several times
none=FIELD                or no value at all
least.FIELD, most.FIELD   bounds of a number or a day, both included
q                         words
sort, order, size         the order, `asc` or `desc`, and the length of a page
after, before             where a page begins or ends
column=FIELD              the columns to show, in their order
catalog                   the catalogue to ask
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Self
from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict

from run.api.connections import MAX_URL
from run.browse.parameters import refuse_repeated, refuse_unknown
from run.explore.arguments import Arguments
from run.explore.checked_json import checked_json
from shared.errors import IllegalArguments
from shared.explore.bundle_metadata import Json
from shared.explore.catalogues import Catalogue
from shared.explore.fields import Field, FieldType

# A page of 50 with long names in all cells has 80 KB.
SIZES = (20, 50)
_DEFAULT_SIZE = SIZES[0]
_IS, _LEAST, _MOST = "is.", "least.", "most."
_ONCE = ("catalog", "q", "sort", "order", "size", "after", "before")
_REPEATED = ("none", "column")
_LOWEST, _HIGHEST = -1e308, 1e308
# Characters of a value that may be chosen.
_MOST_OF_VALUE = 300


@dataclass(frozen=True, kw_only=True)
class State:
    """What a list shows. Texts are as in the URL, and not checked against a catalogue yet."""

    once: Mapping[str, str] = field(default_factory=dict)
    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()
    least: Mapping[str, str] = field(default_factory=dict)
    most: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()

    @classmethod
    def read(cls, given: MultiDict[str, str], *also: str) -> Self:
        """Return the state in a query; `also` are further parameters of a page.

        Empty parameters count as missing: forms send them. Raises IllegalArguments, which names what is
        unknown or comes twice.
        """
        names = [name for name in given if not name.startswith((_IS, _LEAST, _MOST))]
        refuse_unknown(names, {*_ONCE, *_REPEATED, *also})
        refuse_repeated(given, (name for name in given if name not in _REPEATED and not name.startswith(_IS)))
        return cls(
            once={name: given[name] for name in _ONCE if given.get(name)},
            chosen={
                name.removeprefix(_IS): tuple(dict.fromkeys(given.getlist(name)))
                for name in given
                if name.startswith(_IS)
            },
            lacking=tuple(dict.fromkeys(given.getlist("none"))),
            least=_bounds(given, _LEAST),
            most=_bounds(given, _MOST),
            columns=tuple(dict.fromkeys(name for name in given.getlist("column") if name)),
        )

    @property
    def words(self) -> str:
        """The words that are looked for."""
        return self.once.get("q", "")

    @property
    def filtered(self) -> tuple[str, ...]:
        """The names of the fields that are filtered."""
        return tuple(dict.fromkeys((*self.chosen, *self.lacking, *self.least, *self.most)))

    def has(self, name: str, text: str | None) -> bool:
        """Return whether a value is chosen; None is no value."""
        return name in self.lacking if text is None else text in self.chosen.get(name, ())

    def query(self) -> list[tuple[str, str]]:
        """Return the parameters of the URL, in one order."""
        return [
            *((name, self.once[name]) for name in _ONCE if name in self.once),
            *((f"{_IS}{name}", text) for name, texts in self.chosen.items() for text in texts),
            *(("none", name) for name in self.lacking),
            *((f"{_LEAST}{name}", text) for name, text in self.least.items()),
            *((f"{_MOST}{name}", text) for name, text in self.most.items()),
            *(("column", name) for name in self.columns),
        ]

    def url(self, path: str, **more: str) -> str:
        """Return the URL of a page with this state."""
        query = urlencode([*self.query(), *more.items()], errors="surrogatepass")
        return f"{path}?{query}" if query else path

    def first_page(self) -> Self:
        """Return the state without the place of a page."""
        return self.with_once(after="", before="")

    def with_once(self, **changes: str) -> Self:
        """Return the state with other parameters; empty ones are left out."""
        once = {name: text for name, text in {**self.once, **changes}.items() if text}
        return replace(self, once=once)

    def of_type(self) -> Self:
        """Return what holds for other types of entities: filters, words and the catalogue."""
        return replace(self.with_once(sort="", order="", after="", before=""), columns=())

    def with_value(self, name: str, text: str | None, *, alone: bool = False) -> Self:
        """Return the state with a value more, on the first page; `alone`, in place of others of its field."""
        state = self.first_page()
        if text is None:
            return replace(state, lacking=tuple(dict.fromkeys((*state.lacking, name))))
        others = () if alone else state.chosen.get(name, ())
        return replace(state, chosen={**state.chosen, name: tuple(dict.fromkeys((*others, text)))})

    def without_value(self, name: str, text: str | None) -> Self:
        """Return the state without a value that is chosen, on the first page."""
        state = self.first_page()
        if text is None:
            return replace(state, lacking=tuple(each for each in state.lacking if each != name))
        left = tuple(each for each in state.chosen.get(name, ()) if each != text)
        others = {each: texts for each, texts in state.chosen.items() if each != name}
        return replace(state, chosen={**others, name: left} if left else others)

    def without_field(self, name: str) -> Self:
        """Return the state without a filter, on the first page."""
        state = self.first_page()
        return replace(
            state,
            chosen={each: texts for each, texts in state.chosen.items() if each != name},
            lacking=tuple(each for each in state.lacking if each != name),
            least={each: text for each, text in state.least.items() if each != name},
            most={each: text for each, text in state.most.items() if each != name},
        )

    def unfiltered(self) -> Self:
        """Return the state without filters and words, on the first page."""
        return replace(self.first_page().with_once(q=""), chosen={}, lacking=(), least={}, most={})

    def arguments(self, catalogue: Catalogue, facets: Sequence[str]) -> Arguments:
        """Return what the service of the catalogue is asked. Raises IllegalArguments."""
        given = {name: self.once[name] for name in ("q", "sort", "order") if name in self.once}
        for name, place in (("search_after", "after"), ("search_before", "before")):
            if place in self.once:
                given[name] = self.once[place]
        given["size"] = str(self.size)
        given["facets"] = ",".join(facets)
        filters = dict(self._filters(catalogue))
        return Arguments({**given, "filters": json.dumps(filters)})

    @property
    def size(self) -> int:
        """How many entities a page has. Raises IllegalArguments for other lengths than pages have."""
        text = self.once.get("size", str(_DEFAULT_SIZE))
        if text not in map(str, SIZES):
            raise IllegalArguments(f"size: {text[:20]!r} is not one of {', '.join(map(str, SIZES))}")
        return int(text)

    def _filters(self, catalogue: Catalogue) -> Iterator[tuple[str, Json]]:
        for name in self.filtered:
            known = catalogue.fields.get(name)
            if known is None:
                raise IllegalArguments(f"{name[:100]!r}: this catalogue has no such field")
            is_range = name in self.least or name in self.most
            if is_range and (name in self.chosen or name in self.lacking):
                raise IllegalArguments(f"{name}: filter it by values or by bounds, not by both")
            if is_range:
                yield name, {"within": [_within(known, self.least.get(name), self.most.get(name))]}
            else:
                none = [None] if name in self.lacking else []
                yield name, {"is": [*(value_of(known, text) for text in self.chosen.get(name, ())), *none]}


def value_of(known: Field, text: str) -> Json:
    """Return the value of a field that is so in a URL. Raises IllegalArguments."""
    if known.type in (FieldType.TEXT, FieldType.DATE):
        return text
    return checked_json(text, f"is.{known.name}: {text[:100]!r} is not a value of this field")


def is_choosable(text: str | None) -> bool:
    """Return whether a value, as it is in a URL, is short enough to be chosen: pages have many of them."""
    return text is None or len(text) <= _MOST_OF_VALUE


def text_of(known: Field, value: Json) -> str | None:
    """Return how a value of a facet is written in a URL; None for no value."""
    if known.counted_by:
        return _compact({known.counted_by: value})
    if value is None:
        return None
    return str(value) if known.type in (FieldType.TEXT, FieldType.DATE) else _compact(value)


def place_of(position: Sequence[str]) -> str:
    """Return the text of a place between two entities; empty if it is too long for a URL."""
    text = json.dumps(list(position), ensure_ascii=False)
    return text if len(urlencode({"after": text}, errors="surrogatepass")) < MAX_URL // 2 else ""


def _compact(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"))


def _bounds(given: MultiDict[str, str], prefix: str) -> dict[str, str]:
    return {
        name.removeprefix(prefix): text for name, text in given.items() if name.startswith(prefix) and text
    }


def _within(known: Field, least: str | None, most: str | None) -> list[Any]:
    if known.type is FieldType.DATE:
        first, last = _day(known, least or "0001-01-01"), _day(known, most or "9999-12-31")
        return [f"{first}T00:00:00.000000Z", f"{last}T23:59:59.999999Z"]
    if known.type is not FieldType.NUMBER:
        raise IllegalArguments(f"{known.name}: only numbers and days have bounds")
    return [_number(known, least, _LOWEST), _number(known, most, _HIGHEST)]


def _day(known: Field, text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise IllegalArguments(f"{known.name}: {text[:40]!r} is not a day such as 2024-03-01") from None


def _number(known: Field, text: str | None, default: float) -> float:
    if text is None:
        return default
    found = checked_json(text, f"{known.name}: {text[:40]!r} is not a number")
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise IllegalArguments(f"{known.name}: {text[:40]!r} is not a number")
    return found
