"""Filters as conditions of SQL: on the terms of profiles, where they are about facets, or else on
documents."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection, sql
from psycopg.sql import SQL, Composable, Composed

from shared.explore.bundle_metadata import Json
from shared.explore.catalogues import Catalogue
from shared.explore.fields import MISSING, Field, FieldType, facet_groups
from shared.explore.filters import Filter, Relation
from shared.explore.rows import greatest_of, has_range, number, numbered, sort_key, term_key

_TERMS = """
    SELECT term.number FROM unnest(%s::text[]) AS wanted (key)
    JOIN dss_explore_terms AS term ON term.field = %s AND term.key = wanted.key
"""
_NESTED_TERMS = """
    SELECT number FROM dss_explore_terms WHERE field = %s AND key LIKE '{%%' AND key::jsonb @> %s::jsonb
"""
_HAS_TERM = SQL("""
    profile.parts[{}] IN (SELECT part.number FROM dss_explore_parts AS part WHERE part.terms && {}::integer[])
""")
_HAS_VALUE = SQL("document.vals @> {}::jsonb")
# Each value is looked up by itself. Compared with an array, every document found would be compared with all.
_HAS_ANY = SQL("document.ctid = ANY(ARRAY({}))")
_WITH_VALUES = SQL("""
    SELECT other.ctid FROM unnest({values}::jsonb[]) AS wanted (held)
    JOIN dss_explore_documents AS other ON other.vals @> wanted.held AND {exactly}
    WHERE other.catalog = {catalog} AND other.entity_type = {kind}
""")
# Whether a list contains another depends neither on the order nor on how often something is in it.
_EXACTLY = SQL("""
    EXISTS (
        SELECT FROM jsonb_array_elements(other.vals -> {name}) AS each_value (value)
        WHERE each_value.value = wanted.held -> {name} -> 0
    )
""")
_WITH_NONE = SQL("""
    UNION ALL SELECT other.ctid FROM dss_explore_documents AS other
    WHERE other.catalog = {catalog} AND other.entity_type = {kind} AND other.vals -> {name} = '[]'::jsonb
""")
_HAS_PATH = SQL("document.vals @? {}::jsonpath")
# No value is outside of the least and the greatest. If one of these two is in a range, the document has a
# value there. Others are looked at only if the range lies between these two. Most fail the first comparison.
_HAS_BETWEEN = SQL("""
    {least} <= {high} AND {greatest} >= {low} AND ({least} >= {low} OR {greatest} <= {high} OR {path})
""")
_LEAST = SQL('(document.keys ->> {}) COLLATE "C"')
_GREATEST = SQL('coalesce(document.keys ->> {}, document.keys ->> {}) COLLATE "C"')
# The same of what is in the index of the default order, where the values themselves are not.
_LEAST_NUMBER = SQL("document.numbers[{}]")
_GREATEST_NUMBER = SQL("coalesce(document.numbers[{}], document.numbers[{}])")
_NUMBER = SQL("{}::double precision")
_OF_ROW = SQL("""
    (SELECT own.vals @? {path}::jsonpath FROM dss_explore_documents AS own
        WHERE own.catalog = document.catalog AND own.entity_type = document.entity_type
        AND own.entity_id = document.entity_id AND own.audience = document.audience)
""")
# A bundle's document may say of its files together what these say one by one.
_WITH_FILES = SQL("""
    UNION ALL SELECT other.ctid FROM unnest({values}::jsonb[]) AS wanted (held)
    JOIN dss_explore_documents AS file ON file.vals @> wanted.held
    JOIN dss_explore_shares AS share ON share.catalog = file.catalog
        AND share.entity_type = file.entity_type AND share.entity_id = file.entity_id
    JOIN dss_explore_documents AS other ON other.catalog = file.catalog AND other.entity_type = {kind}
        AND other.entity_id = share.uuid
    WHERE file.catalog = {catalog} AND file.entity_type = 'files' AND file.audience = ANY({audiences})
""")
_IN_BUNDLE = SQL("""
    document.entity_id IN (
        SELECT share.entity_id FROM dss_explore_bundles AS bundle
        JOIN dss_explore_shares AS share ON share.catalog = bundle.catalog AND share.uuid = bundle.uuid
        WHERE bundle.catalog = {} AND bundle.is_current AND bundle.{} = ANY({}) AND {}
            AND share.entity_type = {}
    )
""")
_IS_ENTITY = SQL("document.entity_id = ANY({})")
# PostgreSQL knows beforehand whether there are any words at all, in a text of signs alone.
_HAS_WORDS = SQL("""
    numnode(websearch_to_tsquery('simple', {words})) = 0
    OR document.words @@ websearch_to_tsquery('simple', {words})
