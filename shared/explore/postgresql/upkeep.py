"""Looks after catalogues in PostgreSQL; see `CatalogueUpkeep`."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, LiteralString

from psycopg.sql import SQL, Identifier

from shared.errors import NotFound
from shared.explore.catalogues import Catalogue
from shared.explore.postgresql.unused import remove_unused
from shared.explore.upkeep import Held, StoredCatalogue, Waiting
from shared.identifiers import Fqid
from shared.postgresql.connections import Connections

_STORED = """
    SELECT number, name, is_default, waiting, oldest_seconds, measured
    FROM dss_explore_catalogs ORDER BY number
"""
# Two statements: of the unique index no two rows may be the default one, not even within a statement.
_NO_DEFAULT = "UPDATE dss_explore_catalogs SET is_default = false WHERE is_default"
_DEFAULT = "UPDATE dss_explore_catalogs SET is_default = true WHERE name = %s"
_COUNTS = """
    SELECT state, release, count(*) FROM dss_explore_bundles WHERE catalog = %s GROUP BY state, release
"""
_COLUMNS: LiteralString = (
    "uuid, version, state, labels, release, reason, coalesce(md5(said), '') AS digest, changed"
)
_HELD = f"""
    SELECT {_COLUMNS} FROM dss_explore_bundles
    WHERE catalog = %s AND (uuid, version) > (%s, %s) AND uuid >= %s AND starts_with(uuid, %s)
        AND (%s = '' OR state = %s)
    ORDER BY uuid, version LIMIT %s
"""
# The partial index of failed ones serves only a query that says so.
_FAILED = _HELD.replace("(%s = '' OR state = %s)", "state = 'failed'")
_HELD_OF = f"""
    SELECT {_COLUMNS} FROM dss_explore_bundles
    WHERE catalog = %s AND (uuid, version) IN (SELECT * FROM unnest(%s::text[], %s::text[]))
"""
# Those that have waited longest come first, so that none waits for ever.
_FAILED_BEFORE = """
    SELECT uuid, version FROM dss_explore_bundles
    WHERE catalog = %s AND state = 'failed' AND release <> %s AND (tried IS NULL OR tried < %s)
    ORDER BY tried NULLS FIRST, uuid, version LIMIT %s
"""
_TRY = """
    UPDATE dss_explore_bundles AS bundle SET tried = %s
    FROM unnest(%s::text[], %s::text[]) AS wanted (uuid, version)
    WHERE bundle.catalog = %s AND bundle.uuid = wanted.uuid AND bundle.version = wanted.version
        AND (tried IS NULL OR tried < %s)
    RETURNING bundle.uuid, bundle.version
"""
_ADVANCE = "UPDATE dss_explore_catalogs SET position = %s WHERE number = %s AND position < %s"
_COMPARED = "UPDATE dss_explore_catalogs SET compared = %s WHERE number = %s"
_NOTE = """
    UPDATE dss_explore_catalogs SET waiting = %s, oldest_seconds = %s, measured = %s WHERE number = %s
