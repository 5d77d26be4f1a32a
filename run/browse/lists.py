"""Lists of a catalogue: what a page of one shows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from run.api.call import Call
from run.browse.answers import ShownTerms, counts, size_of_files
from run.browse.cells import Cell, cell_of, url_of, value_text
from run.browse.operations import HOME
from run.browse.state import State, is_choosable, place_of, text_of, value_of
from run.browse.views import bounded_of, columns_of, facets_of, other_facets_of, tabs_of
from run.explore.access import sought
from run.explore.handlers import MEMORY_OF_LARGEST_PAGE
from shared.errors import NotFound
from shared.explore.bundle_metadata import Json
from shared.explore.catalogues import Catalogue
from shared.explore.fields import Field
from shared.explore.query import Found, FoundPage, PageOrder, Query, Summed

# Values of a facet beside a list; all are on a page of their own.
_MOST_TERMS = 6
# Values on that page. Longer facets are searched there.
MOST_LISTED = 500


@dataclass(frozen=True, kw_only=True)
class Term:
    """A value of a facet: in words, as in a URL, on how many entities, and whether it is chosen.

    `url` is empty if it is too long to be chosen.
    """

    label: str
    text: str | None
    count: int
    chosen: bool
    url: str


@dataclass(frozen=True, kw_only=True)
class Facet:
    """A facet: its values as far as they are shown, how many there are, and the page that has all."""

    field: Field
    terms: Sequence[Term]
    values: int
    url: str


@dataclass(frozen=True, kw_only=True)
class Chip:
    """A filter that is chosen, and the URL without it."""

    name: str
    label: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Head:
    """A column: where it is sorted by it, and how it is sorted now, as ARIA has it."""

    field: Field
    url: str
    sorted: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """An entity: its page, and its cells."""

    url: str
    cells: Sequence[Cell]


@dataclass(frozen=True, kw_only=True)
class Listing:
    """All that a page of a list shows."""

    catalogue: Catalogue
    entity_type: str
    state: State
    heads: Sequence[Head]
    rows: Sequence[Row]
    total: int
    facets: Sequence[Facet]
    of_files: Summed | None
    previous: str
    next: str


def catalogue_of(call: Call, name: str | None) -> Catalogue | None:
    """Return a catalogue by its name, or the default one; None if there are none.

    Raises NotFound.
    """
    known = call.dss.catalogues.catalogues()
    if name and name not in known:
        listed = ", ".join(known) or "none"
        raise NotFound(f"catalog: there is no catalogue {name[:64]!r}; there are: {listed}")
    return known[name] if name else next(iter(known.values()), None)


def require_listed(catalogue: Catalogue, entity_type: str) -> None:
    """Raise NotFound if a catalogue has no list of this name."""
    if entity_type not in catalogue.listed:
        raise NotFound(
            f"{entity_type[:100]!r}: catalogue {catalogue.name} has no such list; it has"
            f" {', '.join(tabs_of(catalogue))}"
        )


def listing(call: Call, catalogue: Catalogue, entity_type: str, state: State) -> Listing:
    """Return a page of entities, with the counts of facets and the numbers of all that is found.

    Raises IllegalArguments.
    """
    columns = columns_of(catalogue, entity_type, state)
    facets = facets_of(catalogue)
    arguments = state.arguments(catalogue, [each.name for each in facets])
    query, order = (
        arguments.query(catalogue, entity_type),
        arguments.order(catalogue, catalogue.listed[entity_type]),
    )
    memory = MEMORY_OF_LARGEST_PAGE * order.size // catalogue.listed[entity_type].max_size
    with call.memory.collections.reserve(memory):
        found = call.dss.catalogues.page(catalogue, sought(call), query, order)
        total, counted = counts(call, catalogue, query)
        path = f"{HOME}/{entity_type}"
        rows = [_row(catalogue, entity_type, columns, each) for each in found.found]
    return Listing(
        catalogue=catalogue,
        entity_type=entity_type,
        state=state,
        heads=[_head(path, state, order, each) for each in columns],
        rows=rows,
        total=total,
        facets=[_facet(path, state, each, counted[each.name]) for each in facets],
        of_files=size_of_files(call, catalogue, query),
        **_neighbours(path, state, found),
    )


def values(call: Call, catalogue: Catalogue, entity_type: str, name: str, state: State, find: str) -> Facet:
    """Return a facet with its values that hold a text, the most frequent first; MOST_LISTED at most.

    Raises NotFound if there is no such facet.
    """
    known = catalogue.fields.get(name)
    if known is None or not known.is_facet:
        raise NotFound(f"{name[:100]!r}: catalogue {catalogue.name} has no such facet")
    query: Query = state.arguments(catalogue, [name]).query(catalogue, entity_type)
    _, counted = call.dss.catalogues.counts(catalogue, sought(call), query)
    path, wanted = f"{HOME}/{entity_type}", find.casefold()
    held = [
        (value, number)
        for value, number in counted[name].terms
        if wanted in value_text(known, value).casefold()
    ]
    terms = [_term(path, state, known, value, number) for value, number in held[:MOST_LISTED]]
    return Facet(field=known, terms=terms, values=len(held), url=state.url(path))


def chips(catalogue: Catalogue, entity_type: str, state: State) -> list[Chip]:
    """Return what is chosen, each with the URL without it."""
    path = f"{HOME}/{entity_type}"
    made = []
    if state.words:
        made.append(Chip(name="words", label=state.words, url=state.first_page().with_once(q="").url(path)))
    for name in state.filtered:
        known = catalogue.fields[name]
        for text in (*state.chosen.get(name, ()), *([None] if name in state.lacking else ())):
            label = value_text(known, _shown(known, text))
            made.append(Chip(name=name, label=label, url=state.without_value(name, text).url(path)))
        if name in state.least or name in state.most:
            label = f"{state.least.get(name, '…')} to {state.most.get(name, '…')}"
            made.append(Chip(name=name, label=label, url=state.without_field(name).url(path)))
    return made


def form_of(state: State) -> list[tuple[str, str]]:
    """Return the hidden fields of the form of a list: what it neither shows nor resets."""
    kept = state.with_once(q="", after="", before="")
    return [
        (name, text)
        for name, text in kept.query()
        if not name.startswith(("is.", "least.", "most.")) and name != "none"
    ]


def beside(catalogue: Catalogue, state: State) -> dict[str, Any]:
    """Return what the form of a list has beside facets with their values."""
    others = other_facets_of(catalogue)
    shown = {each.name for each in facets_of(catalogue)}
    return {
        "others": others,
        "bounded": bounded_of(catalogue),
        # Chosen values of facets that the form does not show.
        "kept": [
            (name, text)
            for name, text in replace(state, once={}, columns=(), least={}, most={}).query()
            if (text if name == "none" else name.removeprefix("is.")) not in shown
        ],
    }


def _shown(known: Field, text: str | None) -> Json:
    return None if text is None else value_of(known, text)


def _row(catalogue: Catalogue, entity_type: str, columns: Sequence[Field], found: Found) -> Row:
    return Row(
        url=url_of(catalogue, entity_type, found),
        cells=[cell_of(each, found.document) for each in columns],
    )


def _head(path: str, state: State, order: PageOrder, known: Field) -> Head:
    is_sorted = order.sort.name == known.name
    direction = "desc" if is_sorted and not order.descending else "asc"
    now = ("descending" if order.descending else "ascending") if is_sorted else "none"
    return Head(
        field=known,
        url=state.first_page().with_once(sort=known.name, order=direction).url(path),
        sorted=now,
    )


def _facet(path: str, state: State, known: Field, shown: ShownTerms) -> Facet:
    made = [_term(path, state, known, value, number) for value, number in shown.terms]
    # What is chosen is shown wherever it stands; of what does not occur any more, there is a chip.
    first = [each for each in made if each.chosen]
    rest = [each for each in made if not each.chosen]
    return Facet(
        field=known,
        terms=[*first, *rest[: max(0, _MOST_TERMS - len(first))]],
        values=shown.values,
        url=state.first_page().url(f"{path}/values/{known.name}"),
    )


def _term(path: str, state: State, known: Field, value: Json, number: int) -> Term:
    text = text_of(known, value)
    if not is_choosable(text):
        return Term(label=value_text(known, value), text="", count=number, chosen=False, url="")
    chosen = state.has(known.name, text)
    changed = (
        state.without_value(known.name, text)
        if chosen
        else state.with_value(known.name, text, alone=bool(known.nested))
    )
    return Term(label=value_text(known, value), text=text, count=number, chosen=chosen, url=changed.url(path))


def _neighbours(path: str, state: State, found: FoundPage) -> dict[str, str]:
    def url(name: str, other: str, edge: Found) -> str:
        place = place_of(edge.position)
        return state.with_once(**{other: "", name: place}).url(path) if place else ""

    hits = found.found
    return {
        "next": url("after", "before", hits[-1]) if hits and found.has_next else "",
        "previous": url("before", "after", hits[0]) if hits and found.has_previous else "",
    }
