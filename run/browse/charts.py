"""Charts of what is found: bars of numbers, bytes and cells, by the values of facets."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from run.api.call import Call
from run.browse.answers import MOST_TERMS, ShownTerms, SideBySide, counts, sums
from run.browse.cells import value_text
from run.browse.operations import HOME
from run.browse.state import State, is_choosable, text_of
from run.browse.views import Sum, facets_of, sums_of
from shared.explore.bundle_metadata import Json
from shared.explore.catalogues import Catalogue
from shared.explore.fields import Field
from shared.explore.query import Summed


@dataclass(frozen=True)
class Bar:
    """A bar: what it is of, the list of that if there is one, and its length."""

    label: str
    url: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Bars of one measure, the longest first; `unit` is `bytes`, or what is counted."""

    title: str
    unit: str
    bars: Sequence[Bar]
    others: int

    @property
    def longest(self) -> float:
        """The length of the longest bar, at least 1."""
        return max(1, *(bar.value for bar in self.bars))


def charts(call: Call, catalogue: Catalogue, entity_type: str, state: State) -> list[Chart]:
    """Return charts of what a list shows, without those that have no bars. Raises IllegalArguments."""
    facets = facets_of(catalogue)
    query = state.arguments(catalogue, [each.name for each in facets]).query(catalogue, entity_type)
    wanted = sums_of(catalogue)
    with SideBySide() as besides:
        summing = [
            besides.ask(partial(sums, call, catalogue, query, each.entity_type, each.by)) for each in wanted
        ]
        _, counted = counts(call, catalogue, query)
        found = [each.result() for each in summing]
    path = f"{HOME}/{entity_type}"
    made = [
        *map(partial(_of_sums, catalogue), wanted, found),
        *(_of_facet(path, entity_type, state, each, counted[each.name]) for each in facets),
    ]
    return [each for each in made if each.bars]


def _of_facet(path: str, entity_type: str, state: State, known: Field, shown: ShownTerms) -> Chart:
    bars = [
        Bar(value_text(known, value), _list_of(path, state, known, value), number)
        for value, number in shown.terms[:MOST_TERMS]
    ]
    return Chart(title=known.name, unit=entity_type, bars=bars, others=shown.values - len(bars))


def _list_of(path: str, state: State, known: Field, value: Json) -> str:
    """Return the list of what has a value; empty if that is too long to be chosen."""
    text = text_of(known, value)
    if not is_choosable(text):
        return ""
    return state.with_value(known.name, text, alone=bool(known.nested)).url(path)


def _of_sums(catalogue: Catalogue, summed: Sum, found: Sequence[Summed]) -> Chart:
    """Return a chart of what documents add up to: bytes of files, or cells."""
    # Hidden ones, too.
    known = next(each for each in catalogue.plugin.fields if each.name == summed.by)
    rows = [(each.term, each.sums[0]) for each in found if each.sums and each.sums[0]]
    rows.sort(key=lambda row: -row[1])
    bars = [Bar(value_text(known, term), "", amount) for term, amount in rows[:MOST_TERMS]]
    return Chart(title=summed.title, unit=summed.unit, bars=bars, others=len(rows) - len(bars))
