"""What queries mean: whether one finds a document. Every index back end finds the same.

A document is a set of leaves: its values that are no object, no list and not null, each at a dotted path.
Lists add nothing to a path, so that all values of a list are at one path; a key with dots in it is a path as
well. A clause looks at all leaves at its path, and one that fits is enough.

A tombstone is found by clauses that fit its own leaves, and never for what it lacks or for its name:
`match_all`, `ids` and `must_not` leave it out.
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


def leaves_of(document: Any) -> Iterator[tuple[str, Scalar]]:
    """Yield every leaf of a document with its path, in no order; a value that occurs twice, twice."""
    # Not by recursion: how deep documents are is their writers' choice.
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
    """A document that several queries are asked about: its leaves are looked up once."""

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
        values = self._leaves.get(query.path, ())
        if isinstance(query, Match) and query.all_tokens:
            held = {token for value in values for token in scalar_tokens(value)}
            return bool(query.tokens) and held.issuperset(query.tokens)
        return any(map(_FITS[type(query)](query), values))

    @cached_property
    def _alive(self) -> bool:
        return not is_dead(self.document)

    @cached_property
    def _leaves(self) -> dict[str, list[Scalar]]:
        leaves: dict[str, list[Scalar]] = {}
        for path, value in leaves_of(self.document):
            leaves.setdefault(path, []).append(value)
        return leaves

    @cached_property
    def _known_paths(self) -> set[str]:
        return {known for path in self._leaves for known in paths_to(path)}

    def _fits_all(self, query: Bool) -> bool:
        asks = query.must or query.filter or query.minimum_should_match > 0
        return (
            (self._alive or bool(asks))
            and all(map(self.is_found_by, (*query.must, *query.filter)))
            and not any(map(self.is_found_by, query.must_not))
            and sum(map(self.is_found_by, query.should)) >= query.minimum_should_match
        )


def paths_to(path: str) -> Iterator[str]:
    """Yield a path and all that it leads through: `a.b.c`, `a.b`, `a`."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def _kind(value: Scalar) -> type:
    # 1 is 1.0, but neither true nor "1".
    return float if type(value) is int else type(value)


def _match(query: Match) -> Callable[[Scalar], bool]:
    wanted = frozenset(query.tokens)
    return lambda value: not wanted.isdisjoint(scalar_tokens(value))


def _terms(query: Terms) -> Callable[[Scalar], bool]:
    wanted = {(_kind(value), value) for value in query.values}
    return lambda value: (_kind(value), value) in wanted


def _range(query: Range) -> Callable[[Scalar], bool]:
    bounds: Sequence[tuple[Any, Callable[[Any, Any], bool]]] = [
        (query.gt, lambda value, bound: value > bound),
        (query.gte, lambda value, bound: value >= bound),
        (query.lt, lambda value, bound: value < bound),
        (query.lte, lambda value, bound: value <= bound),
    ]
    checks = [(bound, check) for bound, check in bounds if bound is not None]
    return lambda value: all(_kind(value) is _kind(bound) and check(value, bound) for bound, check in checks)


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
    """Return the expression that a text matches in full where it has the form of a wildcard pattern.

    It takes time in proportion to the text times the pattern, however many `*` there are.
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
    # What stands between two `*` may be taken where it occurs first, and that is never reconsidered.
    found = "".join(f"(?>.*?{piece})" for piece in inner)
    return re.compile(f"{first}{found}.*{last}", re.DOTALL)
