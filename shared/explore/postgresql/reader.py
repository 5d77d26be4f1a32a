"""Answers questions to a catalogue from its tables."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

from psycopg import Connection, sql
from psycopg.sql import SQL, Composable, Composed

from shared.errors import IllegalArguments
from shared.explore.bundle_metadata import Json
from shared.explore.catalogues import Catalogue
from shared.explore.fields import Field
from shared.explore.manifests.selection import FileOfBundle, FilesOfBundles, SelectedFile, SelectedFiles
from shared.explore.postgresql import statements
from shared.explore.postgresql.audience_numbers import numbers_of_reader
from shared.explore.postgresql.conditions import (
    ENTITY,
    Conditions,
    all_of,
    group_position,
    least_number,
    number_position,
)
from shared.explore.postgresql.facets import facet_counts, term_text
from shared.explore.query import FacetCounts, Found, FoundPage, PageOrder, Position, Query, Sought, Summed
from shared.explore.rows import number_of, term_value
from shared.identifiers import Fqid
from shared.parallel import map_in_threads
from shared.postgresql.connections import Connections

# Documents that a manifest reads at once: some 5 KB each, of files in many bundles more.
_READ_AT_ONCE = 500
# Sorting what matches a filter takes longer than a page of it.
_ONE_MOMENT = """
    SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL statement_timeout = '300s'
