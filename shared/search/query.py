"""Queries as back ends get them: the Elasticsearch DSL, parsed and reduced to nine clauses.

A path is dotted and leads through objects and lists to any number of values; a clause matches if one of them
does. `shared.search.matching` defines what clauses mean, and every back end is tested against it. `Terms`
without values finds nothing, nor does `Match` without tokens.
"""

from dataclasses import dataclass

# A value of a JSON document that is neither object nor list nor null. Text never equals a number.
Scalar = str | int | float | bool


@dataclass(frozen=True)
class MatchAll:
    """Finds every bundle version that is not hidden."""


@dataclass(frozen=True)
class Match:
    """Finds analysed text with any of these tokens, or all of them, spread over the values of the path."""

    path: str
    tokens: tuple[str, ...]
    all_tokens: bool = False


@dataclass(frozen=True)
class Terms:
    """Finds a value that equals one of these, case included."""

    path: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class Range:
    """Finds a value between bounds. Numbers compare with numbers, and text with text by code point."""

    path: str
    gt: str | int | float | None = None
    gte: str | int | float | None = None
    lt: str | int | float | None = None
    lte: str | int | float | None = None


@dataclass(frozen=True)
class Exists:
    """Finds documents that have a value other than null at or below a path."""

    path: str


@dataclass(frozen=True)
class Prefix:
    """Finds text with a prefix, case included."""

    path: str
    prefix: str


@dataclass(frozen=True)
class Wildcard:
    """Finds text of a form, case included: `*` is any text, `?` any character, `\\` escapes them."""

    path: str
    pattern: str


@dataclass(frozen=True)
class Ids:
    """Finds these bundle versions, by FQID, unless they are hidden."""

    fqids: tuple[str, ...]


@dataclass(frozen=True)
class Bool:
    """Finds what all of `must` and `filter` find, none of `must_not`, and enough of `should`.

    If it requires nothing of a document, it finds no tombstone.
    """

    must: tuple["Query", ...] = ()
    filter: tuple["Query", ...] = ()
    must_not: tuple["Query", ...] = ()
    should: tuple["Query", ...] = ()
    minimum_should_match: int = 0


Query = MatchAll | Match | Terms | Range | Exists | Prefix | Wildcard | Ids | Bool
