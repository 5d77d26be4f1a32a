"""A question to a catalogue, and its answer, without regard to the tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from shared.explore.bundle_metadata import Json
from shared.explore.fields import Field
from shared.explore.filters import Filter

# The labels that a reader looks up; None is an admin.
Sought = frozenset[str] | None
# A sort key and an entity's id: where a page ends.
Position = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Query:
    """Which entities of a type somebody asks for; `words` is text that must occur in them.

    `facets` are the fields to count, all if it is None.
    """

    entity_type: str
    filters: Sequence[Filter] = ()
    words: str = ""
    facets: Sequence[Field] | None = None


@dataclass(frozen=True, kw_only=True)
class PageOrder:
    """The order of a page, its size, and behind or before which position it lies."""

    sort: Field
    descending: bool
    size: int
    after: Position | None = None
    before: Position | None = None


@dataclass(frozen=True)
class Found:
    """An entity's document, and its position in the order."""

    entity_id: str
    position: Position
    document: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class FoundPage:
    """A page of documents; whether there are others behind it, and before it."""

    found: Sequence[Found]
    has_next: bool
    has_previous: bool


@dataclass(frozen=True)
class FacetCounts:
    """How many documents have each value of a facet, the most frequent first, and how many there are.

    `total` is 0 if no document has the field. `values` is how many different values there are: null is one,
    unless it stands only for documents that lack the field.
    """

    terms: Sequence[tuple[Json, int]]
    total: int
    values: int


@dataclass(frozen=True)
class Summed:
    """How many documents have a term, and the sums of their numbers (`Plugin.sums`)."""

    term: Json
    n: int
    sums: Sequence[int]


class Summaries(Protocol):
    """Answers about all documents of a type that match the filters of a summary."""

    def counts(self, entity_type: str, *facets: str) -> tuple[int, Mapping[str, FacetCounts]]:
        """Return how many documents match, and the counts of some facets."""
        ...

    def sums(self, entity_type: str, by: str = "") -> Sequence[Summed]:
        """Return the sums of documents' numbers for each term of a field, the most frequent first; or of
        all."""
        ...

    def distinct(self, entity_type: str, *names: str) -> Sequence[int]:
        """Return how many different values some fields have."""
        ...
