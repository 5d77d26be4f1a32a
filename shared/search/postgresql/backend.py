"""The index in PostgreSQL (15 or newer; Cloud SQL, AlloyDB): for stores of millions of bundles.

A row an entry, all replicas in one table. Clauses are looked up in an inverted index of postings, which
PostgreSQL combines; see `shared.search.postgresql.rows` for what they are.
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
from shared.search.postgresql.clauses import asking_words, condition
from shared.search.postgresql.connections import Connections
from shared.search.postgresql.order import words_of
from shared.search.postgresql.rows import FORM, leaves, postings
from shared.search.postgresql.schema import migrate
from shared.search.query import Query

Row = tuple[Any, ...]

# Entries that one statement reads when all are, and entries that one looks into where an index is no help.
_PAGE = 2000
_WINDOW = 500
# Where a clause finds so many of so many entries, it is looked for and not looked up: in a store of a
# million, what one in a hundred has takes as long by either way. Of more clauses than this none is looked up.
_SAMPLE, _COMMON, _MOST_SAMPLED = 100, 2, 8
# For a page, and as long again for a count in the worst case; clients give up after 40.
_SECONDS = 10.0

_PUT = """
    INSERT INTO dss_index AS held
        (replica, uuid, version, dead, digest, form, postings, words, leaves, document)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s::tsvector, %s::jsonb, %s)
    ON CONFLICT (replica, uuid, version) DO UPDATE SET
        dead = excluded.dead, digest = excluded.digest, form = excluded.form,
        postings = excluded.postings, words = excluded.words,
        leaves = excluded.leaves, document = excluded.document
    WHERE (excluded.dead OR NOT held.dead)
        AND (held.dead, held.digest, held.form) <> (excluded.dead, excluded.digest, excluded.form)
"""
_DELETE = "DELETE FROM dss_index WHERE replica = %s AND uuid = %s AND version = %s"
_LIMIT = "SELECT set_config('statement_timeout', %s, true)"
_COUNT = sql.SQL("SELECT count(*) FROM dss_index WHERE replica = %s AND {}")
_SEARCH = sql.SQL(
    "SELECT uuid, version, {} FROM dss_index WHERE replica = %s AND {} {}"
    " ORDER BY uuid DESC, version DESC LIMIT %s"
)
# The entries are chosen before any is looked into: that they are so many, and no more, is the point.
_LOOK = sql.SQL("""
    WITH next AS MATERIALIZED (
        SELECT uuid, version, {} AS document, dead, form, postings, words, leaves
        FROM dss_index WHERE replica = %s {}
        ORDER BY uuid DESC, version DESC LIMIT %s
    )
    SELECT uuid, version, document, {} FROM next ORDER BY uuid DESC, version DESC
""")
_SAMPLED = sql.SQL("""
    SELECT {} FROM (
        SELECT dead, form, postings, words, leaves FROM dss_index WHERE replica = %s {}
        ORDER BY uuid DESC, version DESC LIMIT %s
    ) AS next
""")
_BEHIND = sql.SQL("AND (uuid, version) < (%s, %s)")
_ENTRIES = """
    SELECT uuid, version, CASE WHEN form = %s THEN digest ELSE '' END, dead FROM dss_index
    WHERE replica = %s AND (uuid, version) > (%s, %s) ORDER BY uuid, version LIMIT %s