"""
# The row of the catalogue goes last, so that a removal that was killed is found again.
_TABLES = (
    "dss_explore_documents",
    "dss_explore_profiles",
    "dss_explore_tallies",
    "dss_explore_inner",
    "dss_explore_members",
    "dss_explore_large",
    "dss_explore_shares",
    "dss_explore_bundles",
    "dss_explore_revisions",
)
_REMOVE = "DELETE FROM {0} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {0} WHERE catalog = %s LIMIT %s))"
_ROWS = 1000
# Rows that a statement removes: a second or two.
_REMOVED = 10_000


class Upkeep:
    """Looks after the catalogues of a database."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def stored(self) -> Sequence[StoredCatalogue]:
        """Return the catalogues that the database has, in the order in which they were made."""
        return [
            StoredCatalogue(
                number=number,
                name=name,
                is_default=is_default,
                waiting=Waiting(events=events, oldest_seconds=seconds, at=at) if at else None,
            )
            for number, name, is_default, events, seconds, at in self._rows(_STORED, ())
        ]

    def make_default(self, name: str) -> None:
        """Have all processes ask a catalogue if the caller names none. Raises NotFound."""
        with self._connections.connection() as connection, connection.transaction():
            connection.execute(_NO_DEFAULT)
            if not connection.execute(_DEFAULT, (name,)).rowcount:
                raise NotFound(f"catalogue {name!r} does not exist")

    def counts(self, catalogue: Catalogue) -> Mapping[tuple[str, str], int]:
        """Return how many bundle versions there are by state and release of the plug-in."""
        rows = self._rows(_COUNTS, (catalogue.number,))
        return {(state, release): count for state, release, count in rows}

    def held(
        self, catalogue: Catalogue, *, after: Fqid | None = None, prefix: str = "", state: str = ""
    ) -> Iterator[Held]:
        """Yield what a catalogue holds, in order of FQID: after one, of UUIDs with a prefix, in a state."""
        start = (after.uuid, after.version) if after else ("", "")
        while True:
            if state == "failed":
                rows = self._rows(_FAILED, (catalogue.number, *start, prefix, prefix, _ROWS))
            else:
                rows = self._rows(_HELD, (catalogue.number, *start, prefix, prefix, state, state, _ROWS))
            for row in rows:
                yield _held(*row)
            if len(rows) < _ROWS:
                return
            start = rows[-1][:2]

    def held_of(self, catalogue: Catalogue, fqids: Sequence[Fqid]) -> Mapping[Fqid, Held]:
        """Return what a catalogue holds of some bundle versions; nothing of those that it does not know."""
        uuids, versions = [fqid.uuid for fqid in fqids], [fqid.version for fqid in fqids]
        found = (_held(*row) for row in self._rows(_HELD_OF, (catalogue.number, uuids, versions)))
        return {held.fqid: held for held in found}

    def failed_before(
        self, catalogue: Catalogue, release: str, count: int, *, tried_before: datetime
    ) -> Sequence[Fqid]:
        """Return up to `count` bundle versions that have failed in another release of the plug-in, and were
        not tried again since."""
        rows = self._rows(_FAILED_BEFORE, (catalogue.number, release, tried_before, count))
        return [Fqid(uuid, version) for uuid, version in rows]

    def try_again(
        self, catalogue: Catalogue, fqids: Sequence[Fqid], *, now: datetime, tried_before: datetime
    ) -> Sequence[Fqid]:
        """Return those of some bundle versions that were not tried again since; note that they are now."""
        uuids, versions = [fqid.uuid for fqid in fqids], [fqid.version for fqid in fqids]
        rows = self._rows(_TRY, (now, uuids, versions, catalogue.number, tried_before))
        return [Fqid(uuid, version) for uuid, version in rows]

    def compared(self, catalogue: Catalogue) -> Fqid | None:
        """Return the bundle version up to which the sweep has compared a catalogue; None at the beginning."""
        rows = self._rows("SELECT compared FROM dss_explore_catalogs WHERE number = %s", (catalogue.number,))
        return Fqid.parse(rows[0][0]) if rows and rows[0][0] else None

    def note_compared(self, catalogue: Catalogue, fqid: Fqid | None) -> None:
        """Keep up to where the sweep has compared a catalogue."""
        with self._connections.connection() as connection:
            connection.execute(_COMPARED, (str(fqid or ""), catalogue.number))

    def position(self, catalogue: Catalogue) -> str:
        """Return the time of an event before which the catalogue has followed all; empty at first."""
        rows = self._rows("SELECT position FROM dss_explore_catalogs WHERE number = %s", (catalogue.number,))
        return str(rows[0][0]) if rows else ""

    def measured(self, catalogue: Catalogue) -> datetime | None:
        """Return when the catalogue's backlog was measured last; None before the first time."""
        rows = self._rows("SELECT measured FROM dss_explore_catalogs WHERE number = %s", (catalogue.number,))
        return rows[0][0] if rows else None

    def advance(self, catalogue: Catalogue, position: str) -> None:
        """Note a later time of an event before which the catalogue has followed all."""
        with self._connections.connection() as connection:
            connection.execute(_ADVANCE, (position, catalogue.number, position))

    def note(self, catalogue: Catalogue, waiting: Waiting) -> None:
        """Keep what was measured, for those who ask for it without measuring."""
        values = (waiting.events, waiting.oldest_seconds, waiting.at, catalogue.number)
        with self._connections.connection() as connection:
            connection.execute(_NOTE, values)

    def remove(self, number: int) -> Iterator[int]:
        """Remove a catalogue with all that it holds; yield how many rows were removed, as they are."""
        for table in _TABLES:
            statement, removed = SQL(_REMOVE).format(Identifier(table)), _REMOVED
            while removed == _REMOVED:
                with self._connections.connection() as connection:
                    removed = connection.execute(statement, (number, _REMOVED)).rowcount
                yield removed
        with self._connections.connection() as connection:
            connection.execute(
                "DELETE FROM dss_explore_catalogs WHERE number = %s AND NOT is_default", (number,)
            )

    def remove_unused(self) -> int:
        """Remove values that nothing in any catalogue has any more; return about how many."""
        with self._connections.connection() as connection:
            return remove_unused(connection)

    def _rows(self, statement: LiteralString, values: Sequence[Any]) -> list[Any]:
        with self._connections.connection() as connection:
            return connection.execute(statement, values).fetchall()


def _held(
    uuid: str,
    version: str,
    state: str,
    labels: list[str],
    release: str,
    reason: str,
    digest: str,
    changed: datetime,
) -> Held:
    return Held(
        fqid=Fqid(uuid, version),
        state=state,
        labels=frozenset(labels),
        release=release,
        reason=reason,
        digest=digest,
        changed=changed,
    )
