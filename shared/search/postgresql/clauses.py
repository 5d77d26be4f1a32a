"""Conditions of SQL for queries, over the rows of `shared.search.postgresql.rows`.

Everything that a client sends, paths included, becomes a parameter; the text of a condition is made of the
literals here alone. `shared.search.matching` defines what each clause means.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, LiteralString

from psycopg import sql
from psycopg.types.json import Jsonb

from shared.access import labels_sought
from shared.search.postgresql.range_terms import terms_beginning, terms_between
from shared.search.postgresql.rows import as_jsonb, escape, uuids
from shared.search.postgresql.schema import WITHOUT_RANGE_TERMS
from shared.search.postings import Postings
from shared.search.query import Bool, Exists, Ids, Match, MatchAll, Prefix, Query, Range, Terms, Wildcard

# A step of a wildcard: an escaped character, `*`, `?`, or a character that stands for itself.
_STEP = re.compile(r"\\(?P<escaped>.)|(?P<text>\*+)|(?P<one>\?)|(?P<plain>.)", re.DOTALL)
# Special characters in regular expressions of PostgreSQL.
_SPECIAL = re.compile(r"([\\^$.|?*+()\[\]{}])")
# Any one character, as `escape` writes it.
_ONE = "(?:[^\x01\ud7ff]|[\x01\ud7ff].)"


@dataclass(frozen=True)
class Condition:
    """A condition of SQL, and the values of its parameters in order."""

    text: sql.Composable
    values: tuple[Any, ...] = ()


def condition(query: Query, replica: str, frequent: frozenset[Query] = frozenset()) -> Condition:
    """Return the condition that exactly the hits of a query on a replica meet.

    It looks up no range terms for clauses that are `frequent`.
    """
    return _of(query, _Scope(replica, frequent))


def readable(readers: frozenset[str] | None) -> Condition:
    """Return the condition that entries meet which those who count as `readers` may read."""
    return _plain("labels && %s::text[]", sorted(labels_sought(readers)))


def both(one: Condition, other: Condition) -> Condition:
    """Return the condition that two conditions hold."""
    return _joined(" AND ", (one, other))


class _Scope(Postings):
    """The postings of the replica, and the clauses that are frequent there."""

    def __init__(self, replica: str, frequent: frozenset[Query]) -> None:
        super().__init__(replica)
        self.frequent = frequent


def _of(query: Query, scope: "_Scope") -> Condition:
    return _CLAUSES[type(query)](query, scope)


def clauses_by_range_terms(query: Query) -> list[Query]:
    """Return the clauses that look up range terms; PostgreSQL can't estimate how many entries they find."""
    if isinstance(query, Bool):
        inner = (*query.must, *query.filter, *query.should)
        return [leaf for clause in inner for leaf in clauses_by_range_terms(clause)]
    return [query] if isinstance(query, Range | Prefix | Wildcard) else []


def _plain(text: LiteralString, *values: Any) -> Condition:
    return Condition(sql.SQL(text), values)


_ALIVE = _plain("NOT dead")
_NOTHING = _plain("false")


def _has_all(*postings: bytes) -> Condition:
    return _plain("postings @> %s::uuid[]", uuids(postings))


def _has_any(*postings: bytes) -> Condition:
    return _plain("postings && %s::uuid[]", uuids(postings))


def _match_all(_: MatchAll, __: Postings) -> Condition:
    return _ALIVE


def _match(query: Match, hashed: Postings) -> Condition:
    tokens = [*hashed.of_tokens(query.path, query.tokens)]
    # Every array contains an empty one, but overlaps with none: without tokens nothing is found.
    return _has_all(*tokens) if query.all_tokens and tokens else _has_any(*tokens)


def _terms(query: Terms, hashed: Postings) -> Condition:
    return _has_any(*(hashed.of_value(query.path, value) for value in query.values))


def _exists(query: Exists, hashed: Postings) -> Condition:
    # A value may be at the empty path, under an empty key; but `exists` never finds it.
    return _has_all(hashed.of_path(query.path)) if query.path else _NOTHING


def _ids(query: Ids, hashed: Postings) -> Condition:
    return _has_any(*map(hashed.of_name, query.fqids))


_OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def _range(query: Range, scope: _Scope) -> Condition:
    bounds = {name: as_jsonb(bound) for name in _OPERATORS if (bound := getattr(query, name)) is not None}
    # Bounds of two types find nothing. PostgreSQL finds nothing either, but after comparing every value.
    if None in bounds.values() or len({isinstance(bound, str) for bound in bounds.values()}) > 1:
        return _NOTHING
    if not bounds:
        return _at(query.path, scope, "$[*]", {})
    checks = " && ".join(f"@ {_OPERATORS[name]} ${name}" for name in bounds)
    terms = terms_between(scope, query.path, bounds)
    if not terms:
        return _NOTHING
    return _at(query.path, scope, f"$[*] ? ({checks})", bounds, "" if query in scope.frequent else terms)


