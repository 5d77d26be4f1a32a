"""Queries as conditions of PostgreSQL, over the rows of `shared.search.postgresql.rows`.

What is asked for, paths included, goes into parameters: the text of a condition is made of what stands here
and of nothing else. What each clause means is `shared.search.matching`.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, LiteralString

from psycopg import sql
from psycopg.types.json import Jsonb

from shared.search.postgresql.order import asked_beginning, asked_between
from shared.search.postgresql.rows import fit, stored
from shared.search.postgresql.schema import WITHOUT_WORDS
from shared.search.postings import Postings
from shared.search.query import Bool, Exists, Ids, Match, MatchAll, Prefix, Query, Range, Terms, Wildcard

# An escaped character, characters of any text, any one, or one that stands for itself.
_STEP = re.compile(r"\\(?P<escaped>.)|(?P<text>\*+)|(?P<one>\?)|(?P<plain>.)", re.DOTALL)
# What expressions of PostgreSQL take for more than itself.
_SPECIAL = re.compile(r"([\\^$.|?*+()\[\]{}])")
# Any one character, as `fit` writes it.
_ONE = "(?:[^\x01\ud7ff]|[\x01\ud7ff].)"


@dataclass(frozen=True)
class Condition:
    """A condition of SQL, and the values of its parameters in their order."""

    text: sql.Composable
    values: tuple[Any, ...] = ()


def condition(query: Query, replica: str, common: frozenset[Query] = frozenset()) -> Condition:
    """Return the condition that holds for just the entries of a replica that a query finds.

    For clauses that are `common` nothing is looked up by words.
    """
    return _of(query, _Asked(replica, common))


class _Asked(Postings):
    """The postings of a replica that is asked, and the clauses that are common there."""

    def __init__(self, replica: str, common: frozenset[Query]) -> None:
        super().__init__(replica)
        self.common = common


def _of(query: Query, hashed: "_Asked") -> Condition:
    return _CLAUSES[type(query)](query, hashed)


def asking_words(query: Query) -> list[Query]:
    """Return the clauses for which entries are looked up by words: how many, PostgreSQL can't tell."""
    if isinstance(query, Bool):
        return [one for clause in (*query.must, *query.filter, *query.should) for one in asking_words(clause)]
    return [query] if isinstance(query, Range | Prefix | Wildcard) else []


def _plain(text: LiteralString, *values: Any) -> Condition:
    return Condition(sql.SQL(text), values)


_ALIVE = _plain("NOT dead")
_NOTHING = _plain("false")


def _has_all(*wanted: Any) -> Condition:
    return _plain("postings @> %s::uuid[]", list(wanted))


def _has_any(*wanted: Any) -> Condition:
    return _plain("postings && %s::uuid[]", list(wanted))


def _match_all(_: MatchAll, __: Postings) -> Condition:
    return _ALIVE


def _match(query: Match, hashed: Postings) -> Condition:
    wanted = [hashed.of_token(query.path, token) for token in query.tokens]
    # Without a token nothing is asked for, and nothing is found.
    return _has_all(*wanted) if query.all_tokens and wanted else _has_any(*wanted)


def _terms(query: Terms, hashed: Postings) -> Condition:
    return _has_any(*(hashed.of_value(query.path, value) for value in query.values))


def _exists(query: Exists, hashed: Postings) -> Condition:
    # A value may be at the empty path, where a key is empty, and no path leads through it.
    return _has_all(hashed.of_path(query.path)) if query.path else _NOTHING


def _ids(query: Ids, hashed: Postings) -> Condition:
    return _has_any(*map(hashed.of_name, query.fqids))


_OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def _range(query: Range, hashed: _Asked) -> Condition:
    bounds = {name: stored(bound) for name in _OPERATORS if (bound := getattr(query, name)) is not None}
    # A value is compared with its like only; PostgreSQL would find none either, and look at all of them.
    if None in bounds.values() or len({isinstance(bound, str) for bound in bounds.values()}) > 1:
        return _NOTHING
    if not bounds:
        return _at(query.path, hashed, "$[*]", {})
    checks = " && ".join(f"@ {_OPERATORS[name]} ${name}" for name in bounds)
    asked = asked_between(hashed, query.path, bounds)
    if not asked:
        return _NOTHING
    return _at(query.path, hashed, f"$[*] ? ({checks})", bounds, "" if query in hashed.common else asked)


def _prefix(query: Prefix, hashed: _Asked) -> Condition:
    begin = fit(query.prefix)
    asked = asked_beginning(hashed, query.path, begin) if begin and query not in hashed.common else ""
    return _at(query.path, hashed, "$[*] ? (@ starts with $prefix)", {"prefix": begin}, asked)


def _wildcard(query: Wildcard, hashed: _Asked) -> Condition:
    steps = list(_STEP.finditer(query.pattern))
    form = "".join(map(_expression, steps))
    begin = "".join(_plain_text(step) for step in takewhile(_plain_text, steps))
    asked = asked_beginning(hashed, query.path, begin) if begin and query not in hashed.common else ""
    # Of all that a path of JSONB can be given, an expression alone has to stand in its text.
    return _at(query.path, hashed, f'$[*] ? (@ like_regex {json.dumps(f"^{form}$")} flag "s")', {}, asked)


def _expression(step: "re.Match[str]") -> str:
    if step["text"]:
        return ".*"
    if step["one"]:
        return _ONE
    return _SPECIAL.sub(r"\\\1", _plain_text(step))


def _plain_text(step: "re.Match[str]") -> str:
    """Return the text for which a step of a pattern stands; empty where it stands for any."""
    return fit(step["escaped"] or step["plain"] or "")


def _at(
    path: str, hashed: Postings, expression: str, variables: Mapping[str, Any], asked: str = ""
) -> Condition:
    """Return the condition that a leaf at a path is one that an expression of jsonpath finds.

    `asked` is what the words of all such entries answer to; where there is nothing to ask, all entries are
    looked into that have the path.
    """
    # A path that leads on is there, and has no leaves: nothing is known of these, and `NOT` of what is not
    # known finds nothing.
    looked_into = "coalesce(jsonb_path_exists(leaves -> %s::text, %s::jsonpath, %s), false)"
    values = (fit(path), expression, Jsonb(variables))
    by_path = [hashed.of_path(path)]
    if not asked:
        return _plain(f"(postings @> %s::uuid[] AND {looked_into})", by_path, *values)
    return _plain(
        # PostgreSQL takes each beginning for common, and all of them for everything. To what it has yet to
        # select it takes one entry in 200 to answer.
        "((words @@ (SELECT %s::tsquery)"
        f" OR ({WITHOUT_WORDS} AND postings @> %s::uuid[])) AND {looked_into})",
        *(asked, by_path, *values),
    )


def _bool(query: Bool, hashed: _Asked) -> Condition:
    def each(queries: Sequence[Query]) -> list[Condition]:
        return [_of(one, hashed) for one in queries]

    wanted = [*each(query.must), *each(query.filter), *map(_not, each(query.must_not))]
    if not (query.must or query.filter or query.minimum_should_match > 0):
        wanted.append(_ALIVE)
    if query.minimum_should_match > 0:
        wanted.append(_at_least(query.minimum_should_match, each(query.should)))
    return _joined(" AND ", wanted)


def _not(one: Condition) -> Condition:
    return Condition(sql.SQL("NOT {}").format(one.text), one.values)


def _at_least(number: int, conditions: Sequence[Condition]) -> Condition:
    """Return the condition that so many of some conditions hold."""
    if number > len(conditions):
        return _NOTHING
    if number == len(conditions):
        return _joined(" AND ", conditions)
    any_ = _joined(" OR ", conditions)
    if number == 1:
        return any_
    # The sum is true only where one of them is; that one the index can find.
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


_CLAUSES: Mapping[type, Callable[[Any, _Asked], Condition]] = {
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
