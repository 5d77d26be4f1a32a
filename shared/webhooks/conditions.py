"""Conditions of queries that can be looked up: which values a document needs for a query to match it.

    bundle_info.uuid == '3f2a'                        needs '3f2a' at bundle_info.uuid
    files.cell_json[?organ == 'brain' && age > `3`]   needs 'brain' at organ of an element of files.cell_json
    {"terms": {"files.cell_json.organ": ["a", "b"]}}  needs one of 'a' and 'b' there

A query without the values that it needs is not run: it would not match, and not fail. A query for which
that is not known is always run.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from shared.search.matching import Subject, typed
from shared.search.query import Bool, Ids, Match, Query, Terms

# Steps of a path of JMESPath: a name, an index, or every element of a list.
Step = str | int | None
EVERY: Step = None
# What a document has: how it is looked for, where, and the value.
Condition = tuple[str, Any, Any]
# Queries that compare with more values are run.
_MOST_VALUES = 100


def needs_of_expression(parsed: Mapping[str, Any]) -> frozenset[Condition] | None:
    """Return the conditions of which a document needs one for a JMESPath expression to be true.

    None if it may be true, or fail, without any of them. `parsed` is the library's syntax tree.
    """
    found = _needs(parsed, ())
    return frozenset(found) if found and len(found) <= _MOST_VALUES else None


def _needs(node: Mapping[str, Any], base: tuple[Step, ...]) -> set[Condition] | None:
    kind, parts = node["type"], node["children"]
    if kind == "comparator" and node["value"] == "eq":
        return _needs_of_comparison(parts[0], parts[1], base)
    if kind == "and_expression":
        # Only the first part: if it is not true, the second one is not evaluated, and can't fail.
        return _needs(parts[0], base)
    if kind == "or_expression":
        both = [_needs(part, base) for part in parts]
        return both[0] | both[1] if both[0] and both[1] else None
    if kind == "filter_projection":
        listed, _, condition = parts
        path = _path(listed)
        return None if path is None else _needs(condition, (*base, *path, EVERY))
    return None


def _needs_of_comparison(
    one: Mapping[str, Any], other: Mapping[str, Any], base: tuple[Step, ...]
) -> set[Condition] | None:
    for path, literal in ((_path(one), other), (_path(other), one)):
        if path is not None and literal["type"] == "literal" and _is_scalar(literal["value"]):
            return {("expression", (*base, *path), typed(literal["value"]))}
    return None


def _is_scalar(value: Any) -> bool:
    # Null equals what is absent.
    return isinstance(value, str | int | float)


def _path(node: Mapping[str, Any]) -> tuple[Step, ...] | None:
    kind = node["type"]
    if kind in ("current", "identity"):
        return ()
    if kind in ("field", "index"):
        return (node["value"],)
    if kind in ("subexpression", "index_expression"):
        paths = [_path(child) for child in node["children"]]
        return None if None in paths else tuple(step for path in paths for step in path or ())
    return None


def values_at(document: Any, path: Iterable[Step]) -> Iterator[Any]:
    """Yield what a document has at a path, as JMESPath finds it, but for what is absent."""
    found = [document]
    for step in path:
        found = [below for value in found for below in _below(value, step)]
    return iter(found)


def _below(value: Any, step: Step) -> Iterable[Any]:
    if step is EVERY:
        return value if isinstance(value, list) else ()
    if isinstance(step, int):
        is_there = isinstance(value, list) and -len(value) <= step < len(value)
        return (value[step],) if is_there else ()
    return (value[step],) if isinstance(value, dict) and step in value else ()


def needs_of_query(query: Query) -> frozenset[Condition] | None:
    """Return the conditions of which an indexed document needs one for a query to find it; None as above."""
    found = _needs_of_clause(query)
    return None if found is None or len(found) > _MOST_VALUES else frozenset(found)


def _needs_of_clause(query: Query) -> set[Condition] | None:
    if isinstance(query, Terms):
        return {("value", query.path, typed(value)) for value in query.values}
    if isinstance(query, Match):
        words = query.tokens[:1] if query.all_tokens else query.tokens
        return {("word", query.path, word) for word in words}
    if isinstance(query, Ids):
        return {("id", "", fqid) for fqid in query.fqids}
    return _needs_of_bool(query) if isinstance(query, Bool) else None


def _needs_of_bool(query: Bool) -> set[Condition] | None:
    required = [_needs_of_clause(clause) for clause in (*query.must, *query.filter)]
    if query.minimum_should_match > 0:
        required.append(_needs_of_any(query.should))
    return min((found for found in required if found is not None), key=len, default=None)


def _needs_of_any(queries: Iterable[Query]) -> set[Condition] | None:
    found: set[Condition] = set()
    for query in queries:
        needs = _needs_of_clause(query)
        if needs is None:
            return None
        found |= needs
    return found


class Lookup:
    """Which of many queries, known by number, may match a document."""

    def __init__(self) -> None:
        self._always: set[int] = set()
        # Of Elasticsearch queries: all are run on a document that search can't read.
        self._searching: set[int] = set()
        # By how it is looked for and where: the numbers of the queries by the value that they need.
        self._needing: dict[tuple[str, Any], dict[Any, list[int]]] = {}

    def add(self, number: int, needs: frozenset[Condition] | None, *, searches: bool) -> None:
        """Add a query; `searches` is whether it is about the indexed document."""
        if searches:
            self._searching.add(number)
        if needs is None:
            self._always.add(number)
        for how, where, value in needs or ():
            self._needing.setdefault((how, where), {}).setdefault(value, []).append(number)

    def may_match(self, content: Any, subject: Subject | None) -> set[int]:
        """Return the numbers of the queries that may match a metadata document, or fail on it.

        `subject` is the indexed document of it; None if there is none, on which each such query fails.
        """
        found = set(self._always)
        if subject is None:
            found |= self._searching
        for (how, where), by_value in self._needing.items():
            if how != "expression" and subject is None:
                continue
            for value in _looked_up(how, where, content, subject):
                found.update(by_value.get(value, ()))
        return found


def _looked_up(how: str, where: Any, content: Any, searched: Any) -> Iterable[Any]:
    """Return the values that a document has, in the form in which they are looked up."""
    if how == "expression":
        return {typed(value) for value in values_at(content, where) if _is_scalar(value)}
    if how == "value":
        return {typed(value) for value in searched.values(where)}
    if how == "word":
        tokens: set[str] = searched.tokens(where)
        return tokens
    return (str(searched.fqid),)
