"""The index in PostgreSQL (15 or newer; Cloud SQL, AlloyDB): for stores of millions of bundles.

One table for all replicas, with a row for each entry. Inverted indexes serve the clauses, and PostgreSQL
combines them; see `shared.search.postgresql.rows`.
"""

import json
import time
from collections.abc import Iterator
from typing import Any

from psycopg import Connection, sql
from psycopg.errors import QueryCanceled
from psycopg.sql import Composed

from shared.config import Settings
from shared.identifiers import Fqid
from shared.search.base import Hit, IndexBackend, Indexed, IndexEntry, Page
from shared.search.documents import digest_of
from shared.search.postgresql.clauses import Condition, clauses_by_range_terms, condition
from shared.search.postgresql.connections import Connections
from shared.search.postgresql.range_terms import range_terms_of
from shared.search.postgresql.rows import FORM, postings, scalars
from shared.search.postgresql.schema import migrate
from shared.search.query import Query

Row = tuple[Any, ...]

# Entries that one statement reads to list all, and to search without an index.
_PAGE = 2000
_WINDOW = 500
# A clause that matches so many of so many entries is frequent, and not looked up: among a million entries,
# finding one in a hundred takes as long either way. Of more clauses than this, none is looked up.
_SAMPLE, _FREQUENT, _MOST_SAMPLED = 100, 2, 8
# For a page; its total takes at most half as long again. Clients give up after 40.
_SECONDS = 10.0

_PUT = """
    INSERT INTO dss_index AS existing
        (replica, uuid, version, dead, digest, form, postings, range_terms, scalars, document)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s::tsvector, %s::jsonb, %s)
    ON CONFLICT (replica, uuid, version) DO UPDATE SET
        dead = excluded.dead, digest = excluded.digest, form = excluded.form,
        postings = excluded.postings, range_terms = excluded.range_terms,
        scalars = excluded.scalars, document = excluded.document
    WHERE (excluded.dead OR NOT existing.dead)
        AND (existing.dead, existing.digest, existing.form) <> (excluded.dead, excluded.digest, excluded.form)
"""
_DELETE = "DELETE FROM dss_index WHERE replica = %s AND uuid = %s AND version = %s"
_LIMIT = "SELECT set_config('statement_timeout', %s, true)"
_COUNT = sql.SQL("SELECT count(*) FROM dss_index WHERE replica = %s AND {}")
_SEARCH = sql.SQL(
    "SELECT uuid, version, {} FROM dss_index WHERE replica = %s AND {} {}"
    " ORDER BY uuid DESC, version DESC LIMIT %s"
)
# MATERIALIZED, so that PostgreSQL evaluates the condition for these entries and for no others.
_WINDOWED = sql.SQL("""
    WITH next AS MATERIALIZED (
        SELECT uuid, version, {} AS document, dead, form, postings, range_terms, scalars
        FROM dss_index WHERE replica = %s {}
        ORDER BY uuid DESC, version DESC LIMIT %s
    )
    SELECT uuid, version, document, {} FROM next ORDER BY uuid DESC, version DESC
""")
_SAMPLED = sql.SQL("""
    SELECT {} FROM (
        SELECT dead, form, postings, range_terms, scalars FROM dss_index WHERE replica = %s {}
        ORDER BY uuid DESC, version DESC LIMIT %s
    ) AS next
""")
_AFTER = sql.SQL("AND (uuid, version) < (%s, %s)")
_ENTRIES = """
    SELECT uuid, version, CASE WHEN form = %s THEN digest ELSE '' END, dead FROM dss_index
    WHERE replica = %s AND (uuid, version) > (%s, %s) ORDER BY uuid, version LIMIT %s
"""


def open_index(settings: Settings, _: object) -> IndexBackend:
    """Return the back end in the database that DSS_POSTGRESQL_DSN names; it connects at the first use."""
    return PostgreSqlIndex(settings.postgresql_dsn)


