"""Queries, as index back ends are asked them: what is left of the Elasticsearch DSL once it is understood.

A path is dotted and leads through objects and through lists; all values that it leads to count, and one that
fits is enough. What clauses mean is `shared.search.matching`, against which every back end is tested: `Terms`
without values finds nothing, and neither does `Match` without tokens.
"""

from dataclasses import dataclass

# A value of a JSON document that is no object and no list. Text and numbers never equal each other.
Scalar = str | int | float | bool


@dataclass(frozen=True)
class MatchAll:
    """Finds everything that is alive."""


@dataclass(frozen=True)
class Match:
    """Finds analysed text that holds any of these tokens, or all of them wherever at the path."""

    path: str
    tokens: tuple[str, ...]
    all_tokens: bool = False


@dataclass(frozen=True)
class Terms:
    """Finds a value that is exactly one of these, case and all."""

    path: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class Range:
    """Finds a value between bounds: numbers among numbers, and text among text, by code point."""

    path: str
    gt: str | int | float | None = None
    gte: str | int | float | None = None
    lt: str | int | float | None = None
    lte: str | int | float | None = None


@dataclass(frozen=True)
class Exists:
    """Finds documents with any value at a path that is not null."""

    path: str


@dataclass(frozen=True)
class Prefix:
    """Finds text that begins so, case and all."""

    path: str
    prefix: str


@dataclass(frozen=True)
class Wildcard:
    """Finds text of this form, case and all: `*` is any text, `?` any character, `\\` makes them plain."""

    path: str
    pattern: str


@dataclass(frozen=True)
class Ids:
    """Finds these bundle versions, named by their FQIDs, where they are alive."""

    fqids: tuple[str, ...]


@dataclass(frozen=True)
class Bool:
    """Finds what all of `must` and `filter` find, none of `must_not`, and enough of `should`.

    Where it asks for none of them, what it finds is alive.
    """

    must: tuple["Query", ...] = ()
    filter: tuple["Query", ...] = ()
    must_not: tuple["Query", ...] = ()
    should: tuple["Query", ...] = ()
    minimum_should_match: int = 0


Query = MatchAll | Match | Terms | Range | Exists | Prefix | Wildcard | Ids | Bool
