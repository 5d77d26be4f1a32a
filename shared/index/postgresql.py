"""The index in PostgreSQL (15 or newer; Cloud SQL, AlloyDB): for stores of millions of bundles.

A row an entry, all replicas in one table. Clauses are looked up in an inverted index of postings, which
PostgreSQL combines; see `shared.index.postgresql_rows` for what they are.
"""

import json
from collections.abc import Iterator
from typing import Any

from psycopg import sql
from psycopg.errors import QueryCanceled

from shared.identifiers import Fqid
from shared.index.base import Hit, IndexBackend, Indexed, IndexEntry, Page
from shared.index.documents import digest_of
from shared.index.postgresql_clauses import condition
from shared.index.postgresql_connections import Connections
from shared.index.postgresql_rows import leaves, postings
from shared.index.postgresql_schema import migrate
from shared.index.postings import FORM
from shared.index.query import Query

# Entries that one statement reads when all are.
_PAGE = 2000

_PUT = """
    INSERT INTO dss_index AS held (replica, uuid, version, dead, digest, form, postings, leaves, document)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s)
    ON CONFLICT (replica, uuid, version) DO UPDATE SET
        dead = excluded.dead, digest = excluded.digest, form = excluded.form,
        postings = excluded.postings, leaves = excluded.leaves, document = excluded.document
    WHERE (excluded.dead OR NOT held.dead)
        AND (held.dead, held.digest, held.form) <> (excluded.dead, excluded.digest, excluded.form)
"""
_DELETE = "DELETE FROM dss_index WHERE replica = %s AND uuid = %s AND version = %s"
# Milliseconds. Who asks for a page waits for this as well.
_COUNT_BRIEFLY = "SET LOCAL statement_timeout = 5000"
_COUNT = sql.SQL("SELECT count(*) FROM dss_index WHERE replica = %s AND {}")
_SEARCH = sql.SQL(
    "SELECT uuid, version, {} FROM dss_index WHERE replica = %s AND {} {}"
    " ORDER BY uuid DESC, version DESC LIMIT %s"
)
_BEHIND = sql.SQL("AND (uuid, version) < (%s, %s)")
_ENTRIES = """
    SELECT uuid, version, CASE WHEN form = %s THEN digest ELSE '' END, dead FROM dss_index
    WHERE replica = %s AND (uuid, version) > (%s, %s) ORDER BY uuid, version LIMIT %s
"""


class PostgreSqlIndex:
    """An index back end in one PostgreSQL database, whose tables it makes where they are missing."""

    def __init__(self, dsn: str, **options: Any) -> None:
        self._connections = Connections(dsn, prepare=migrate, **options)

    def put(self, entry: IndexEntry) -> None:
        """Write an entry in the place of what is there, unless that is dead and this one is not."""
        row = (
            *(entry.replica, entry.fqid.uuid, entry.fqid.version, entry.dead),
            *(digest_of(entry.document), FORM, postings(entry), leaves(entry.document)),
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

        There are fewer on the last page only.
        """
        # One more tells whether there is another page.
        statement, values = search_statement(
            replica, query, after=after, count=count + 1, documents=documents
        )
        with self._connections.connection() as connection:
            rows = connection.execute(statement, values).fetchall()
        hits = [
            Hit(fqid=Fqid(uuid, version), document=json.loads(document) if documents else None)
            for uuid, version, document in rows[:count]
        ]
        return Page(hits=hits, after=hits[-1].fqid if len(rows) > count and hits else None)

    def count(self, replica: str, query: Query) -> int | None:
        """Return how many entries a query finds; None where that is not known within a few seconds."""
        wanted = condition(query, replica)
        with self._connections.connection() as connection:
            try:
                with connection.transaction():
                    connection.execute(_COUNT_BRIEFLY)
                    row = connection.execute(_COUNT.format(wanted.text), (replica, *wanted.values)).fetchone()
            except QueryCanceled:
                return None
        return int(row[0]) if row else 0

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


def search_statement(
    replica: str, query: Query, *, after: Fqid | None, count: int, documents: bool
) -> tuple[sql.Composed, tuple[Any, ...]]:
    """Return the statement that searches, and the values of its parameters."""
    wanted = condition(query, replica)
    behind, last = (_BEHIND, (after.uuid, after.version)) if after else (sql.SQL(""), ())
    statement = _SEARCH.format(sql.SQL("document" if documents else "NULL"), wanted.text, behind)
    return statement, (replica, *wanted.values, *last, count)


def open_index(dsn: str) -> IndexBackend:
    """Return the back end in the database that a DSN of libpq names; connected at its first use."""
    return PostgreSqlIndex(dsn)
