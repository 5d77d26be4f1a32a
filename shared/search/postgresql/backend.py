"""The index in PostgreSQL (15 or newer; Cloud SQL, AlloyDB): for stores of millions of bundles.

One table for all replicas, with a row for each entry. Inverted indexes serve the clauses, and PostgreSQL
combines them; see `shared.search.postgresql.rows`.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, LiteralString

from psycopg import Connection, sql
from psycopg.errors import QueryCanceled
from psycopg.sql import Composed

from shared.access import labels_of
from shared.config import Settings
from shared.identifiers import Fqid
from shared.postgresql.connections import Connections
from shared.search.base import MOST_PAGE_BYTES, Hit, IndexBackend, Indexed, IndexEntry, Page, Total
from shared.search.budget import too_costly
from shared.search.documents import digest_of
from shared.search.postgresql.clauses import Condition, both, clauses_by_range_terms, condition, readable
from shared.search.postgresql.range_terms import range_terms_of
from shared.search.postgresql.rows import FORM, postings, scalars
from shared.search.postgresql.schema import INDEX_TABLES
from shared.search.query import Query

Row = tuple[Any, ...]

# Entries that one statement reads to list all, and to search without an index.
_PAGE = 2000
_WINDOW = 500
# A clause that matches so many of so many entries is frequent, and not looked up: among a million entries,
# finding one in a hundred takes as long either way. Of more clauses than this, none is looked up.
_SAMPLE, _FREQUENT, _MOST_SAMPLED = 100, 2, 8
# For a page and its total; clients give up after 40. Shares of it: for a sample of clauses, for a page found
# by indexes, and until the last window ends. The total has the rest.
_SECONDS = 10.0
_SAMPLING, _SEARCHING, _WINDOWS_END = 0.1, 0.4, 0.8
# Seconds for one window. One that takes longer is read again with fewer entries.
_WINDOW_SECONDS = 2.0
_SMALLER_WINDOWS = {_WINDOW: 20, 20: 1}
# If not all hits can be counted in time, so many are.
_LEAST_COUNTED = 1000

_PUT = """
    INSERT INTO dss_index AS existing
        (replica, uuid, version, dead, digest, form, labels, postings, range_terms, scalars, document)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s::uuid[], %s::tsvector, %s::jsonb, %s)
    ON CONFLICT (replica, uuid, version) DO UPDATE SET
        dead = excluded.dead, digest = excluded.digest, form = excluded.form, labels = excluded.labels,
        postings = excluded.postings, range_terms = excluded.range_terms,
        scalars = excluded.scalars, document = excluded.document
    WHERE (excluded.dead OR NOT existing.dead)
        AND (existing.dead, existing.digest, existing.form, existing.labels)
            <> (excluded.dead, excluded.digest, excluded.form, excluded.labels)
"""
_SET_LABELS = """
    UPDATE dss_index SET labels = %s WHERE replica = %s AND uuid = %s AND version = %s AND labels <> %s
"""
_DELETE = "DELETE FROM dss_index WHERE replica = %s AND uuid = %s AND version = %s"
_LIMIT = "SELECT set_config('statement_timeout', %s, true)"
_COUNT = sql.SQL("SELECT count(*) FROM dss_index WHERE replica = %s AND {}")
_COUNT_SOME = sql.SQL(
    "SELECT count(*) FROM (SELECT 1 FROM dss_index WHERE replica = %s AND {} LIMIT %s) AS first_hits"
)
_SEARCH = sql.SQL(
    "SELECT uuid, version, digest FROM dss_index WHERE replica = %s AND {} {}"
    " ORDER BY uuid DESC, version DESC LIMIT %s"
)
# MATERIALIZED, so that PostgreSQL evaluates the condition for these entries and for no others.
_WINDOWED = sql.SQL("""
    WITH next AS MATERIALIZED (
        SELECT uuid, version, digest, dead, form, postings, range_terms, scalars
        FROM dss_index WHERE replica = %s AND {} {}
        ORDER BY uuid DESC, version DESC LIMIT %s
    )
    SELECT uuid, version, digest, {} FROM next ORDER BY uuid DESC, version DESC
