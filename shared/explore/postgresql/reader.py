"""Answers questions to a catalogue from its tables."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from psycopg import Connection, sql
from psycopg.sql import SQL, Composable

from shared.explore.bundle_metadata import Json
from shared.explore.catalogues import Catalogue
from shared.explore.fields import Field
from shared.explore.postgresql.audience_numbers import AudienceNumbers
from shared.explore.postgresql.conditions import Condition, Conditions, all_of
from shared.explore.query import FacetCounts, Found, FoundPage, PageOrder, Position, Query, Summed
from shared.explore.rows import is_missing, term_value
from shared.postgresql.connections import Connections

Sought = frozenset[str] | None

# Which profiles match, and how many documents of each.
_MATCHING_PROFILES = SQL("""
    SELECT profile.terms, profile.n FROM dss_explore_profiles AS profile
    WHERE catalog = {catalog} AND entity_type = {kind} AND audience = ANY({audiences}) AND {condition}
""")
# If a condition is about documents, these are counted.
_MATCHING_DOCUMENTS = SQL("""
    SELECT profile.terms, matching.n FROM (
        SELECT document.profile, count(*) AS n FROM dss_explore_documents AS document
        WHERE document.catalog = {catalog} AND document.entity_type = {kind}
            AND document.audience = ANY({audiences}) AND {documents}
        GROUP BY document.profile
    ) AS matching
    JOIN dss_explore_profiles AS profile ON profile.id = matching.profile
    WHERE {condition}
""")
_TOTAL = SQL("SELECT coalesce(sum(n), 0)::bigint FROM ({}) AS matching")
_COUNTS = SQL("""
    SELECT term.field, term.key, counted.n FROM (
        SELECT number, sum(matching.n)::bigint AS n FROM ({}) AS matching, unnest(matching.terms) AS number
        GROUP BY number
    ) AS counted
    JOIN dss_explore_terms AS term ON term.number = counted.number
    WHERE term.field = ANY({})
""")
# The numbers of matching documents, summed up to profiles if no condition is about documents.
_SUMMED_PROFILES = SQL("""
    SELECT profile.terms, profile.n, profile.sums FROM dss_explore_profiles AS profile
    WHERE catalog = {catalog} AND entity_type = {kind} AND audience = ANY({audiences}) AND {condition}
""")
_SUMMED_DOCUMENTS = SQL("""
    SELECT profile.terms, 1 AS n, document.sums FROM dss_explore_documents AS document
    JOIN dss_explore_profiles AS profile ON profile.id = document.profile
    WHERE document.catalog = {catalog} AND document.entity_type = {kind}
        AND document.audience = ANY({audiences}) AND {condition}
""")
# Of a profile without numbers one row remains, so that its documents are counted.
_SUMS = SQL("""
    SELECT place, sum(n)::bigint, sum(amount)::bigint
    FROM ({}) AS matching LEFT JOIN LATERAL unnest(sums) WITH ORDINALITY AS each_sum (amount, place) ON true
    GROUP BY place ORDER BY place
""")
_SUMS_BY = SQL("""
    SELECT term.key, place, sum(n)::bigint, sum(amount)::bigint
    FROM ({}) AS matching
    CROSS JOIN LATERAL unnest(terms) AS of_profile (number_of_term)
    JOIN dss_explore_terms AS term ON term.number = number_of_term AND term.field = {}
    LEFT JOIN LATERAL unnest(sums) WITH ORDINALITY AS each_sum (amount, place) ON true
    GROUP BY term.key, place ORDER BY term.key, place
""")
_DISTINCT = SQL("""
    SELECT count(DISTINCT value) FROM dss_explore_documents AS document
    JOIN dss_explore_profiles AS profile ON profile.id = document.profile,
    jsonb_array_elements_text(document.vals -> {field}) AS value
    WHERE document.catalog = {catalog} AND document.entity_type = {kind}
        AND document.audience = ANY({audiences}) AND {condition}
""")
_PAGE = SQL("""
    SELECT document.entity_id, {key} AS key, document.document
    FROM dss_explore_documents AS document
    JOIN dss_explore_profiles AS profile ON profile.id = document.profile
    WHERE document.catalog = {catalog} AND document.entity_type = {kind}
        AND document.audience = ANY({audiences}) AND {condition} AND {position}
    ORDER BY {key} {direction}, document.entity_id {direction} LIMIT {limit}
""")
_DEFAULT_KEY = SQL("document.default_key")
_KEY = SQL('(document.keys ->> {}) COLLATE "C"')
_ONE = SQL("""
    SELECT document.entity_id, document.default_key, document.document
    FROM dss_explore_documents AS document
    JOIN dss_explore_profiles AS profile ON profile.id = document.profile
    WHERE document.catalog = {catalog} AND document.entity_type = {kind} AND document.entity_id = {id}
        AND document.audience = ANY({audiences}) AND {condition}
