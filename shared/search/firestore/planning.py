"""Which postings to look up for a query, so that all that it finds is among what they lead to.

A row may lack postings of a path for which it has too many; it has the path's gap instead, which stands for
any of them. Rows that have any of a selection's postings or gaps are all that the query can find.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.search.postings import Postings
from shared.search.query import Bool, Exists, Ids, Match, MatchAll, Prefix, Query, Range, Terms, Wildcard

# What leads to more is looked for by its path alone.
_MOST_LOOKED_UP = 1000
# Of so many clauses that all must match the rarest is looked for; the order below tells which come first.
_MOST_COMPARED = 8
_VALUE, _TOKEN, _PATH, _LIVING = range(4)


@dataclass(frozen=True)
class Selection:
    """Postings that lead to all that a query finds; `exact` where those without a gap lead to nothing else.

    `rank` orders selections by how much they are likely to lead to, the least first.
    """

    postings: frozenset[UUID]
    gaps: frozenset[UUID]
    exact: bool
    rank: int

    @property
    def is_everything(self) -> bool:
        """Whether it leads to all that is alive."""
        return self.rank == _LIVING


# To how many rows each of some selections leads, or enough to know that it is not the rarest.
Costs = Callable[[Sequence[Selection]], Sequence[int]]


def plan(query: Query, hashed: Postings, costs: Costs) -> Selection:
    """Return the selection for a query; `costs` is asked where there is a choice."""
    return _Planner(hashed, costs).best(query)


@dataclass(frozen=True)
class _Planner:
    hashed: Postings
    costs: Costs

    def best(self, query: Query) -> Selection:
        """Return the selection of least cost for a query."""
        if isinstance(query, Bool):
            return self._of_bool(query)
        if isinstance(query, MatchAll):
            return _selected([self.hashed.of_living()], [], _LIVING)
        if isinstance(query, Ids):
            if len(query.fqids) > _MOST_LOOKED_UP:
                return _inexact(self.best(MatchAll()))
            return _selected(map(self.hashed.of_name, query.fqids), [], _VALUE)
        if isinstance(query, Exists | Range | Prefix | Wildcard) or _is_long(query):
            wanted = _selected([self.hashed.of_path(query.path)], [self.hashed.of_gap()], _PATH)
            return wanted if isinstance(query, Exists) else _inexact(wanted)
        gaps = [self.hashed.of_gap(query.path), self.hashed.of_gap()]
        if isinstance(query, Terms):
            values = [self.hashed.of_value(query.path, value) for value in query.values]
            return _selected(values, gaps, _VALUE)
        tokens = [
            _selected([self.hashed.of_token(query.path, token)], gaps, _TOKEN) for token in query.tokens
        ]
        return self._all_of(tokens) if query.all_tokens and tokens else _any_of(tokens, exact=True)

    def _of_bool(self, query: Bool) -> Selection:
        asked = [self.best(clause) for clause in (*query.must, *query.filter)]
        if query.minimum_should_match > 0:
            asked.append(self._enough_of(query))
        if not asked:
            everything = self.best(MatchAll())
            return _inexact(everything) if query.must_not else everything
        found = self._all_of(asked)
        return _inexact(found) if query.must_not else found

    def _enough_of(self, query: Bool) -> Selection:
        least, clauses = query.minimum_should_match, [self.best(clause) for clause in query.should]
        if least > len(clauses):
            return _any_of([], exact=True)
        if least > 1:
            # Of three of which two match, one of any two matches.
            clauses = self._rarest_first(clauses)[: len(clauses) - least + 1]
        return _any_of(clauses, exact=least == 1)

    def _all_of(self, asked: Sequence[Selection]) -> Selection:
        likely = sorted(asked, key=lambda one: one.rank)[:_MOST_COMPARED]
        return likely[0] if len(asked) == 1 else _inexact(self._rarest_first(likely)[0])

    def _rarest_first(self, selections: Sequence[Selection]) -> list[Selection]:
        costs = self.costs(selections)
        order = sorted(range(len(selections)), key=costs.__getitem__)
        return [selections[index] for index in order]


def _is_long(query: Match | Terms) -> bool:
    return isinstance(query, Terms) and len(query.values) > _MOST_LOOKED_UP


def _selected(postings: Iterable[UUID], gaps: Iterable[UUID], rank: int) -> Selection:
    return Selection(frozenset(postings), frozenset(gaps), exact=True, rank=rank)


def _inexact(one: Selection) -> Selection:
    return Selection(one.postings, one.gaps, exact=False, rank=one.rank)


def _any_of(several: Sequence[Selection], *, exact: bool) -> Selection:
    return Selection(
        postings=frozenset().union(*(one.postings for one in several)),
        gaps=frozenset().union(*(one.gaps for one in several)),
        exact=exact and all(one.exact for one in several),
        rank=max((one.rank for one in several), default=_VALUE),
    )