""")
# The documents of hits that have not changed meanwhile; NULL behind so many bytes. PostgreSQL knows the size
# of a text without reading it.
_DOCUMENTS = """
    SELECT uuid, version, CASE WHEN bytes_before < %s THEN document END FROM (
        SELECT dss_index.uuid, dss_index.version, document,
            sum(octet_length(document)) OVER (ORDER BY dss_index.uuid DESC, dss_index.version DESC)
                - octet_length(document) AS bytes_before
        FROM unnest(%s::text[], %s::text[], %s::text[]) AS hit (uuid, version, digest)
        JOIN dss_index
            ON dss_index.uuid = hit.uuid AND dss_index.version = hit.version AND dss_index.digest = hit.digest
        WHERE replica = %s
    ) AS sized ORDER BY uuid DESC, version DESC
"""
_SAMPLED = sql.SQL("""
    SELECT {} FROM (
        SELECT dead, form, postings, range_terms, scalars FROM dss_index WHERE replica = %s {}
        ORDER BY uuid DESC, version DESC LIMIT %s
    ) AS next
""")
_AFTER = sql.SQL("AND (uuid, version) < (%s, %s)")
_HELD: LiteralString = """
    SELECT uuid, version, CASE WHEN form = %s THEN digest ELSE '' END, dead, labels FROM dss_index