""")


class Reader:
    """Answers questions of readers. `sought` are the labels that one looks up; None is an admin.

    What a reader may not see has no part in any answer. All methods raise Unavailable.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def page(self, catalogue: Catalogue, sought: Sought, query: Query, order: PageOrder) -> FoundPage:
        """Return a page of documents."""
        with self._connections.connection() as connection:
            asked = _Asked(connection, catalogue, sought, query)
            return asked.page(order)

    def one(self, catalogue: Catalogue, sought: Sought, query: Query, entity_id: str) -> Found | None:
        """Return an entity's document, if it matches a query."""
        with self._connections.connection() as connection:
            return _Asked(connection, catalogue, sought, query).one(entity_id)

    def counts(
        self, catalogue: Catalogue, sought: Sought, query: Query
    ) -> tuple[int, dict[str, FacetCounts]]:
        """Return how many documents match, and the counts of facets.

        A facet is counted over the documents that match all filters but those on its own field.
        """
        with self._connections.connection() as connection:
            return _Asked(connection, catalogue, sought, query).counts()

    def summary(self, catalogue: Catalogue, sought: Sought, query: Query) -> dict[str, Json]:
        """Return the summary of what matches a query, of all types of entities."""
        with self._connections.connection() as connection:
            return catalogue.plugin.summary(_Summaries(connection, catalogue, sought, query))


class _Summaries:
    """Answers of one connection about the documents of all types that match one query."""

    def __init__(self, connection: Connection, catalogue: Catalogue, sought: Sought, query: Query) -> None:
        self._connection = connection
        self._catalogue = catalogue
        self._sought = sought
        self._query = query

    def counts(self, entity_type: str, *facets: str) -> tuple[int, dict[str, FacetCounts]]:
        """Return how many documents match, and the counts of some facets."""
        return self._asked(entity_type, facets).counts(own_filters=True)

    def sums(self, entity_type: str, by: str = "") -> list[Summed]:
        """Return the sums of documents' numbers for each term of a field, or of all."""
        return self._asked(entity_type).sums(by)

    def distinct(self, entity_type: str, *names: str) -> list[int]:
        """Return how many different values some fields have."""
        asked = self._asked(entity_type)
        return [asked.distinct(name) for name in names]

    def _asked(self, entity_type: str, facets: Sequence[str] = ()) -> "_Asked":
        fields = [each for each in self._catalogue.plugin.fields if each.name in facets]
        query = replace(self._query, entity_type=entity_type, facets=fields)
        return _Asked(self._connection, self._catalogue, self._sought, query)


