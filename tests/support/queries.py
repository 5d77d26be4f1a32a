"""Documents and clauses for tests of properties, and the number of hits of a query."""

from typing import Any

from hypothesis import strategies as some

from shared.identifiers import Fqid
from shared.search.base import IndexBackend
from shared.search.query import Bool, Exists, Match, MatchAll, Prefix, Query, Range, Terms, Wildcard

# Every FQID is below this one, so that a page after it has to count.
LAST = Fqid("f" * 8 + "-ffff" * 3 + "-" + "f" * 12, "9999-12-31T235959.999999Z")
# Few names and values, so that clauses often match documents.
names = some.sampled_from(["a", "b", "c"])
paths = some.lists(names, min_size=1, max_size=3).map(".".join)
words = some.sampled_from(["brain", "Brain", "left brain", "kidney", "", "1", "a*b", "a?b"])
scalars = some.one_of(words, some.integers(-2, 2), some.booleans(), some.sampled_from([0.5, 1.0]))
values = some.recursive(
    some.one_of(some.none(), scalars),
    lambda inner: some.one_of(some.lists(inner, max_size=3), some.dictionaries(names, inner, max_size=3)),
    max_leaves=8,
)
documents: some.SearchStrategy[dict[str, Any]] = some.dictionaries(names, values, max_size=3)
bounds = some.one_of(words, some.integers(-2, 2))
clauses: some.SearchStrategy[Query] = some.one_of(
    some.just(MatchAll()),
    some.builds(Match, paths, some.lists(some.sampled_from(["brain", "left", "1"]), max_size=2).map(tuple)),
    some.builds(
        lambda path, words: Match(path, tuple(words), all_tokens=True),
        paths,
        some.lists(some.sampled_from(["brain", "left", "1"]), max_size=2),
    ),
    some.builds(Terms, paths, some.lists(scalars, max_size=2).map(tuple)),
    some.builds(lambda path, bound: Range(path, gte=bound), paths, bounds),
    some.builds(lambda path, bound: Range(path, lt=bound), paths, bounds),
    some.builds(Exists, paths),
    some.builds(Prefix, paths, some.sampled_from(["b", "B", ""])),
    some.builds(Wildcard, paths, some.sampled_from(["*", "b*n", "?rain", "a\\*b", "*i*"])),
)


def _bools(inner: some.SearchStrategy[Query]) -> some.SearchStrategy[Query]:
    few = some.lists(inner, max_size=2).map(tuple)
    return some.builds(
        Bool,
        must=few,
        filter=few,
        must_not=few,
        should=few,
        minimum_should_match=some.integers(0, 2),
    )


queries: some.SearchStrategy[Query] = some.recursive(clauses, _bools, max_leaves=6)


def total(index: IndexBackend, replica: str, query: Query) -> int | None:
    """Return the exact total of a query, counted for a page that can't hold all hits; None if not exact."""
    found = index.search(replica, query, readers=None, after=LAST, count=1, total=True).total
    assert found is not None
    return found.hits if found.exact else None