def _prefix(query: Prefix, scope: _Scope) -> Condition:
    begin = escape(query.prefix)
    return _at(
        query.path,
        scope,
        "$[*] ? (@ starts with $prefix)",
        {"prefix": begin},
        _beginning(query, scope, begin),
    )


def _wildcard(query: Wildcard, scope: _Scope) -> Condition:
    steps = list(_STEP.finditer(query.pattern))
    form = "".join(map(_expression, steps))
    begin = "".join(_plain_text(step) for step in takewhile(_plain_text, steps))
    # A regular expression is the one argument of jsonpath that can't be a variable.
    expression = f'$[*] ? (@ like_regex {json.dumps(f"^{form}$")} flag "s")'
    return _at(query.path, scope, expression, {}, _beginning(query, scope, begin))


def _beginning(query: Prefix | Wildcard, scope: _Scope, begin: str) -> str:
    """Return the tsquery for text with a prefix; empty if it should not be looked up."""
    return terms_beginning(scope, query.path, begin) if begin and query not in scope.frequent else ""


def _expression(step: "re.Match[str]") -> str:
    if step["text"]:
        return ".*"
    if step["one"]:
        return _ONE
    return _SPECIAL.sub(r"\\\1", _plain_text(step))


def _plain_text(step: "re.Match[str]") -> str:
    """Return the text that a step of a pattern stands for; empty if it stands for any."""
    return escape(step["escaped"] or step["plain"] or "")


def _at(
    path: str, hashed: Postings, expression: str, variables: Mapping[str, Any], terms: str = ""
) -> Condition:
    """Return the condition that an expression of jsonpath finds a scalar value at a path.

    `terms` is the tsquery that leads to all such entries; if it is empty, the path does.
    """
    # `scalars` has no list for a path that only leads on. Without coalesce the result would be NULL, and
    # `NOT NULL` finds nothing.
    has_value = "coalesce(jsonb_path_exists(scalars -> %s::text, %s::jsonpath, %s), false)"
    values = (escape(path), expression, Jsonb(variables))
    of_path = uuids([hashed.of_path(path)])
    if not terms:
        return _plain(f"(postings @> %s::uuid[] AND {has_value})", of_path, *values)
    return _plain(
        # The planner takes each prefix for frequent, and many of them for everything. Of a tsquery that it
        # can't see, since a subquery returns it, it assumes that one entry in 200 matches.
        "((range_terms @@ (SELECT %s::tsquery)"
        f" OR ({WITHOUT_RANGE_TERMS} AND postings @> %s::uuid[])) AND {has_value})",
        *(terms, of_path, *values),
    )


def _bool(query: Bool, scope: _Scope) -> Condition:
    def each(queries: Sequence[Query]) -> list[Condition]:
        return [_of(clause, scope) for clause in queries]

    conditions = [*each(query.must), *each(query.filter), *map(_not, each(query.must_not))]
    if not (query.must or query.filter or query.minimum_should_match > 0):
        conditions.append(_ALIVE)
    if query.minimum_should_match > 0:
        conditions.append(_at_least(query.minimum_should_match, each(query.should)))
    return _joined(" AND ", conditions)


def _not(one: Condition) -> Condition:
    return Condition(sql.SQL("NOT {}").format(one.text), one.values)


def _at_least(number: int, conditions: Sequence[Condition]) -> Condition:
    """Return the condition that at least `number` of some conditions hold."""
    if number > len(conditions):
        return _NOTHING
    if number == len(conditions):
        return _joined(" AND ", conditions)
    any_ = _joined(" OR ", conditions)
    if number == 1:
        return any_
    # PostgreSQL has no index for a sum, but the sum implies that one of them holds, which has one.
    numbers = [Condition(sql.SQL("({})::int").format(one.text), one.values) for one in conditions]
    summed = _joined(" + ", numbers)
    enough = Condition(sql.SQL("{} >= %s").format(summed.text), (*summed.values, number))
    return _joined(" AND ", (any_, enough))


def _joined(operator: LiteralString, conditions: Sequence[Condition]) -> Condition:
    if not conditions:
        return _plain("true")
    texts = sql.SQL(operator).join([one.text for one in conditions])
    return Condition(
        sql.SQL("({})").format(texts), tuple(value for one in conditions for value in one.values)
    )


_CLAUSES: Mapping[type, Callable[[Any, _Scope], Condition]] = {
    Bool: _bool,
    Exists: _exists,
    Ids: _ids,
    Match: _match,
    MatchAll: _match_all,
    Prefix: _prefix,
    Range: _range,
    Terms: _terms,
    Wildcard: _wildcard,
}
