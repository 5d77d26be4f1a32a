"""The Elasticsearch query DSL: turns what clients send into a `Query`, or names the clause at fault.

`docs/search.md` says which clauses and options there are. Every refusal is an IndexQueryRefused whose title
begins with the path of what is wrong, such as `es_query.query.bool.must[1].match_phrase`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shared.errors import IllegalArguments, IndexQueryRefused
from shared.identifiers import Fqid
from shared.index.analysis import scalar_tokens
from shared.index.query import (
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
from shared.index.should import least_of

# Elasticsearch: indices.query.bool.max_nested_depth and max_clause_count, index.max_terms_count.
MAX_DEPTH = 20
MAX_CLAUSES = 1024
MAX_VALUES = 65_536
# Generous for any path, form or text that a person asks for.
MAX_CHARACTERS = 4096

# What Elasticsearch makes of text without being told: analysed as it is, exact under this name.
KEYWORD = ".keyword"
# These name a clause or weigh it, which changes nothing in what is found.
_FREE_OPTIONS = frozenset({"boost", "_name"})
_BOUNDS = ("gt", "gte", "lt", "lte")


def parse(es_query: Mapping[str, Any]) -> Query:
    """Return the query that a body of the Elasticsearch search API asks: `{"query": {…}}`.

    `{}` finds everything, and a clause may stand without `query` around it. Raises IndexQueryRefused, naming
    the clause, for all that is not understood, not served, or larger than the bounds above.
    """
    if not isinstance(es_query, Mapping):
        raise IndexQueryRefused("es_query: must be an object")
    if not es_query:
        return MatchAll()
    if "query" not in es_query:
        return _Reader().clause(es_query, "es_query", 1)
    for name in es_query:
        if name != "query":
            raise _not_served(f"es_query.{name}", "only query")
    return _Reader().clause(es_query["query"], "es_query.query", 1)


def _not_served(where: str, served: str) -> IndexQueryRefused:
    return IndexQueryRefused(f"{where[:300]}: not served here; {served} is")


def _refused(where: str, why: str) -> IndexQueryRefused:
    return IndexQueryRefused(f"{where[:300]}: {why}")


class _Reader:
    """Reads one query, and counts what it holds."""

    def __init__(self) -> None:
        self._clauses = 0

    def clause(self, body: Any, where: str, depth: int) -> Query:
        """Return the query that a clause asks; `where` is its path, `depth` counts from 1."""
        self._count(1, where)
        if depth > MAX_DEPTH:
            raise _refused(where, f"clauses are nested more than {MAX_DEPTH} deep")
        name, inner = _single(body, where, "a clause")
        where = f"{where}.{name}"
        if name == "bool":
            return self._bool(_object(inner, where), where, depth)
        read = _CLAUSES.get(name)
        if read is None:
            raise _refused(where, f"this clause is not served; those that are: {', '.join(SERVED)}")
        return read(inner, where)

    def _bool(self, body: Mapping[str, Any], where: str, depth: int) -> Bool:
        _check_options(body, where, {"must", "filter", "must_not", "should", "minimum_should_match"})
        read = {
            kind: tuple(
                self.clause(clause, place, depth + 1)
                for clause, place in _clauses(body.get(kind), where, kind)
            )
            for kind in ("must", "filter", "must_not", "should")
        }
        should = len(read["should"])
        least = _least(body.get("minimum_should_match"), should, f"{where}.minimum_should_match")
        if should and not (read["must"] or read["filter"]):
            # Lucene: where nothing is required, one of what may match has to.
            least = max(least, 1)
        return Bool(**read, minimum_should_match=least)

    def _count(self, clauses: int, where: str) -> None:
        self._clauses += clauses
        if self._clauses > MAX_CLAUSES:
            raise _refused(where, f"the query has more than {MAX_CLAUSES} clauses")


def _clauses(value: Any, where: str, kind: str) -> list[tuple[Any, str]]:
    if value is None:
        return []
    if isinstance(value, list):
        return [(clause, f"{where}.{kind}[{index}]") for index, clause in enumerate(value)]
    return [(value, f"{where}.{kind}")]


def _least(value: Any, count: int, where: str) -> int:
    if value is None:
        return 0
    try:
        return least_of(value, count)
    except ValueError as error:
        raise _refused(where, str(error)) from None


def _single(body: Any, where: str, what: str) -> tuple[str, Any]:
    if not isinstance(body, Mapping) or len(body) != 1:
        held = (
            f"holds {', '.join(map(repr, list(body)[:5])) or 'nothing'}" if isinstance(body, Mapping) else ""
        )
        raise _refused(where, f"must be an object that holds the name of {what} and nothing else; {held}")
    [(name, inner)] = body.items()
    return name, inner


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise _refused(where, "must be an object")


def _check_options(body: Mapping[str, Any], where: str, served: set[str]) -> None:
    for name in body:
        if name not in served and name not in _FREE_OPTIONS:
            raise _not_served(f"{where}.{name}", f"{', '.join(sorted(served)) or 'no option'}")


def _path(name: Any, where: str) -> str:
    if not name or len(name) > MAX_CHARACTERS or "*" in name:
        raise _refused(where, f"{name[:80]!r} is not the path of one field")
    return str(name)


def _scalar(value: Any, where: str) -> Scalar:
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise _refused(where, "must be text, a number, true or false")


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise _refused(where, "must be text")
    if len(value) > MAX_CHARACTERS:
        raise _refused(where, f"is longer than {MAX_CHARACTERS} characters")
    return value


def _at_keyword(path: str, make: Callable[[str], Query], other: Query | None = None) -> Query:
    """Return a clause about a path, which with `.keyword` behind it may mean the path without.

    A document may have a field of that name, too. `other` is the clause about that field, where it differs.
    """
    if not _is_keyword(path):
        return make(path)
    return Bool(should=(make(path.removesuffix(KEYWORD)), other or make(path)), minimum_should_match=1)


def _is_keyword(path: str) -> bool:
    return path.endswith(KEYWORD) and path != KEYWORD


def _field(
    body: Any, where: str, value_name: str, served: set[str]
) -> tuple[str, Any, Mapping[str, Any], str]:
    """Return path, value, options and place of `{path: value}` or `{path: {value_name: value, …}}`."""
    name, inner = _single(body, where, "a field")
    path = _path(name, where)
    where = f"{where}.{name}"
    if not isinstance(inner, Mapping):
        return path, inner, {}, where
    _check_options(inner, where, {value_name, *served})
    if value_name not in inner:
        raise _refused(where, f"{value_name} is missing")
    return path, inner[value_name], inner, f"{where}.{value_name}"


def _match_all(body: Any, where: str) -> Query:
    _check_options(_object(body, where), where, set())
    return MatchAll()


def _match(body: Any, where: str) -> Query:
    options_served = {"operator", "minimum_should_match", "zero_terms_query"}
    path, asked, options, where = _field(body, where, "query", options_served)
    value = _scalar(asked, where)
    operator = str(options.get("operator", "or")).lower()
    if operator not in ("and", "or"):
        raise _refused(where, "operator must be and, or or")
    if options.get("zero_terms_query", "none") not in ("none", "all"):
        raise _refused(where, "zero_terms_query must be none or all")
    words = tuple(dict.fromkeys(scalar_tokens(value)))
    if len(words) > MAX_CLAUSES:
        raise _refused(where, f"has more than {MAX_CLAUSES} words")
    if not words and options.get("zero_terms_query") == "all":
        return MatchAll()
    analysed: Query = Match(path, words, all_tokens=operator == "and")
    if "minimum_should_match" in options and operator == "or":
        least = max(_least(options["minimum_should_match"], len(words), where), 1)
        analysed = Bool(should=tuple(Match(path, (word,)) for word in words), minimum_should_match=least)
    if not _is_keyword(path):
        return analysed
    return _at_keyword(path, lambda exact: Terms(exact, (value,)), analysed)


def _term(body: Any, where: str) -> Query:
    path, asked, _, where = _field(body, where, "value", set())
    value = _scalar(asked, where)
    return _at_keyword(path, lambda path: Terms(path, (value,)))


def _terms(body: Any, where: str) -> Query:
    fields = {name: inner for name, inner in _object(body, where).items() if name not in _FREE_OPTIONS}
    name, asked = _single(fields, where, "a field")
    path, where = _path(name, where), f"{where}.{name}"
    if not isinstance(asked, list):
        raise _refused(where, "must be a list")
    if len(asked) > MAX_VALUES:
        raise _refused(where, f"has more than {MAX_VALUES} values")
    values = tuple(_scalar(value, f"{where}[{index}]") for index, value in enumerate(asked))
    return _at_keyword(path, lambda path: Terms(path, values))


def _range(body: Any, where: str) -> Query:
    name, inner = _single(body, where, "a field")
    path, where = _path(name, where), f"{where}.{name}"
    bounds = _object(inner, where)
    _check_options(bounds, where, set(_BOUNDS))
    asked = {
        name: _bound(bounds[name], f"{where}.{name}") for name in _BOUNDS if bounds.get(name) is not None
    }
    if len({isinstance(bound, str) for bound in asked.values()}) > 1:
        raise _refused(where, "one bound is text and another a number")
    return _at_keyword(path, lambda path: Range(path, **asked))


def _bound(value: Any, where: str) -> Any:
    if isinstance(value, bool):
        raise _refused(where, "must be text or a number")
    return _scalar(value, where)


def _exists(body: Any, where: str) -> Query:
    options = _object(body, where)
    _check_options(options, where, {"field"})
    return _at_keyword(_path(_text(options.get("field"), f"{where}.field"), f"{where}.field"), Exists)


def _prefix(body: Any, where: str) -> Query:
    path, asked, _, where = _field(body, where, "value", set())
    begin = _text(asked, where)
    return _at_keyword(path, lambda path: Prefix(path, begin))


def _wildcard(body: Any, where: str) -> Query:
    old_name = isinstance(body, Mapping) and any("wildcard" in value for value in _objects(body.values()))
    path, asked, _, where = _field(body, where, "wildcard" if old_name else "value", set())
    pattern = _text(asked, where)
    return _at_keyword(path, lambda path: Wildcard(path, pattern))


def _objects(values: Any) -> list[Mapping[str, Any]]:
    return [value for value in values if isinstance(value, Mapping)]


def _ids(body: Any, where: str) -> Query:
    options = _object(body, where)
    _check_options(options, where, {"values"})
    values = options.get("values")
    asked: Sequence[Any] = values if isinstance(values, list) else [values]
    if len(asked) > MAX_VALUES:
        raise _refused(f"{where}.values", f"has more than {MAX_VALUES} values")
    return Ids(tuple(_fqid(value, f"{where}.values[{index}]") for index, value in enumerate(asked)))


def _fqid(value: Any, where: str) -> str:
    try:
        return str(Fqid.parse(_text(value, where), where))
    except IllegalArguments as error:
        raise IndexQueryRefused(error.title) from None


_CLAUSES: dict[str, Callable[[Any, str], Query]] = {
    "match_all": _match_all,
    "match": _match,
    "term": _term,
    "terms": _terms,
    "range": _range,
    "exists": _exists,
    "prefix": _prefix,
    "wildcard": _wildcard,
    "ids": _ids,
}
SERVED = (*_CLAUSES, "bool")