"""


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

    def sums(self, catalogue: Catalogue, sought: Sought, query: Query, by: str) -> list[Summed]:
        """Return the sums of the numbers of documents that match, for each term of a field, or of all."""
        with self._connections.connection() as connection:
            return _Asked(connection, catalogue, sought, query).sums(by)

    def growth(self, catalogue: Catalogue, sought: Sought, query: Query, name: str) -> list[Summed]:
        """Return for each day of a field that has versions how many documents have it, in order of time."""
        with self._connections.connection() as connection:
            return _Asked(connection, catalogue, sought, query).growth(name)

    def files(self, catalogue: Catalogue, sought: Sought, query: Query, after: str) -> SelectedFiles:
        """Yield all documents behind an entity's id, in order of these ids, as they are at one moment."""
        with (
            self._one_moment(catalogue, sought, query) as asked,
            # PostgreSQL works on the next page while this one is parsed and used.
            closing(map_in_threads(asked.documents, asked.selected(after), threads=1)) as pages,
        ):
            for page in pages:
                for entity_id, document in page:
                    yield SelectedFile(entity_id, json.loads(document))

    def files_by_bundle(
        self,
        catalogue: Catalogue,
        sought: Sought,
        query: Query,
        after: tuple[str, str],
        *,
        documents: bool,
    ) -> FilesOfBundles:
        """Yield them once for each bundle that they are in, in order of bundle and id."""
        with self._one_moment(catalogue, sought, query) as asked:
            for rows in asked.selected_by_bundle(after):
                found = dict(asked.documents(rows)) if documents else {}
                for entity_id, _, uuid, version in rows:
                    document = json.loads(found[entity_id]) if documents else {}
                    yield FileOfBundle(Fqid(uuid, version), SelectedFile(entity_id, document))

    @contextmanager
    def _one_moment(self, catalogue: Catalogue, sought: Sought, query: Query) -> Iterator["_Asked"]:
        with self._connections.connection() as connection, connection.transaction():
            connection.execute(_ONE_MOMENT)
            yield _Asked(connection, catalogue, sought, query)


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
        return asked.distinct(names)

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
        audiences = numbers_of_reader(connection, sought)
        self._conditions = conditions = Conditions(
            connection, catalogue, query.entity_type, sought, audiences
        )
        made = [conditions.of(each) for each in query.filters]
        if query.words:
            made.append(conditions.words(query.words))
        self._of_profiles = [each for each in made if each.of_profiles]
        self._of_documents = [each.sql for each in made if not each.of_profiles]
        self._of_index = all(each.of_index for each in made if not each.of_profiles)
        self._place = {
            "catalog": sql.Literal(catalogue.number),
            "kind": sql.Literal(query.entity_type),
            "audiences": sql.Literal(audiences),
        }

    def page(self, order: PageOrder) -> FoundPage:
        backwards = order.before is not None
        statement = self._page(order, descending=order.descending != backwards)
        rows = self._connection.execute(statement).fetchall()
        more = len(rows) > order.size
        found = [_found(row) for row in rows[: order.size]]
        if backwards:
            return FoundPage(found[::-1], has_next=True, has_previous=more)
        return FoundPage(found, has_next=more, has_previous=order.after is not None)

    def one(self, entity_id: str) -> Found | None:
        conditions = self._profile_conditions(), self._document_conditions()
        statement = statements.ONE.format(
            **self._place, condition=all_of(conditions), id=sql.Literal(entity_id)
        )
        row = self._connection.execute(statement).fetchone()
        return _found(row) if row else None

    def selected(self, after: str) -> Iterator[Sequence[Any]]:
        """Yield pages of the ids and audiences of all that match, in order, within a transaction."""
        return self._paged(
            statements.SELECTED.format(
                **self._place,
                after=sql.Literal(after),
                profiles=self._profile_conditions(),
                documents=self._document_conditions(),
            )
        )

    def selected_by_bundle(self, after: tuple[str, str]) -> Iterator[Sequence[Any]]:
        """Yield pages of the same with the UUID and version of each bundle that they are in."""
        return self._paged(
            statements.SELECTED_BY_BUNDLE.format(
                **self._place,
                uuid=sql.Literal(after[0]),
                after=sql.Literal(after[1]),
                readable=self._conditions.readable(),
                profiles=self._profile_conditions(),
                documents=self._document_conditions(),
            )
        )

    def _paged(self, statement: Composed) -> Iterator[Sequence[Any]]:
        with self._connection.cursor("dss_selected") as cursor:
            cursor.execute(statement)
            while rows := cursor.fetchmany(_READ_AT_ONCE):
                yield rows

    def documents(self, rows: Sequence[Any]) -> list[tuple[str, str]]:
        """Return the ids of a page of `selected` with the texts of their documents."""
        ids, audiences = [row[0] for row in rows], [row[1] for row in rows]
        place = self._catalogue.number, self._query.entity_type
        values = (ids, audiences, *place)
        found: dict[str, str] = dict(self._connection.execute(statements.DOCUMENTS_OF, values).fetchall())
        return [(entity_id, found[entity_id]) for entity_id in ids]

    def counts(self, *, own_filters: bool = False) -> tuple[int, dict[str, FacetCounts]]:
        """Count documents; with `own_filters` a facet's own filter holds for its counts, too."""
        facets = self._facets()
        filtered = [] if own_filters else [each.field for each in self._of_profiles]
        # Facets by the number of the filter that does not hold for them; 0 is none.
        by_number: dict[int, list[Field]] = {number: [] for number in range(len(filtered) + 1)}
        for facet in facets:
            by_number[filtered.index(facet.name) + 1 if facet.name in filtered else 0].append(facet)
        rows = self._connection.execute(self._counted(by_number)).fetchall()
        totals = {number: int(n) for number, name, _, n in rows if name is None}
        terms: dict[str, list[tuple[str, int]]] = {each.name: [] for each in facets}
        for _, name, key, n in rows:
            if name is not None:
                terms[name].append((key, n))
        of_facet = {each.name: number for number, listed in by_number.items() for each in listed}
        return totals.get(0, 0), {
            each.name: facet_counts(each, terms[each.name], totals.get(of_facet[each.name], 0))
            for each in facets
        }

    def sums(self, by: str) -> list[Summed]:
        summed = statements.SUMMED_DOCUMENTS if self._of_documents else statements.SUMMED_PROFILES
        matching = summed.format(
            **self._place, profiles=self._profile_conditions(), documents=self._document_conditions()
        )
        if not by:
            rows = self._connection.execute(statements.SUMS.format(matching)).fetchall()
            return [Summed(None, rows[0][1], [number or 0 for _, _, number in rows])] if rows else []
        field = next(each for each in self._catalogue.plugin.fields if each.name == by)
        position = sql.Literal(group_position(self._catalogue, field))
        found: dict[str, Summed] = {}
        statement = statements.SUMS_BY.format(matching=matching, position=position, field=sql.Literal(by))
        for key, _, n, number in self._connection.execute(statement):
            earlier = found.get(key, Summed(term_value(key), n, []))
            found[key] = replace(earlier, sums=[*earlier.sums, number or 0])
        return sorted(found.values(), key=lambda each: (-each.n, term_text(each.term)))

    def growth(self, name: str) -> list[Summed]:
        statement = statements.GROWTH.format(
            **self._place,
            profiles=self._profile_conditions(),
            documents=self._document_conditions(),
            name=sql.Literal(name),
        )
        return [Summed(day, n, [size or 0]) for day, n, size in self._connection.execute(statement)]

    def distinct(self, names: Sequence[str]) -> list[int]:
        numbers = (statements.DISTINCT_NUMBER.format(sql.Literal(name)) for name in names)
        filtered = self._of_profiles or self._of_documents
        form = statements.DISTINCT_FILTERED if filtered else statements.DISTINCT
        statement = form.format(
            **self._place,
            profiles=self._profile_conditions(),
            documents=self._document_conditions(),
            numbers=SQL(", ").join(numbers),
        )
        return list(map(int, self._connection.execute(statement).fetchone() or ()))

    def _facets(self) -> list[Field]:
        known = [each for each in self._catalogue.plugin.fields if each.is_facet]
        if self._query.facets is None:
            return [each for each in known if not each.is_hidden]
        return [each for each in known if each in self._query.facets]

    def _profile_conditions(self) -> Composable:
        return all_of(each.sql for each in self._of_profiles)

    def _document_conditions(self) -> Composable:
        return all_of(self._of_documents)

    def _counted(self, by_number: Mapping[int, Sequence[Field]]) -> Composed:
        """Return the statement that counts facets and totals, in one pass over what matches."""
        conditions = [each.sql for each in self._of_profiles]
        if len(by_number) == 1:
            # All filters hold for all facets.
            held: Composable = all_of(conditions)
            failed: Composable = statements.NONE_FAILS
        else:
            held, failed = statements.ANYTHING, statements.failed(conditions)
        if not self._of_documents:
            matching = statements.MATCHING_PROFILES
        elif self._of_index:
            matching = statements.MATCHING_IN_INDEX
        else:
            matching = statements.MATCHING_DOCUMENTS
        counted, names, totals = [], [], []
        for number, facets in by_number.items():
            values = {
                "number": sql.Literal(number),
                "bits": sql.Literal([0, 1 << (number - 1)] if number else [0]),
            }
            for position in sorted({group_position(self._catalogue, each) for each in facets}):
                counted.append(statements.COUNTED.format(**values, position=sql.Literal(position)))
            names += [SQL("({}, {})").format(sql.Literal(number), sql.Literal(each.name)) for each in facets]
            totals.append(statements.TOTAL.format(**values))
        matched = matching.format(
            **self._place,
            profiles=held,
            documents=self._document_conditions(),
            failed=failed,
            needed=sql.Literal([0, *(1 << (number - 1) for number in by_number if number)]),
        )
        only = None if self._query.facets is None else [each.name for each in self._query.facets]
        return statements.counts(matched, counted, names, totals, only)

    def _page(self, order: PageOrder, *, descending: bool) -> Composed:
        start = order.before or order.after
        key = self._key(order.sort)
        is_number = self._is_number(order.sort)
        place = _place(order.sort, start, is_number=is_number)
        values = {
            **self._place,
            "key": key,
            "shown_key": statements.KEY.format(sql.Literal(order.sort.name))
            if is_number
            else statements.PAGE_KEY,
            "position": _behind(key, place, descending=descending),
            "direction": SQL("DESC") if descending else SQL("ASC"),
            "limit": sql.Literal(order.size + 1),
            "profiles": self._profile_conditions(),
            "documents": self._document_conditions(),
            "term_key": statements.NO_TERM_KEY,
        }
        if key is statements.TERM_KEY:
            position = group_position(self._catalogue, order.sort)
            own = sql.Literal(order.sort.name), sql.Literal(position)
            values["term_key"] = statements.OWN_TERM_KEY.format(*own)
            at_start, from_start = _from_start(key, start, descending=descending)
            values |= {"at_start": at_start, "from_start": from_start}
        return self._form(order.sort).format(**values)

    def _form(self, sort: Field) -> SQL:
        """Return the form of the statement that finds a page with the least work."""
        is_default = sort.name == self._default_sort
        if sort.is_facet and not is_default and not self._of_documents:
            return statements.PAGE_OF_TERMS
        if self._of_index and (self._is_number(sort) or (is_default and self._of_documents)):
            # At worst all of one index is read.
            return statements.PAGE_AMONG_PROFILES if self._of_profiles else statements.PAGE
        if self._of_documents or not (is_default or sort.name == ENTITY):
            return statements.PAGE_OF_ALL
        if not self._of_profiles:
            return statements.PAGE
        if self._matching_profiles() > statements.MOST_MERGED:
            return statements.PAGE_AMONG_PROFILES
        return statements.PAGE_OF_PROFILES if is_default else statements.PAGE_OF_ALL

    def _matching_profiles(self) -> int:
        statement = statements.HOW_MANY_PROFILES.format(**self._place, profiles=self._profile_conditions())
        row = self._connection.execute(statement).fetchone()
        return int(row[0]) if row else 0

    @property
    def _default_sort(self) -> str:
        return self._catalogue.plugin.entity_types[self._query.entity_type].default_sort

    def _key(self, sort: Field) -> Composable:
        if sort.name == self._default_sort:
            return statements.DEFAULT_KEY
        if sort.name == ENTITY:
            return statements.ENTITY_KEY
        if sort.is_facet:
            return statements.TERM_KEY
        if self._is_number(sort):
            return least_number(self._catalogue, sort)
        return statements.KEY.format(sql.Literal(sort.name))

    def _is_number(self, sort: Field) -> bool:
        """Return whether documents are sorted by their numbers, rather than by texts that sort as these."""
        return sort.name != self._default_sort and number_position(self._catalogue, sort) > 0