"""


class PostgreSqlIndex:
    """An index back end in one PostgreSQL database, whose tables it makes where they are missing.

    A search ends its page after so many seconds; the other options are those of `Connections`.
    """

    def __init__(self, dsn: str, *, seconds: float = _SECONDS, **options: Any) -> None:
        self._seconds = seconds
        self._connections = Connections(dsn, prepare=migrate, **options)

    def put(self, entry: IndexEntry) -> None:
        """Write an entry in the place of what is there, unless that is dead and this one is not."""
        row = (
            *(entry.replica, entry.fqid.uuid, entry.fqid.version, entry.dead),
            *(digest_of(entry.document), FORM, postings(entry), words_of(entry), leaves(entry.document)),
            # As text, which is given back as it came: JSONB knows neither null bytes nor infinite numbers.
            json.dumps(entry.document),
        )
        with self._connections.connection() as connection:
            connection.execute(_PUT, row)

    def delete(self, replica: str, fqid: Fqid) -> None:
        """Remove an entry; one that is not there is as good as removed."""
        with self._connections.connection() as connection:
            connection.execute(_DELETE, (replica, fqid.uuid, fqid.version))

    def search(self, replica: str, query: Query, *, after: Fqid | None, count: int, documents: bool) -> Page:
        """Return up to `count` hits, by UUID and then version, both descending, behind `after`.

        Where that takes more than half of the time there is, what is left goes into looking at one entry
        after the other, some at least, and the page ends with the time.
        """
        deadline = time.monotonic() + self._seconds
        with self._connections.connection() as connection:
            common = common_of(connection, replica, query, after=after)
            try:
                # One more tells whether there is another page.
                statement, values = search_statement(
                    replica, query, after=after, count=count + 1, documents=documents, common=common
                )
                rows = _within(connection, self._seconds / 2, statement, values)
            except QueryCanceled:
                return _looked_through(
                    connection, deadline, replica, query, after=after, count=count, documents=documents
                )
        hits = [_hit(row) for row in rows[:count]]
        return Page(hits=hits, after=hits[-1].fqid if len(rows) > count and hits else None)

    def count(self, replica: str, query: Query) -> int | None:
        """Return how many entries a query finds; None where that takes more than half of the time."""
        with self._connections.connection() as connection:
            wanted = condition(query, replica, common_of(connection, replica, query, after=None))
            try:
                statement = _COUNT.format(wanted.text)
                rows = _within(connection, self._seconds / 2, statement, (replica, *wanted.values))
            except QueryCanceled:
                return None
        return int(rows[0][0])

    def entries(self, replica: str, *, after: Fqid | None = None) -> Iterator[Indexed]:
        """Yield all entries by UUID and then version, both ascending, behind `after`.

        The digest is empty where an entry was written in another form than this release writes.
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


def _hit(row: Row) -> Hit:
    uuid, version, document, *_ = row
    return Hit(fqid=Fqid(uuid, version), document=None if document is None else json.loads(document))


def common_of(connection: Connection, replica: str, query: Query, *, after: Fqid | None) -> frozenset[Query]:
    """Return those clauses of a query that find too many entries to look them up by words."""
    clauses = list(dict.fromkeys(asking_words(query)))
    if not clauses or len(clauses) > _MOST_SAMPLED:
        return frozenset(clauses)
    conditions = [condition(clause, replica) for clause in clauses]
    behind, last = _behind(after)
    statement = _SAMPLED.format(
        sql.SQL(", ").join(sql.SQL("count(*) FILTER (WHERE {})").format(one.text) for one in conditions),
        behind,
    )
    asked = [value for one in conditions for value in one.values]
    [found] = connection.execute(statement, (*asked, replica, *last, _SAMPLE)).fetchall()
    return frozenset(clause for clause, number in zip(clauses, found, strict=True) if number >= _COMMON)


def _looked_through(
    connection: Connection,
    deadline: float,
    replica: str,
    query: Query,
    *,
    after: Fqid | None,
    count: int,
    documents: bool,
) -> Page:
    """Return the hits among the next entries, as many as can be looked at in time."""
    hits: list[Hit] = []
    while True:
        statement, values = window_statement(replica, query, after=after, count=_WINDOW, documents=documents)
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
    """Return the rows of a statement. Raises QueryCanceled where it takes longer."""
    with connection.transaction():
        # PostgreSQL: milliseconds, and 0 is for ever.
        connection.execute(_LIMIT, (str(max(int(seconds * 1000), 1)),))
        return connection.execute(statement, values).fetchall()


def search_statement(
    replica: str,
    query: Query,
    *,
    after: Fqid | None,
    count: int,
    documents: bool,
    common: frozenset[Query] = frozenset(),
) -> tuple[Composed, Row]:
    """Return the statement that searches, and the values of its parameters."""
    wanted = condition(query, replica, common)
    behind, last = _behind(after)
    statement = _SEARCH.format(_document(documents), wanted.text, behind)
    return statement, (replica, *wanted.values, *last, count)


def window_statement(
    replica: str, query: Query, *, after: Fqid | None, count: int, documents: bool
) -> tuple[Composed, Row]:
    """Return the statement that asks of each of some entries whether a query finds it."""
    # Each is looked into: its words would tell nothing that its leaves do not.
    wanted = condition(query, replica, frozenset(asking_words(query)))
    behind, last = _behind(after)
    return _LOOK.format(_document(documents), behind, wanted.text), (replica, *last, count, *wanted.values)


def _behind(after: Fqid | None) -> tuple[sql.SQL, Row]:
    return (_BEHIND, (after.uuid, after.version)) if after else (sql.SQL(""), ())


def _document(wanted: bool) -> sql.SQL:
    return sql.SQL("document" if wanted else "NULL")


def open_index(settings: Settings, _: object) -> IndexBackend:
    """Return the back end in the database that DSS_POSTGRESQL_DSN names; connected at its first use."""
    return PostgreSqlIndex(settings.postgresql_dsn)
