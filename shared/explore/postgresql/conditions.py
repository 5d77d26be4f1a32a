"""Filters as conditions of SQL: on the terms of profiles, where they are about facets, or else on
documents."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection, sql
from psycopg.sql import SQL, Composable

from shared.explore.bundle_metadata import Json
from shared.explore.fields import MISSING, FieldType
from shared.explore.filters import Filter, Relation
from shared.explore.rows import term_key

_TERMS = """
    SELECT term.number FROM unnest(%s::text[]) AS wanted (key)
    JOIN dss_explore_terms AS term ON term.field = %s AND term.key = wanted.key
"""
_NESTED_TERMS = """
    SELECT number FROM dss_explore_terms WHERE field = %s AND key LIKE '{%%' AND key::jsonb @> %s::jsonb
"""
_HAS_TERM = SQL("profile.terms && {}::integer[]")
_HAS_VALUE = SQL("document.vals @> {}::jsonb")
_HAS_NONE = SQL("document.vals -> {} = '[]'::jsonb")
_HAS_PATH = SQL("document.vals @? {}::jsonpath")
_IN_BUNDLE = SQL("""
    EXISTS (
        SELECT 1 FROM dss_explore_shares AS share
        JOIN dss_explore_bundles AS bundle
            ON bundle.catalog = share.catalog AND bundle.uuid = share.uuid AND bundle.is_current
        WHERE share.catalog = document.catalog AND share.entity_type = document.entity_type
            AND share.entity_id = document.entity_id AND bundle.{} = ANY({}) AND {}
    )
""")
_IS_ENTITY = SQL("document.entity_id = ANY({})")
_HAS_WORDS = SQL("document.words @@ websearch_to_tsquery('simple', {})")
_ALWAYS, _NEVER = SQL("true"), SQL("false")

# Fields that are found by other tables than the documents' values.
_BUNDLE_COLUMNS = {"bundleUuid": "uuid", "bundleVersion": "version"}
_ENTITY = "entryId"


@dataclass(frozen=True)
class Condition:
    """A condition of SQL, and whether the terms of a profile decide it."""

    sql: Composable
    of_profiles: bool = False
    field: str = ""


def all_of(conditions: Iterable[Composable]) -> Composable:
    """Return the conjunction of conditions."""
    listed = list(conditions)
    return SQL(" AND ").join(SQL("({})").format(each) for each in listed) if listed else _ALWAYS


def any_of(conditions: Iterable[Composable]) -> Composable:
    """Return the disjunction of conditions."""
    listed = list(conditions)
    return SQL(" OR ").join(SQL("({})").format(each) for each in listed) if listed else _NEVER


@dataclass(frozen=True)
class Conditions:
    """Makes conditions of filters. `sought` are the labels that the reader looks up; None is an admin."""

    connection: Connection = field(repr=False)
    sought: frozenset[str] | None

    def of(self, a_filter: Filter) -> Condition:
        """Return the condition of a filter."""
        name = a_filter.field.name
        if a_filter.field.is_facet:
            return Condition(_HAS_TERM.format(sql.Literal(self._term_numbers(a_filter))), True, name)
        if a_filter.relation is Relation.IS:
            return Condition(self._is(a_filter), field=name)
        paths = (_HAS_PATH.format(sql.Literal(_path(a_filter, pair))) for pair in a_filter.values)
        return Condition(all_of(paths), field=name)

    def words(self, text: str) -> Condition:
        """Return the condition that all words of a text occur."""
        return Condition(_HAS_WORDS.format(sql.Literal(text)))

    def _term_numbers(self, a_filter: Filter) -> list[int]:
        name, values = a_filter.field.name, a_filter.values
        if a_filter.field.nested:
            rows = [
                row
                for value in values
                for row in self.connection.execute(_NESTED_TERMS, (name, json.dumps(value))).fetchall()
            ]
        else:
            keys = [term_key(value) for value in values]
            # Null is what has no value, for whatever reason.
            keys += [term_key(MISSING)] if None in values else []
            rows = self.connection.execute(_TERMS, (keys, name)).fetchall()
        return sorted({number for (number,) in rows})

    def _is(self, a_filter: Filter) -> Composable:
        name, values = a_filter.field.name, a_filter.values
        if name == _ENTITY:
            return _IS_ENTITY.format(sql.Literal([str(value) for value in values]))
        if name in _BUNDLE_COLUMNS:
            column = sql.Identifier(_BUNDLE_COLUMNS[name])
            return _IN_BUNDLE.format(column, sql.Literal([str(value) for value in values]), self._readable())
        return any_of(each for value in values for each in self._equals(name, value))

    def _readable(self) -> Composable:
        if self.sought is None:
            return _ALWAYS
        return SQL("bundle.labels && {}::text[]").format(sql.Literal(sorted(self.sought)))

    def _equals(self, name: str, value: Json) -> Sequence[Composable]:
        has = _HAS_VALUE.format(sql.Literal(json.dumps({name: [value]})))
        return (has, _HAS_NONE.format(sql.Literal(name))) if value is None else (has,)


_RANGES: dict[Relation, Callable[[str, str], str]] = {
    Relation.WITHIN: lambda low, high: f"@[0] >= {low} && @[1] <= {high}",
    Relation.CONTAINS: lambda low, high: f"@[0] <= {low} && @[1] >= {high}",
    Relation.INTERSECTS: lambda low, high: f"@[0] <= {high} && @[1] >= {low}",
}


def _path(a_filter: Filter, pair: Any) -> str:
    """Return a JSON path that leads to the values in a range, or to the ranges that relate to it."""
    low, high = map(json.dumps, pair)
    if a_filter.field.type is FieldType.RANGE:
        test = _RANGES[a_filter.relation](low, high)
    else:
        test = f"@ >= {low} && @ <= {high}"
    # Strict: otherwise PostgreSQL unwraps the pairs, too.
    return f"strict $.{json.dumps(a_filter.field.name)}[*] ? ({test})"