""")
_ALWAYS = SQL("true")

# Fields that are found by other tables than the documents' values.
_BUNDLE_COLUMNS = {"bundleUuid": "uuid", "bundleVersion": "version"}
ENTITY = "entryId"
_BUNDLES, _FILE_ID = "bundles", "fileId"


@dataclass(frozen=True)
class Condition:
    """A condition of SQL, and whether the terms of a profile decide it, or the index of the default order."""

    sql: Composable
    of_profiles: bool = False
    of_index: bool = False
    field: str = ""


def all_of(conditions: Iterable[Composable]) -> Composable:
    """Return the conjunction of conditions."""
    listed = list(conditions)
    return SQL(" AND ").join(SQL("({})").format(each) for each in listed) if listed else _ALWAYS


@dataclass(frozen=True)
class Conditions:
    """Makes conditions of filters on a catalogue's entities of a type.

    `sought` are the labels that the reader looks up; None is an admin. `audiences` are the numbers of those
    that the reader belongs to.
    """

    connection: Connection = field(repr=False)
    catalogue: Catalogue
    entity_type: str
    sought: frozenset[str] | None
    audiences: Sequence[int]

    def of(self, a_filter: Filter) -> Condition:
        """Return the condition of a filter."""
        name = a_filter.field.name
        if a_filter.field.is_facet:
            position = sql.Literal(group_position(self.catalogue, a_filter.field))
            numbers = sql.Literal(self._term_numbers(a_filter))
            return Condition(_HAS_TERM.format(position, numbers), of_profiles=True, field=name)
        if a_filter.relation is Relation.IS:
            return Condition(self._is(a_filter), field=name)
        ranges = all_of(self._in_range(a_filter, pair) for pair in a_filter.values)
        return Condition(ranges, field=name, of_index=number_position(self.catalogue, a_filter.field) > 0)

    def words(self, text: str) -> Condition:
        """Return the condition that all words of a text occur; one without words is met by all."""
        return Condition(_HAS_WORDS.format(words=sql.Literal(text)))

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
            # Null is what has no value, for any reason.
            keys += [term_key(MISSING)] if None in values else []
            rows = self.connection.execute(_TERMS, (keys, name)).fetchall()
        return sorted({number for (number,) in rows})

    def _is(self, a_filter: Filter) -> Composable:
        name, values = a_filter.field.name, a_filter.values
        if name == ENTITY:
            return _IS_ENTITY.format(sql.Literal([str(value) for value in values]))
        if name in _BUNDLE_COLUMNS:
            column = sql.Identifier(_BUNDLE_COLUMNS[name])
            catalog, texts = sql.Literal(self.catalogue.number), [str(value) for value in values]
            kind = sql.Literal(self.entity_type)
            return _IN_BUNDLE.format(catalog, column, sql.Literal(texts), self.readable(), kind)
        return self._has_any(a_filter.field, values)

    def readable(self) -> Composable:
        """Return the condition that the reader may read a `bundle`."""
        if self.sought is None:
            return _ALWAYS
        return SQL("bundle.labels && {}::text[]").format(sql.Literal(sorted(self.sought)))

    def _has_any(self, a_field: Field, values: Sequence[Json]) -> Composable:
        held = [json.dumps({a_field.name: [value]}) for value in values]
        is_exact = a_field.type is not FieldType.RANGE
        by_files = (self.entity_type, a_field.name) == (_BUNDLES, _FILE_ID)
        if len(values) == 1 and values != (None,) and is_exact and not by_files:
            return _HAS_VALUE.format(sql.Literal(held[0]))
        place = {
            "catalog": sql.Literal(self.catalogue.number),
            "kind": sql.Literal(self.entity_type),
            "name": sql.Literal(a_field.name),
        }
        exactly = _ALWAYS if is_exact else _EXACTLY.format(**place)
        parts = [_WITH_VALUES.format(values=sql.Literal(held), exactly=exactly, **place)]
        if None in values:
            parts.append(_WITH_NONE.format(**place))
        if by_files:
            audiences = sql.Literal(list(self.audiences))
            parts.append(_WITH_FILES.format(values=sql.Literal(held), audiences=audiences, **place))
        return _HAS_ANY.format(SQL("").join(parts))

    def _in_range(self, a_filter: Filter, pair: Any) -> Composable:
        a_field, name = a_filter.field, a_filter.field.name
        jsonpath = sql.Literal(_path(a_filter, pair))
        if not has_range(a_field):
            return _HAS_PATH.format(jsonpath)
        low: Composable
        high: Composable
        if number_position(self.catalogue, a_field):
            low, high = (_NUMBER.format(sql.Literal(number(a_field, value))) for value in pair)
            least = least_number(self.catalogue, a_field)
            greatest = _greatest_number(self.catalogue, a_field)
            path: Composable = _OF_ROW.format(path=jsonpath)
        else:
            low, high = (sql.Literal(sort_key(a_field, value)) for value in pair)
            least = _LEAST.format(sql.Literal(name))
            greatest = _GREATEST.format(sql.Literal(greatest_of(name)), sql.Literal(name))
            path = _HAS_PATH.format(jsonpath)
        return _HAS_BETWEEN.format(least=least, greatest=greatest, low=low, high=high, path=path)


def number_position(catalogue: Catalogue, a_field: Field) -> int:
    """Return at which place of a document's numbers a field's least value is: from 1, and 0 if it is not."""
    names = numbered(catalogue.plugin.fields)
    return names.index(a_field.name) + 1 if a_field.name in names else 0


def least_number(catalogue: Catalogue, a_field: Field) -> Composed:
    """Return the least value of a field, which has a place among a document's numbers."""
    return _LEAST_NUMBER.format(sql.Literal(number_position(catalogue, a_field)))


def _greatest_number(catalogue: Catalogue, a_field: Field) -> Composed:
    position = number_position(catalogue, a_field)
    return _GREATEST_NUMBER.format(
        sql.Literal(position + len(numbered(catalogue.plugin.fields))), sql.Literal(position)
    )


def group_position(catalogue: Catalogue, a_field: Field) -> int:
    """Return at which place of a profile's parts the terms of a facet are; the first is 1."""
    return facet_groups(catalogue.plugin.fields).index(a_field.group) + 1


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
