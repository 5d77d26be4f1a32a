"""What queries mean: whether a query finds a document. Every back end gives the same answers.

For queries a document is a set of scalar values, each at a dotted path. Lists add nothing to a path, so that
all values of a list are at one path; dots within a key part a path like those between keys. A clause looks at
all values at its path and matches if one of them does.

A clause about the content of a tombstone finds it; `match_all`, `ids` and `must_not` alone never do.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import repeat
from typing import Any

import regex

from shared.identifiers import Fqid
from shared.search.analysis import iter_scalar_tokens
from shared.search.budget import Budget, NoLimit
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

# Values that are matched, or collected, between two checks of the budget: some tens of microseconds.
_BETWEEN_CHECKS = 100
# Characters of text times pattern up to which a match takes at most some milliseconds.
_SHORT_MATCH = 1_000_000
# Seconds. The module `regex` takes no infinite timeout.
_LONGEST_MATCH = 3600.0


def matches(query: Query, fqid: Fqid, document: Mapping[str, Any]) -> bool:
    """Return whether a query finds the indexed document of a bundle version."""
    return Subject(fqid, document).is_found_by(query)


def scalars_of(document: Any) -> Iterator[tuple[str, Scalar]]:
    """Yield the path and value of every scalar in a document, in no order, with repetitions."""
    for path, value in _nodes_of(document, lambda _: True):
        if value is not None and not isinstance(value, Mapping | list | tuple):
            yield path, value


def _nodes_of(document: Any, leads_on: Callable[[str], bool]) -> Iterator[tuple[str, Any]]:
    """Yield the path and value of every node of a document whose path, and those above it, `leads_on`."""
    # Not by recursion, and without lists of nodes: the writer of a document decides how deep and wide it is.
    levels: list[Iterator[tuple[str, Any]]] = [iter([("", document)])]
    while levels:
        for path, value in levels[-1]:
            yield path, value
            if isinstance(value, Mapping):
                levels.append(_members_of(path, value, leads_on))
                break
            if isinstance(value, list | tuple):
                levels.append(zip(repeat(path), value, strict=False))
                break
        else:
            levels.pop()


def _members_of(
    path: str, value: Mapping[str, Any], leads_on: Callable[[str], bool]
) -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        # An empty key at the top adds nothing to the path.
        below = f"{path}.{key}" if path else str(key)
        if leads_on(below):
            yield below, inner


def is_dead(document: Mapping[str, Any]) -> bool:
    """Return whether an indexed document is that of a tombstone."""
    return document.get("admin_deleted") is True


@dataclass(frozen=True)
class Subject:
    """A document to match against queries. It collects the values and tokens of a path once.

    All that it does raises BudgetSpent if it takes more processor time than `budget` allows.
    """

    fqid: Fqid
    document: Mapping[str, Any]
    budget: Budget = field(default_factory=NoLimit)
    _values: dict[str, list[Scalar]] = field(default_factory=dict)
    _tokens: dict[str, set[str]] = field(default_factory=dict)

    def is_found_by(self, query: Query) -> bool:
        """Return whether a query finds the document."""
        return Matcher(query).finds(self)

    @cached_property
    def alive(self) -> bool:
        """Whether this is not the document of a tombstone."""
        return not is_dead(self.document)

    def values(self, path: str) -> list[Scalar]:
        """Return the values at a path."""
        if path not in self._values:
            self._values[path] = [*self.checked(values_at(self.document, path))]
        return self._values[path]

    def tokens(self, path: str) -> set[str]:
        """Return the tokens of all values at a path."""
        if path not in self._tokens:
            values = self.checked(self.values(path))
            self._tokens[path] = {token for value in values for token in iter_scalar_tokens(value)}
        return self._tokens[path]

    def has(self, path: str) -> bool:
        """Return whether there is a value at or below a path."""
        return any(True for _ in self.checked(values_at(self.document, path, below=True)))

    def checked(self, values: Iterable[Scalar | None]) -> Iterator[Scalar]:
        """Yield values, without the Nones between them, and check the budget."""
        for number, value in enumerate(values):
            if number % _BETWEEN_CHECKS == 0:
                self.budget.check()
            if value is not None:
                yield value


def values_at(document: Any, path: str, *, below: bool = False) -> Iterator[Scalar | None]:
    """Yield the values of a document at a path, or at and below it, and a None for every other node.

    It visits only nodes that the path leads to: for `a.b` the keys `a` and `a.b` at the top, `b` below `a`.
    """

    def leads_on(here: str) -> bool:
        return not here or f"{path}.".startswith(f"{here}.") or (below and here.startswith(f"{path}."))

    for here, value in _nodes_of(document, leads_on):
        is_scalar = not isinstance(value, Mapping | list | tuple)
        is_there = here == path or (below and here.startswith(f"{path}."))
        yield value if is_scalar and is_there else None


def paths_to(path: str) -> Iterator[str]:
    """Yield a path and all that it leads through: `a.b.c`, `a.b`, `a`."""
    while path:
        yield path
        path = path.rpartition(".")[0]


_Test = Callable[[Subject], bool]


class Matcher:
    """A query, prepared to be matched against many documents."""

    def __init__(self, query: Query) -> None:
        self._test = _test_of(query)

    def finds(self, subject: Subject) -> bool:
        """Return whether the query finds a document. Raises BudgetSpent as `Subject` does."""
        return self._test(subject)


def _test_of(query: Query) -> _Test:
    if isinstance(query, Bool):
        return _bool(query)
    if isinstance(query, MatchAll):
        return lambda subject: subject.alive
    if isinstance(query, Ids):
        fqids = frozenset(query.fqids)
        return lambda subject: subject.alive and str(subject.fqid) in fqids
    if isinstance(query, Exists):
        return lambda subject: bool(query.path) and subject.has(query.path)
    if isinstance(query, Match):
        return _match(query)
    if isinstance(query, Wildcard):
        return _wildcard(query)
    fits = _FITS[type(query)](query)
    return lambda subject: any(map(fits, subject.checked(subject.values(query.path))))


def _bool(query: Bool) -> _Test:
    required = [*map(_test_of, (*query.must, *query.filter))]
    excluded = [*map(_test_of, query.must_not)]
    optional = [*map(_test_of, query.should)]
    least = query.minimum_should_match

    def test(subject: Subject) -> bool:
        return (
            (subject.alive or bool(required) or least > 0)
            and all(one(subject) for one in required)
            and not any(one(subject) for one in excluded)
            and (least <= 0 or _at_least(least, (one(subject) for one in optional)))
        )

    return test


def _at_least(least: int, results: Iterator[bool]) -> bool:
    """Return whether so many of some results are true; no more of them than that are worked out."""
    number = 0
    return any((number := number + result) >= least for result in results)


def _match(query: Match) -> _Test:
    tokens = frozenset(query.tokens)
    if query.all_tokens:
        return lambda subject: bool(tokens) and tokens <= subject.tokens(query.path)
    return lambda subject: not tokens.isdisjoint(subject.tokens(query.path))


def _type(value: Scalar) -> type:
    # 1 equals 1.0, but neither true nor "1".
    return float if type(value) is int else type(value)


def _terms(query: Terms) -> Callable[[Scalar], bool]:
    values = set(map(typed, query.values))
    return lambda value: typed(value) in values


def typed(value: Scalar) -> tuple[type, Scalar]:
    """Return a value with its type: 1 is 1.0, but neither true nor "1"."""
    return _type(value), value


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


_FITS: dict[type, Callable[[Any], Callable[[Scalar], bool]]] = {
    Terms: _terms,
    Range: _range,
    Prefix: _prefix,
}


def _wildcard(query: Wildcard) -> _Test:
    form = wildcard_form(query.pattern)

    def test(subject: Subject) -> bool:
        values = subject.checked(subject.values(query.path))
        return any(isinstance(value, str) and _has_form(value, form, subject.budget) for value in values)

    return test


def _has_form(text: str, form: Any, budget: Budget) -> bool:
    """Return whether a text matches a regular expression; a long match ends with the budget."""
    if len(text) * len(form.pattern) < _SHORT_MATCH:
        return form.fullmatch(text) is not None
    while True:
        budget.check()
        try:
            return form.fullmatch(text, timeout=min(budget.remaining, _LONGEST_MATCH)) is not None
        except TimeoutError:
            # The timeout is processor time of all threads, and the budget may not be spent yet.
            continue


_STEP = re.compile(r"\\(.)|\\|[*]+|[^*\\]", re.DOTALL)


@lru_cache(maxsize=256)
def wildcard_form(pattern: str) -> Any:
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
            pieces[-1] += regex.escape(step[1] or step[0], special_only=True)
    first, *middle = pieces
    if not middle:
        return regex.compile(first, regex.DOTALL)
    *inner, last = middle
    # A piece between two `*` matches where it first occurs. An atomic group, (?>…), never reconsiders that.
    groups = "".join(f"(?>.*?{piece})" for piece in inner)
    return regex.compile(f"{first}{groups}.*{last}", regex.DOTALL)