class PostgreSqlIndex:
    """An index back end in one PostgreSQL database; it creates missing tables.

    A search ends its page after `seconds`, and counts its total for half as long; the other options are those
    of `Connections`.
    """

    def __init__(self, dsn: str, *, seconds: float = _SECONDS, **options: Any) -> None:
        self._seconds = seconds
        self._connections = Connections(dsn, prepare=migrate, **options)

    def put(self, entry: IndexEntry) -> None:
        """Write or replace an entry, unless the existing one is dead and the new one is not."""
        row = (
            *(entry.replica, entry.fqid.uuid, entry.fqid.version, entry.dead),
            *(digest_of(entry.document), FORM),
            *(postings(entry), range_terms_of(entry), scalars(entry.document)),
            # As text, which comes back as it was: JSONB takes neither null bytes nor infinite numbers.
            json.dumps(entry.document),
        )
        with self._connections.connection() as connection:
            connection.execute(_PUT, row)

    def delete(self, replica: str, fqid: Fqid) -> None:
        """Remove an entry, if it exists."""
        with self._connections.connection() as connection:
            connection.execute(_DELETE, (replica, fqid.uuid, fqid.version))

    def search(
        self,
        replica: str,
        query: Query,
        *,
        after: Fqid | None,
        count: int,
        documents: bool = False,
        total: bool = False,
    ) -> Page:
        """Return up to `count` hits after the FQID `after`, by UUID and then version, both descending.

        If PostgreSQL needs more than half the time, the search reads window after window of entries until the
        page is full or the time is up. The total is None if counting takes more than half the time.
        """
        deadline = time.monotonic() + self._seconds
        with self._connections.connection() as connection:
            hit = condition(query, replica, frequent_clauses(connection, replica, query, after=after))
            try:
                # One more hit tells whether another page follows.
                statement, values = search_statement(
                    replica, hit, after=after, count=count + 1, documents=documents
                )
                rows = _within(connection, self._seconds / 2, statement, values)
                hits = [_hit(row) for row in rows[:count]]
                page = Page(hits=hits, after=hits[-1].fqid if len(rows) > count and hits else None)
            except QueryCanceled:
                page = _windowed_page(
                    connection, deadline, replica, query, after=after, count=count, documents=documents
                )
            if not total:
                return page
            is_whole = after is None and page.after is None
            return Page(
                hits=page.hits,
                after=page.after,
                total=len(page.hits) if is_whole else self._total(connection, replica, hit),
            )

    def entries(self, replica: str, *, after: Fqid | None = None) -> Iterator[Indexed]:
        """Yield all entries after the FQID `after`, by UUID and then version, both ascending.

        The digest is empty if another release wrote the entry in another form.
        """
        while True:
            last = (after.uuid, after.version) if after else ("", "")
            with self._connections.connection() as connection:
                rows = connection.execute(_ENTRIES, (FORM, replica, *last, _PAGE)).fetchall()
            for uuid, version, digest, dead in rows:
                yield Indexed(fqid=Fqid(uuid, version), digest=digest, dead=dead)
            if len(rows) < _PAGE:
                return
            after = Fqid(rows[-1][0], rows[-1][1])

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()

    def _total(self, connection: Connection, replica: str, hit: Condition) -> int | None:
        try:
            statement = _COUNT.format(hit.text)
            rows = _within(connection, self._seconds / 2, statement, (replica, *hit.values))
        except QueryCanceled:
            return None
        return int(rows[0][0])


def _hit(row: Row) -> Hit:
    uuid, version, document, *_ = row
    return Hit(fqid=Fqid(uuid, version), document=None if document is None else json.loads(document))


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


def _windowed_page(
    connection: Connection,
    deadline: float,
    replica: str,
    query: Query,
    *,
    after: Fqid | None,
    count: int,
    documents: bool,
) -> Page:
    """Return the hits among the next entries, as many as the time allows; at least one window is read."""
    # In every entry the values decide; to look up range terms as well would take longer.
    hit = condition(query, replica, frozenset(clauses_by_range_terms(query)))
    hits: list[Hit] = []
    while True:
        statement, values = window_statement(replica, hit, after=after, count=_WINDOW, documents=documents)
        rows = connection.execute(statement, values).fetchall()
        hits += [_hit(row) for row in rows if row[3]]
        if len(hits) > count:
            return Page(hits=hits[:count], after=hits[count - 1].fqid)
        if len(rows) < _WINDOW:
            return Page(hits=hits, after=None)
        after = Fqid(*rows[-1][:2])
        if time.monotonic() > deadline:
            return Page(hits=hits, after=after)


def _within(connection: Connection, seconds: float, statement: Composed, values: Row) -> list[Row]:
    """Return the rows of a statement. Raises QueryCanceled if it takes longer."""
    with connection.transaction():
        # PostgreSQL: milliseconds, and 0 is no limit.
        connection.execute(_LIMIT, (str(max(int(seconds * 1000), 1)),))
        return connection.execute(statement, values).fetchall()


def search_statement(
    replica: str, hit: Condition, *, after: Fqid | None, count: int, documents: bool
) -> tuple[Composed, Row]:
    """Return the statement that finds the entries that meet a condition, and the values of its parameters."""
    behind, last = _behind(after)
    statement = _SEARCH.format(_document(documents), hit.text, behind)
    return statement, (replica, *hit.values, *last, count)


def window_statement(
    replica: str, hit: Condition, *, after: Fqid | None, count: int, documents: bool
) -> tuple[Composed, Row]:
    """Return the statement that reads the next entries, and whether each meets a condition."""
    behind, last = _behind(after)
    statement = _WINDOWED.format(_document(documents), behind, hit.text)
    return statement, (replica, *last, count, *hit.values)


def _behind(after: Fqid | None) -> tuple[sql.SQL, Row]:
    return (_AFTER, (after.uuid, after.version)) if after else (sql.SQL(""), ())


def _document(selected: bool) -> sql.SQL:
    return sql.SQL("document" if selected else "NULL")