def _place(sort: Field, start: Position | None, *, is_number: bool) -> tuple[Any, str] | None:
    """Return a position as documents are compared with it. Raises IllegalArguments if it is of no value."""
    if start is None or not is_number:
        return start
    try:
        return number_of(sort, start[0]), start[1]
    except ValueError:
        raise IllegalArguments(
            f"A page sorted by `{sort.name}` can't begin at {start[0][:100]!r}: take the URL of another page"
        ) from None


def _from_start(
    key: Composable, start: Position | None, *, descending: bool
) -> tuple[Composable, Composable]:
    """Return the conditions that a key is that of a position, and that it doesn't come before it."""
    if start is None:
        return SQL("false"), SQL("true")
    comparison = SQL("{} <= {}" if descending else "{} >= {}")
    return SQL("{} = {}").format(key, sql.Literal(start[0])), comparison.format(key, sql.Literal(start[0]))


def _behind(key: Composable, start: tuple[Any, str] | None, *, descending: bool) -> Composable:
    if start is None:
        return SQL("true")
    comparison = SQL(
        "({}, document.entity_id) < ({}, {})" if descending else "({}, document.entity_id) > ({}, {})"
    )
    return comparison.format(key, sql.Literal(start[0]), sql.Literal(start[1]))


def _found(row: Sequence[Any]) -> Found:
    entity_id, key, document = row
    return Found(entity_id, (key, entity_id), json.loads(document))
