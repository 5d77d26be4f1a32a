"""What queries mean: whether a query finds a document. Every back end gives the same answers.

For queries a document is a set of scalar values, each at a dotted path. Lists add nothing to a path, so that
all values of a list are at one path; dots within a key part a path like those between keys. A clause looks at
all values at its path and matches if one of them does.

A clause about the content of a tombstone finds it; `match_all`, `ids` and `must_not` alone never do.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from shared.identifiers import Fqid
from shared.search.analysis import scalar_tokens
from shared.search.query import (
    Bool,
    Exists,
    Ids,
    Match,
    MatchAll,
    Prefix,
    Query,
    Range,
    Scalar,
    Terms,
    Wildcard,
)


def matches(query: Query, fqid: Fqid, document: Mapping[str, Any]) -> bool:
    """Return whether a query finds the indexed document of a bundle version."""
    return Subject(fqid, document).is_found_by(query)


def scalars_of(document: Any) -> Iterator[tuple[str, Scalar]]:
    """Yield the path and value of every scalar in a document, in no order, with repetitions."""
    # Not by recursion: the writer of a document decides how deep it is.
    waiting: list[tuple[str, Any]] = [("", document)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(f"{path}.{key}" if path else str(key), inner) for key, inner in value.items()]
        elif isinstance(value, list | tuple):
            waiting += [(path, inner) for inner in value]
        elif value is not None:
            yield path, value


def is_dead(document: Mapping[str, Any]) -> bool:
    """Return whether an indexed document is that of a tombstone."""
    return document.get("admin_deleted") is True


@dataclass(frozen=True)
class Subject:
    """A document to match against several queries; its values are collected once."""

    fqid: Fqid
    document: Mapping[str, Any]

    def is_found_by(self, query: Query) -> bool:
        """Return whether a query finds the document."""
        if isinstance(query, Bool):
            return self._fits_all(query)
        if isinstance(query, MatchAll):
            return self._alive
        if isinstance(query, Ids):
            return self._alive and str(self.fqid) in query.fqids
        if isinstance(query, Exists):
            return query.path in self._known_paths
        values = self._scalars.get(query.path, ())
        if isinstance(query, Match) and query.all_tokens:
            tokens = {token for value in values for token in scalar_tokens(value)}
            return bool(query.tokens) and tokens.issuperset(query.tokens)
        return any(map(_FITS[type(query)](query), values))

    @cached_property
    def _alive(self) -> bool:
        return not is_dead(self.document)

    @cached_property
    def _scalars(self) -> dict[str, list[Scalar]]:
        scalars: dict[str, list[Scalar]] = {}
        for path, value in scalars_of(self.document):
            scalars.setdefault(path, []).append(value)
        return scalars

    @cached_property
    def _known_paths(self) -> set[str]:
        return {known for path in self._scalars for known in paths_to(path)}

    def _fits_all(self, query: Bool) -> bool:
        requires = query.must or query.filter or query.minimum_should_match > 0
        return (
            (self._alive or bool(requires))
            and all(map(self.is_found_by, (*query.must, *query.filter)))
            and not any(map(self.is_found_by, query.must_not))
            and sum(map(self.is_found_by, query.should)) >= query.minimum_should_match
        )


def paths_to(path: str) -> Iterator[str]:
    """Yield a path and all that it leads through: `a.b.c`, `a.b`, `a`."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def _type(value: Scalar) -> type:
    # 1 equals 1.0, but neither true nor "1".
    return float if type(value) is int else type(value)


def _match(query: Match) -> Callable[[Scalar], bool]:
    tokens = frozenset(query.tokens)
    return lambda value: not tokens.isdisjoint(scalar_tokens(value))


def _terms(query: Terms) -> Callable[[Scalar], bool]:
    values = {(_type(value), value) for value in query.values}
    return lambda value: (_type(value), value) in values


def _range(query: Range) -> Callable[[Scalar], bool]:
    bounds: Sequence[tuple[Any, Callable[[Any, Any], bool]]] = [
        (query.gt, lambda value, bound: value > bound),
        (query.gte, lambda value, bound: value >= bound),
        (query.lt, lambda value, bound: value < bound),
        (query.lte, lambda value, bound: value <= bound),
    ]
    checks = [(bound, check) for bound, check in bounds if bound is not None]
    return lambda value: all(_type(value) is _type(bound) and check(value, bound) for bound, check in checks)


def _prefix(query: Prefix) -> Callable[[Scalar], bool]:
    return lambda value: isinstance(value, str) and value.startswith(query.prefix)


def _wildcard(query: Wildcard) -> Callable[[Scalar], bool]:
    form = wildcard_form(query.pattern)
    return lambda value: isinstance(value, str) and form.fullmatch(value) is not None


_FITS: dict[type, Callable[[Any], Callable[[Scalar], bool]]] = {
    Match: _match,
    Terms: _terms,
    Range: _range,
    Prefix: _prefix,
    Wildcard: _wildcard,
}

_STEP = re.compile(r"\\(.)|\\|[*]+|[^*\\]", re.DOTALL)


@lru_cache(maxsize=256)
def wildcard_form(pattern: str) -> "re.Pattern[str]":
    """Return the regular expression that matches, in full, all text of the form of a wildcard pattern.

    It takes time in proportion to text times pattern, however many `*` there are.
    """
    pieces = [""]
    for step in _STEP.finditer(pattern):
        if step[0].startswith("*"):
            pieces.append("")
        elif step[0] == "?":
            pieces[-1] += "."
        else:
            pieces[-1] += re.escape(step[1] or step[0])
    first, *middle = pieces
    if not middle:
        return re.compile(first, re.DOTALL)
    *inner, last = middle
    # A piece between two `*` matches where it first occurs. An atomic group, (?>…), never reconsiders that.
    groups = "".join(f"(?>.*?{piece})" for piece in inner)
    return re.compile(f"{first}{groups}.*{last}", re.DOTALL)