class _Asked:
    """One question, on one connection."""

    def __init__(self, connection: Connection, catalogue: Catalogue, sought: Sought, query: Query) -> None:
        self._connection = connection
        self._catalogue = catalogue
        self._query = query
        conditions = Conditions(connection, sought)
        self._conditions = [conditions.of(each) for each in query.filters]
        if query.words:
            self._conditions.append(conditions.words(query.words))
        self._place = {
            "catalog": sql.Literal(catalogue.number),
            "kind": sql.Literal(query.entity_type),
            "audiences": sql.Literal(AudienceNumbers(connection).of_reader(sought)),
        }

    def page(self, order: PageOrder) -> FoundPage:
        backwards = order.before is not None
        descending = order.descending != backwards
        key = self._key(order.sort)
        start = order.before or order.after
        statement = _PAGE.format(
            **self._place,
            key=key,
            condition=all_of(each.sql for each in self._conditions),
            position=_behind(key, start, descending=descending),
            direction=SQL("DESC") if descending else SQL("ASC"),
            limit=sql.Literal(order.size + 1),
        )
        rows = self._connection.execute(statement).fetchall()
        more = len(rows) > order.size
        found = [_found(row) for row in rows[: order.size]]
        if backwards:
            return FoundPage(found[::-1], has_next=True, has_previous=more)
        return FoundPage(found, has_next=more, has_previous=order.after is not None)

    def one(self, entity_id: str) -> Found | None:
        condition = all_of(each.sql for each in self._conditions)
        statement = _ONE.format(**self._place, condition=condition, id=sql.Literal(entity_id))
        row = self._connection.execute(statement).fetchone()
        return _found(row) if row else None

    def counts(self, *, own_filters: bool = False) -> tuple[int, dict[str, FacetCounts]]:
        """Count documents; with `own_filters` a facet's own filter holds for its counts, too."""
        facets = self._facets()
        filtered = set() if own_filters else {each.field for each in self._conditions if each.of_profiles}
        total = self._total(self._conditions)
        unfiltered = [each for each in facets if each.name not in filtered]
        counts = self._counted(self._conditions, unfiltered, total)
        for facet in facets:
            if facet.name in filtered:
                others = [each for each in self._conditions if each.field != facet.name]
                counts |= self._counted(others, [facet], self._total(others))
        return total, {each.name: counts[each.name] for each in facets}

    def sums(self, by: str) -> list[Summed]:
        matching = self._summed()
        if not by:
            rows = self._connection.execute(_SUMS.format(matching)).fetchall()
            return [Summed(None, rows[0][1], [number or 0 for _, _, number in rows])] if rows else []
        found: dict[str, Summed] = {}
        for key, _, n, number in self._connection.execute(_SUMS_BY.format(matching, sql.Literal(by))):
            earlier = found.get(key, Summed(term_value(key), n, []))
            found[key] = replace(earlier, sums=[*earlier.sums, number or 0])
        return sorted(found.values(), key=lambda each: (-each.n, _text(each.term)))

    def distinct(self, name: str) -> int:
        condition = all_of(each.sql for each in self._conditions)
        statement = _DISTINCT.format(**self._place, condition=condition, field=sql.Literal(name))
        row = self._connection.execute(statement).fetchone()
        return int(row[0]) if row else 0

    def _facets(self) -> list[Field]:
        known = [each for each in self._catalogue.plugin.fields if each.is_facet]
        if self._query.facets is None:
            return [each for each in known if not each.is_hidden]
        return [each for each in known if each in self._query.facets]

    def _summed(self) -> Composable:
        form = _SUMMED_PROFILES if all(each.of_profiles for each in self._conditions) else _SUMMED_DOCUMENTS
        return form.format(**self._place, condition=all_of(each.sql for each in self._conditions))

    def _key(self, sort: Field) -> Composable:
        default = self._catalogue.plugin.entity_types[self._query.entity_type].default_sort
        return _DEFAULT_KEY if sort.name == default else _KEY.format(sql.Literal(sort.name))

    def _matching(self, conditions: Sequence[Condition]) -> Composable:
        profiles = all_of(each.sql for each in conditions if each.of_profiles)
        documents = [each.sql for each in conditions if not each.of_profiles]
        if not documents:
            return _MATCHING_PROFILES.format(**self._place, condition=profiles)
        return _MATCHING_DOCUMENTS.format(**self._place, condition=profiles, documents=all_of(documents))

    def _total(self, conditions: Sequence[Condition]) -> int:
        row = self._connection.execute(_TOTAL.format(self._matching(conditions))).fetchone()
        return int(row[0]) if row else 0

    def _counted(
        self, conditions: Sequence[Condition], facets: Sequence[Field], total: int
    ) -> dict[str, FacetCounts]:
        if not facets:
            return {}
        names = sql.Literal([each.name for each in facets])
        rows = self._connection.execute(_COUNTS.format(self._matching(conditions), names)).fetchall()
        by_field: dict[str, list[tuple[str, int]]] = {each.name: [] for each in facets}
        for name, key, count in rows:
            by_field[name].append((key, count))
        return {each.name: facet_counts(each, by_field[each.name], total) for each in facets}


def facet_counts(facet: Field, counted: Iterable[tuple[str, int]], total: int) -> FacetCounts:
    """Return the counts of a facet's terms, the most frequent first; of equal ones by their text.

    What lacks the field counts as null, and comes last if no document has null.
    """
    terms = dict(counted)
    if facet.counted_by:
        return _nested_counts(facet, terms)
    missing = sum(count for key, count in terms.items() if is_missing(key))
    present = {key: count for key, count in terms.items() if not is_missing(key)}
    listed = sorted(present.items(), key=lambda item: (-item[1], _text(term_value(item[0]))))
    answer = [(term_value(key), count + (missing if key == "null" else 0)) for key, count in listed]
    if missing and "null" not in present:
        answer.append((None, missing))
    return FacetCounts(answer, total if present else 0, len(present))


def _text(value: Json) -> str:
    """Return the text by which equally frequent terms are ordered; null comes last."""
    if isinstance(value, dict):
        return " ".join(str(value[name]) for name in sorted(value, reverse=True))
    return "~null" if value is None else str(value)


def _nested_counts(facet: Field, terms: dict[str, int]) -> FacetCounts:
    """Count objects rather than documents, by one of their properties."""
    counts: dict[str, int] = {}
    for key, count in terms.items():
        value = term_value(key)
        if value is not None:
            counts[value[facet.counted_by]] = counts.get(value[facet.counted_by], 0) + count
    listed = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    return FacetCounts(listed, sum(counts.values()), len(counts))


def _behind(key: Composable, start: Position | None, *, descending: bool) -> Composable:
    if start is None:
        return SQL("true")
    comparison = SQL(
        "({}, document.entity_id) < ({}, {})" if descending else "({}, document.entity_id) > ({}, {})"
    )
    return comparison.format(key, sql.Literal(start[0]), sql.Literal(start[1]))


def _found(row: Sequence[Any]) -> Found:
    entity_id, key, document = row
    return Found(entity_id, (key, entity_id), json.loads(document))