"""
_ENTRY = _HELD + "WHERE replica = %s AND uuid = %s AND version = %s"
_ENTRIES = _HELD + "WHERE replica = %s AND (uuid, version) > (%s, %s) ORDER BY uuid, version LIMIT %s"


def open_index(settings: Settings, _: object) -> IndexBackend:
    """Return the back end in the database that DSS_POSTGRESQL_DSN names; it connects at the first use."""
    return PostgreSqlIndex(settings.postgresql_dsn)


class PostgreSqlIndex:
    """An index back end in one PostgreSQL database; it creates missing tables.

    A search takes `seconds` for its page and its total, and longer only to read at least one entry. The other
    options are those of `Connections`.
    """

    def __init__(self, dsn: str, *, seconds: float = _SECONDS, **options: Any) -> None:
        self._seconds = seconds
        self._connections = Connections(dsn, prepare=INDEX_TABLES.migrate, **options)

    def put(self, entry: IndexEntry) -> None:
        """Write or replace an entry, unless the existing one is dead and the new one is not."""
        row = (
            *(entry.replica, entry.fqid.uuid, entry.fqid.version, entry.dead),
            *(digest_of(entry.document), FORM, sorted(labels_of(entry.readers))),
            *(postings(entry), range_terms_of(entry), scalars(entry.document)),
            # As text, which comes back as it was: JSONB takes neither null bytes nor infinite numbers.
            json.dumps(entry.document),
        )
        with self._connections.connection() as connection:
            connection.execute(_PUT, row)

    def set_readers(self, replica: str, fqid: Fqid, readers: frozenset[str]) -> None:
        """Change who may read an entry, living or dead, if it exists."""
        labels = sorted(labels_of(readers))
        with self._connections.connection() as connection:
            connection.execute(_SET_LABELS, (labels, replica, fqid.uuid, fqid.version, labels))

    def delete(self, replica: str, fqid: Fqid) -> None:
        """Remove an entry, if it exists."""
        with self._connections.connection() as connection:
            connection.execute(_DELETE, (replica, fqid.uuid, fqid.version))

    def search(
        self,
        replica: str,
        query: Query,
        *,
        readers: frozenset[str] | None,
        after: Fqid | None,
        count: int,
        documents: bool = False,
        total: bool = False,
    ) -> Page:
        """Return up to `count` hits after the FQID `after`, by UUID and then version, both descending.

        If PostgreSQL takes too long to find a page by indexes, the search reads window after window of
        entries until the page is full or its time is up.
        """
        started = time.monotonic()
        visible = readable(readers)
        with self._connections.connection() as connection:
            hit = both(condition(query, replica, self._frequent(connection, replica, query, after)), visible)
            try:
                # One more hit tells whether another page follows.
                statement, values = search_statement(replica, hit, after=after, count=count + 1)
                rows = _within(connection, self._seconds * _SEARCHING, statement, values)
                found = _Found(rows[:count], _fqid(rows[count - 1]) if len(rows) > count else None)
            except QueryCanceled:
                deadline = started + self._seconds * _WINDOWS_END
                found = _windowed(connection, deadline, replica, query, visible, after=after, count=count)
            page = self._with_documents(connection, replica, found) if documents else found.page()
            if not total:
                return page
            if after is None and page.after is None:
                return replace(page, total=Total(hits=len(page.hits)))
            left = started + self._seconds - time.monotonic()
            known = len(found.rows) + (found.after is not None)
            return replace(page, total=_total(connection, replica, hit, left, at_least=known))

    def held(self, replica: str, fqid: Fqid) -> Indexed | None:
        """Return what the index holds of a bundle version; None if it has no entry."""
        with self._connections.connection() as connection:
            row = connection.execute(_ENTRY, (FORM, replica, fqid.uuid, fqid.version)).fetchone()
        return None if row is None else _held(row)

    def entries(self, replica: str, *, after: Fqid | None = None) -> Iterator[Indexed]:
        """Yield all entries after the FQID `after`, by UUID and then version, both ascending.

        The digest is empty if another release wrote the entry in another form.
        """
        while True:
            last = (after.uuid, after.version) if after else ("", "")
            with self._connections.connection() as connection:
                rows = connection.execute(_ENTRIES, (FORM, replica, *last, _PAGE)).fetchall()
            yield from map(_held, rows)
            if len(rows) < _PAGE:
                return
            after = Fqid(rows[-1][0], rows[-1][1])

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()

    def _frequent(
        self, connection: Connection, replica: str, query: Query, after: Fqid | None
    ) -> frozenset[Query]:
        """Return the clauses that are frequent; all, if that takes too long to find out."""
        try:
            with _limited(connection, self._seconds * _SAMPLING):
                return frequent_clauses(connection, replica, query, after=after)
        except QueryCanceled:
            return frozenset(clauses_by_range_terms(query))

    def _with_documents(self, connection: Connection, replica: str, found: "_Found") -> Page:
        uuids, versions, digests = zip(*found.rows, strict=True) if found.rows else ((), (), ())
        values = (MOST_PAGE_BYTES, list(uuids), list(versions), list(digests), replica)
        rows = connection.execute(_DOCUMENTS, values).fetchall()
        hits = [Hit(fqid=_fqid(row), encoded=row[2].encode()) for row in rows if row[2] is not None]
        is_cut = len(hits) < len(rows)
        return Page(hits=hits, after=hits[-1].fqid if is_cut else found.after)


@dataclass(frozen=True)
class _Found:
    """The names and digests of hits, and the FQID after which the next page begins."""

    rows: Sequence[Row]
    after: Fqid | None

    def page(self) -> Page:
        return Page(hits=[Hit(fqid=_fqid(row)) for row in self.rows], after=self.after)


def _held(row: Row) -> Indexed:
    return Indexed(fqid=_fqid(row), digest=row[2], dead=row[3], labels=frozenset(row[4]))


def _fqid(row: Row) -> Fqid:
    return Fqid(row[0], row[1])


def _total(connection: Connection, replica: str, hit: Condition, seconds: float, *, at_least: int) -> Total:
    """Return the number of hits; if time is short, up to _LEAST_COUNTED, or as many as are known."""
    try:
        statement = _COUNT.format(hit.text)
        [[hits]] = _within(connection, seconds * 3 / 4, statement, (replica, *hit.values))
        return Total(hits=hits)
    except QueryCanceled:
        pass
    try:
        statement = _COUNT_SOME.format(hit.text)
        [[hits]] = _within(connection, seconds / 4, statement, (replica, *hit.values, _LEAST_COUNTED))
        return Total(hits=max(hits, at_least), exact=False)
    except QueryCanceled:
        return Total(hits=at_least, exact=False)


def frequent_clauses(
    connection: Connection, replica: str, query: Query, *, after: Fqid | None
) -> frozenset[Query]:
    """Return the clauses of a query that match too many entries to look up their range terms."""
    clauses = list(dict.fromkeys(clauses_by_range_terms(query)))
    if not clauses or len(clauses) > _MOST_SAMPLED:
        return frozenset(clauses)
    conditions = [condition(clause, replica) for clause in clauses]
    behind, last = _behind(after)
    statement = _SAMPLED.format(
        sql.SQL(", ").join(sql.SQL("count(*) FILTER (WHERE {})").format(one.text) for one in conditions),
        behind,
    )
    values = [value for one in conditions for value in one.values]
    [counts] = connection.execute(statement, (*values, replica, *last, _SAMPLE)).fetchall()
    return frozenset(clause for clause, number in zip(clauses, counts, strict=True) if number >= _FREQUENT)


def _windowed(
    connection: Connection,
    deadline: float,
    replica: str,
    query: Query,
    visible: Condition,
    *,
    after: Fqid | None,
    count: int,
) -> _Found:
    """Return the hits among the next visible entries, as many as the time allows.

    At least one window is read.
    """
    # In every entry the values decide; to look up range terms as well would take longer.
    hit = condition(query, replica, frozenset(clauses_by_range_terms(query)))
    hits: list[Row] = []
    first, size = after, _WINDOW
    while True:
        statement, values = window_statement(replica, hit, visible, after=after, count=size)
        try:
            rows = _within(connection, _WINDOW_SECONDS, statement, values)
        except QueryCanceled:
            if after != first:
                return _Found(hits, after)
            if size not in _SMALLER_WINDOWS:
                raise too_costly(_WINDOW_SECONDS) from None
            size = _SMALLER_WINDOWS[size]
            continue
        hits += [row[:3] for row in rows if row[3]]
        if len(hits) > count:
            return _Found(hits[:count], _fqid(hits[count - 1]))
        if len(rows) < size:
            return _Found(hits, None)
        after = _fqid(rows[-1])
        if time.monotonic() > deadline:
            return _Found(hits, after)


@contextmanager
def _limited(connection: Connection, seconds: float) -> Iterator[None]:
    """Begin a transaction whose statements raise QueryCanceled if they take longer; it has ended then."""
    try:
        with connection.transaction():
            # PostgreSQL: milliseconds, and 0 is no limit.
            connection.execute(_LIMIT, (str(max(int(seconds * 1000), 1)),))
            yield
    except QueryCanceled:
        # The limit holds for COMMIT too, and psycopg rolls back every statement but that.
        connection.rollback()
        raise


def _within(connection: Connection, seconds: float, statement: Composed, values: Row) -> list[Row]:
    """Return the rows of a statement. Raises QueryCanceled if it takes longer."""
    with _limited(connection, seconds):
        return connection.execute(statement, values).fetchall()


def search_statement(replica: str, hit: Condition, *, after: Fqid | None, count: int) -> tuple[Composed, Row]:
    """Return the statement that finds the entries that meet a condition, and the values of its parameters."""
    behind, last = _behind(after)
    return _SEARCH.format(hit.text, behind), (replica, *hit.values, *last, count)


def window_statement(
    replica: str, hit: Condition, visible: Condition, *, after: Fqid | None, count: int
) -> tuple[Composed, Row]:
    """Return the statement that reads the next visible entries, and whether each meets a condition.

    A page may end with any of them, so the others must not be among them.
    """
    behind, last = _behind(after)
    values = (replica, *visible.values, *last, count, *hit.values)
    return _WINDOWED.format(visible.text, behind, hit.text), values


def _behind(after: Fqid | None) -> tuple[sql.SQL, Row]:
    return (_AFTER, (after.uuid, after.version)) if after else (sql.SQL(""), ())
