"""The plan of a query: which postings to look up in Firestore so that their rows include all hits.

Firestore looks up any of some postings, and can't intersect. So of clauses that must all match, the plan
takes the one with the fewest rows, and the back end matches each of these rows against the whole query:

    must: [organ = "brain" (5,000 rows), id = "x17" (10 rows)]   ->  look up id = "x17", match 10 documents
    should: [organ = "brain", organ = "kidney"], one of them     ->  look up both; no document is needed
    range: age >= 18                                             ->  look up the path `age`, match its rows

A row with too many values at a path has the path's overflow marker in place of their postings. So plans look
up markers, too: a row with a marker may hold any value at the path.

A plan is made of postings without labels. The back end looks them up, and counts them, under each label of
the caller (`Selection.under`), and so never reads what the caller may not see.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from shared.search.postings import Postings, labelled
from shared.search.query import Bool, Exists, Ids, Match, MatchAll, Prefix, Query, Range, Terms, Wildcard

# A clause with more values than this is looked up by its path alone.
_MOST_LOOKED_UP = 1000
# Of clauses that must all match, so many are counted at most: those of the lowest rank.
_MOST_COMPARED = 8
_VALUE, _TOKEN, _PATH, _LIVING = range(4)


@dataclass(frozen=True)
class Selection:
    """Postings and overflow markers whose rows include all hits of a query.

    `exact` says that rows with one of the postings, and without a marker, are hits: there is no need to match
    their documents. `rank` orders selections by how many rows they are likely to have, fewest first.
    """

    postings: frozenset[bytes]
    markers: frozenset[bytes]
    exact: bool
    rank: int

    def under(self, labels: Iterable[str]) -> "Selection":
        """Return the selection of the same rows, of those only that have one of some labels."""
        postings, markers = labelled(self.postings, labels), labelled(self.markers, labels)
        return Selection(postings, markers, exact=self.exact, rank=self.rank)

    @property
    def is_everything(self) -> bool:
        """Whether its rows are all entries but tombstones."""
        return self.rank == _LIVING


# Returns the number of rows of each selection, exact enough to tell which has the fewest.
Costs = Callable[[Sequence[Selection]], Sequence[int]]


def plan(query: Query, postings: Postings, costs: Costs) -> Selection:
    """Return the selection for a query; calls `costs` only if there is a choice."""
    return _Planner(postings, costs).best(query)


@dataclass(frozen=True)
class _Planner:
    postings: Postings
    costs: Costs

    def best(self, query: Query) -> Selection:
        """Return the selection with the fewest rows for a query."""
        if isinstance(query, Bool):
            return self._of_bool(query)
        if isinstance(query, MatchAll):
            return _selection([self.postings.of_living()], [], _LIVING)
        if isinstance(query, Ids):
            if len(query.fqids) > _MOST_LOOKED_UP:
                return _inexact(self.best(MatchAll()))
            return _selection(map(self.postings.of_name, query.fqids), [], _VALUE)
        if isinstance(query, Exists | Range | Prefix | Wildcard) or _is_long(query):
            of_path = _selection([self.postings.of_path(query.path)], [self.postings.of_overflow()], _PATH)
            return of_path if isinstance(query, Exists) else _inexact(of_path)
        markers = [self.postings.of_overflow(query.path), self.postings.of_overflow()]
        if isinstance(query, Terms):
            values = [self.postings.of_value(query.path, value) for value in query.values]
            return _selection(values, markers, _VALUE)
        tokens = [
            _selection([self.postings.of_token(query.path, token)], markers, _TOKEN) for token in query.tokens
        ]
        return self._all_of(tokens) if query.all_tokens and tokens else _any_of(tokens, exact=True)

    def _of_bool(self, query: Bool) -> Selection:
        required = [self.best(clause) for clause in (*query.must, *query.filter)]
        if query.minimum_should_match > 0:
            required.append(self._enough_of(query))
        # Postings tell what a row has, and never what it lacks.
        selection = self._all_of(required) if required else self.best(MatchAll())
        return _inexact(selection) if query.must_not else selection

    def _enough_of(self, query: Bool) -> Selection:
        least, clauses = query.minimum_should_match, [self.best(clause) for clause in query.should]
        if least > len(clauses):
            return _any_of([], exact=True)
        if least > 1:
            # A hit misses at most n - least of n clauses, so it matches one of any n - least + 1: if two of
            # [a, b, c] must match, every hit matches a or b.
            clauses = self._rarest_first(clauses)[: len(clauses) - least + 1]
        return _any_of(clauses, exact=least == 1)

    def _all_of(self, required: Sequence[Selection]) -> Selection:
        likely = sorted(required, key=lambda selection: selection.rank)[:_MOST_COMPARED]
        return likely[0] if len(required) == 1 else _inexact(self._rarest_first(likely)[0])

    def _rarest_first(self, selections: Sequence[Selection]) -> list[Selection]:
        costs = self.costs(selections)
        order = sorted(range(len(selections)), key=costs.__getitem__)
        return [selections[index] for index in order]


def _is_long(query: Match | Terms) -> bool:
    return isinstance(query, Terms) and len(query.values) > _MOST_LOOKED_UP


def _selection(postings: Iterable[bytes], markers: Iterable[bytes], rank: int) -> Selection:
    return Selection(frozenset(postings), frozenset(markers), exact=True, rank=rank)


def _inexact(selection: Selection) -> Selection:
    return Selection(selection.postings, selection.markers, exact=False, rank=selection.rank)


def _any_of(selections: Sequence[Selection], *, exact: bool) -> Selection:
    return Selection(
        postings=frozenset().union(*(one.postings for one in selections)),
        markers=frozenset().union(*(one.markers for one in selections)),
        exact=exact and all(one.exact for one in selections),
        rank=max((one.rank for one in selections), default=_VALUE),
    )
