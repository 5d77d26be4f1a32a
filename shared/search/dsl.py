"""The Elasticsearch query DSL: parse the JSON of a client into a `Query`, or name the clause at fault.

`docs/search.md` lists the clauses and options. Every error is an IndexQueryRefused whose title begins with
the path of the fault, such as `es_query.query.bool.must[1].match_phrase`.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shared.errors import IllegalArguments, IndexQueryRefused
from shared.identifiers import Fqid
from shared.search.analysis import scalar_text, scalar_tokens
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
from shared.search.should import least_of

# Elasticsearch: indices.query.bool.max_nested_depth and max_clause_count, index.max_terms_count.
MAX_DEPTH = 20
MAX_CLAUSES = 1024
MAX_VALUES = 65_536
# Of a path, pattern or text; generous for everything that people ask for.
MAX_CHARACTERS = 4096
# Of all values and paths together, except those of terms and ids: each is compared with text of documents.
MAX_COMPARED_CHARACTERS = 128 * 1024

# Elasticsearch maps text by default to an analysed field and, under this name, to one of exact values.
KEYWORD = ".keyword"
# The first release of this interface analysed text under this name.
ANALYSED = ".text"
# Elasticsearch's own fields; no document has them.
_OWN_FIELDS = frozenset({"_all", "_field_names", "_id", "_index", "_source", "_type", "_uid"})
# These name or weigh a clause, which does not change the hits.
_FREE_OPTIONS = frozenset({"boost", "_name"})
_BOUNDS = ("gt", "gte", "lt", "lte")
# A time that Elasticsearch would calculate: now-7d/d, 2026-01-12||+1M.
_DATE_MATH = re.compile(r"(?:now|[0-9]{4}.*\|\|)(?:[+-][0-9]*[yMwdhHms]|/[yMwdhHms])*", re.DOTALL)
# JSON: numbers. No float needs more digits.
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?")


def parse(es_query: Mapping[str, Any]) -> Query:
    """Return the query of a body of the Elasticsearch search API: `{"query": {…}}`.

    `{}` finds everything, and `query` may be left out around a clause. Raises IndexQueryRefused, naming the
    clause, if it is malformed, not served, or exceeds the limits above.
    """
    if not isinstance(es_query, Mapping):
        raise IndexQueryRefused("es_query: must be an object")
    if not es_query:
        return MatchAll()
    if "query" not in es_query:
        return _Reader().clause(es_query, "es_query")
    for name in es_query:
        if name != "query":
            raise _not_served(f"es_query.{name}", "query alone")
    return _Reader().clause(es_query["query"], "es_query.query")


def _not_served(where: str, served: str) -> IndexQueryRefused:
    return IndexQueryRefused(f"{where[:300]}: not served here; use {served}")


def _refused(where: str, why: str) -> IndexQueryRefused:
    return IndexQueryRefused(f"{where[:300]}: {why}")


class _Reader:
    """Parses one query and counts its clauses and their characters."""

    def __init__(self) -> None:
        self._clauses = 0
        self._characters = 0

    def clause(self, body: Any, where: str, depth: int = 1, *, filters: bool = False) -> Query:
        """Return the query of a clause; `where` is its path, and `depth` counts from 1.

        `filters` is true at any depth within a `filter` or `must_not`.
        """
        self._count(1, where)
        if depth > MAX_DEPTH:
            raise _refused(where, f"clauses are nested more than {MAX_DEPTH} deep")
        name, inner = _single(body, where, "a clause")
        where = f"{where}.{name}"
        if name == "bool":
            return self._bool(_object(inner, where), where, depth, filters)
        read = _CLAUSES.get(name)
        if read is None:
            raise _refused(where, f"this clause is not served; use one of {', '.join(SERVED)}")
        query = read(inner, where)
        if name not in _LOOKED_UP:
            self._characters += len(json.dumps(inner, ensure_ascii=False))
        if self._characters > MAX_COMPARED_CHARACTERS:
            raise _refused(where, f"clauses up to here have more than {MAX_COMPARED_CHARACTERS} characters")
        return query

    def _bool(self, body: Mapping[str, Any], where: str, depth: int, filters: bool) -> Bool:
        _check_options(body, where, {"must", "filter", "must_not", "should", "minimum_should_match"})
        read = {
            kind: tuple(
                self.clause(clause, place, depth + 1, filters=filters or kind in ("filter", "must_not"))
                for clause, place in _clauses(body.get(kind), where, kind)
            )
            for kind in ("must", "filter", "must_not", "should")
        }
        should, asked = len(read["should"]), body.get("minimum_should_match")
        least = _least(asked, should, f"{where}.minimum_should_match")
        if not any(read.values()):
            # Elasticsearch: without clauses it finds everything, with any minimum_should_match.
            return Bool()
        if should and (not (read["must"] or read["filter"]) or (filters and asked is None)):
            # Lucene: if nothing else is required, one optional clause must match. Elasticsearch 5 and 6: also
            # in a filter, where there is no score that an optional clause could raise.
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
        keys = f", not {', '.join(map(repr, list(body)[:5])) or 'none'}" if isinstance(body, Mapping) else ""
        raise _refused(where, f"must be an object with the name of {what} as its only key{keys}")
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
    if name in _OWN_FIELDS:
        raise _refused(f"{where}.{name}", "documents have no such field; ids finds bundle versions by name")
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


def _at_keyword(path: str, make: Callable[[str], Query]) -> Query:
    """Return a clause about a path; if the path ends in `.keyword`, about the path without it as well.

    A document may have a field of that very name.
    """
    return _either(make(path.removesuffix(KEYWORD)), make(path)) if _ends(path, KEYWORD) else make(path)


def _ends(path: str, name: str) -> bool:
    return path.endswith(name) and path != name


def _either(*queries: Query) -> Bool:
    return Bool(should=queries, minimum_should_match=1)


def _field(
    body: Any, where: str, value_name: str, served: set[str], older_name: str = ""
) -> tuple[str, Any, Mapping[str, Any], str]:
    """Return path, value, options and place of `{path: value}` or `{path: {value_name: value, …}}`.

    Elasticsearch 5 and 6 take the value by its older name as well.
    """
    name, inner = _single(body, where, "a field")
    path = _path(name, where)
    where = f"{where}.{name}"
    if not isinstance(inner, Mapping):
        return path, inner, {}, where
    if older_name in inner and value_name not in inner:
        value_name = older_name
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
    read = {
        name: _word(options.get(name), f"{where.removesuffix('.query')}.{name}", words)
        for name, words in (("operator", ("or", "and")), ("zero_terms_query", ("none", "all")))
    }
    words = tuple(scalar_tokens(value))
    if len(words) > MAX_CLAUSES:
        raise _refused(where, f"has more than {MAX_CLAUSES} words")
    least = 1
    if "minimum_should_match" in options:
        place = f"{where.removesuffix('.query')}.minimum_should_match"
        least = _least(options["minimum_should_match"], len(words), place)
    if not words and read["zero_terms_query"] == "all":
        return MatchAll()

    def at(path: str) -> Query:
        if read["operator"] == "or" and least > 1 and len(words) > 1:
            # Elasticsearch: a repeated word counts as often as it stands there.
            return Bool(should=tuple(Match(path, (word,)) for word in words), minimum_should_match=least)
        analysed = Match(path, tuple(dict.fromkeys(words)), all_tokens=read["operator"] == "and")
        number = _number_written(value)
        return analysed if number is None else _either(analysed, Terms(path, (number,)))

    if _ends(path, ANALYSED):
        return _either(at(path), at(path.removesuffix(ANALYSED)))
    if _ends(path, KEYWORD):
        return _either(Terms(path.removesuffix(KEYWORD), (value,)), at(path))
    return at(path)


def _word(value: Any, where: str, words: tuple[str, ...]) -> str:
    """Return which of some words a value is, in any case; the first if there is no value."""
    found = words[0] if value is None else str(value).lower()
    if found not in words:
        raise _refused(where, f"must be {' or '.join(words)}")
    return found


def _number_written(value: Scalar) -> int | float | None:
    """Return the number that a text is, if the tokens of the text would not find it: -5, 1e-7, 61.0."""
    text = value.strip() if isinstance(value, str) else ""
    number = json.loads(text) if _NUMBER.fullmatch(text) else None
    known = number is None or math.isinf(number) or scalar_tokens(text) == [scalar_text(number)]
    return None if known else number


def _term(body: Any, where: str) -> Query:
    path, asked, _, where = _field(body, where, "value", set(), older_name="term")
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
    if isinstance(value, str) and _DATE_MATH.fullmatch(value):
        raise _refused(where, f"{value[:80]!r} is date math, which is not served; dates are compared as text")
    return _scalar(value, where)


def _exists(body: Any, where: str) -> Query:
    options = _object(body, where)
    _check_options(options, where, {"field"})
    return _at_keyword(_path(_text(options.get("field"), f"{where}.field"), f"{where}.field"), Exists)


def _prefix(body: Any, where: str) -> Query:
    path, asked, _, where = _field(body, where, "value", set(), older_name="prefix")
    begin = _text(asked, where)
    return _at_keyword(path, lambda path: Prefix(path, begin))


def _wildcard(body: Any, where: str) -> Query:
    path, asked, _, where = _field(body, where, "value", set(), older_name="wildcard")
    pattern = _text(asked, where)
    return _at_keyword(path, lambda path: Wildcard(path, pattern))


def _ids(body: Any, where: str) -> Query:
    options = _object(body, where)
    _check_options(options, where, {"values"})
    values = options.get("values")
    asked: Sequence[Any] = values if isinstance(values, list) else [values]
    if len(asked) > MAX_VALUES:
        raise _refused(f"{where}.values", f"has more than {MAX_VALUES} values")
    texts = (str(_scalar(value, f"{where}.values[{index}]")) for index, value in enumerate(asked))
    return Ids(tuple(fqid for text in texts if (fqid := _fqid(text))))


def _fqid(text: str) -> str:
    """Return the FQID that a text is; empty if it is none, which finds nothing, as in Elasticsearch."""
    try:
        return str(Fqid.parse(text))
    except IllegalArguments:
        return ""


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
# Clauses whose values are looked up, at little cost for each.
_LOOKED_UP = frozenset({"terms", "ids"})
