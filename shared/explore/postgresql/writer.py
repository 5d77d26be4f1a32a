"""Writes what bundles say into the catalogue: all that follows from a bundle version in one transaction.

A writer first locks the bundle, then the entities that it says something of, in order of their keys; others
that need one of them wait. New numbers of terms are no part of the transaction. So two bundles at once give
what one after the other gives, there are no deadlocks, and a writer that is killed has changed nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from psycopg import Connection

from shared.errors import DssError
from shared.explore.base import DELETED, FAILED, BundleState
from shared.explore.catalogues import Catalogue
from shared.explore.changes import EntityKey, Said
from shared.explore.entities import Share
from shared.explore.postgresql.audience_numbers import AudienceNumbers
from shared.explore.postgresql.documents import DocumentWriter
from shared.explore.postgresql.groups import Groups
from shared.explore.postgresql.locks import lock_bundles, lock_entities
from shared.explore.postgresql.part_numbers import PartNumbers
from shared.explore.postgresql.shares import Shares
from shared.explore.postgresql.unused import keep_numbers
from shared.explore.reasons import why_not_stored
from shared.identifiers import Fqid
from shared.postgresql.connections import Connections, is_passing

_log = structlog.get_logger()

# Entities whose documents are made at once: what is kept of them meanwhile takes some 10 MB.
AT_ONCE = 200

_BUNDLE = """
    SELECT state, labels, release, said FROM dss_explore_bundles
    WHERE catalog = %s AND uuid = %s AND version = %s
"""
_PUT = """
    INSERT INTO dss_explore_bundles (catalog, uuid, version, state, labels, is_current, reason, release, said)
    VALUES (%s, %s, %s, %s, %s, false, %s, %s, %s)
    ON CONFLICT (catalog, uuid, version) DO UPDATE SET
        state = excluded.state, labels = excluded.labels, reason = excluded.reason,
        release = excluded.release, said = excluded.said, changed = now()
"""
_FAIL = """
    UPDATE dss_explore_bundles SET state = %s, reason = %s, said = NULL, changed = now()
    WHERE catalog = %s AND uuid = %s AND version = %s
"""
_FORGET = "DELETE FROM dss_explore_bundles WHERE catalog = %s AND uuid = %s AND version = %s"
_CURRENT = (
    "SELECT version, labels, said FROM dss_explore_bundles WHERE catalog = %s AND uuid = %s AND is_current"
)
# Of the versions that are indexed the newest counts.
_MAKE_CURRENT = """
    UPDATE dss_explore_bundles AS bundle SET is_current = (bundle.version = newest.version)
    FROM (
        SELECT coalesce(max(version) FILTER (WHERE state = 'indexed'), '') AS version
        FROM dss_explore_bundles WHERE catalog = %(catalog)s AND uuid = %(uuid)s
    ) AS newest
    WHERE bundle.catalog = %(catalog)s AND bundle.uuid = %(uuid)s
        AND bundle.is_current <> (bundle.version = newest.version)
"""
# One of 16, by the first digit of the UUID. It is the last statement of a transaction, so that others
# wait for it but a moment.
_CHANGED = """
    INSERT INTO dss_explore_revisions AS known (catalog, slot, n)
    VALUES (%s, %s, (random() * 1e15)::bigint)
    ON CONFLICT (catalog, slot) DO UPDATE SET n = known.n + 1
"""


class Writer:
    """Writes bundle versions into catalogues. Every method is safe to repeat, in any order."""

    def __init__(self, connections: Connections, *, numbering: Connections) -> None:
        """Write by `connections`; `numbering`, another pool, adds numbers, which stay (see `TermNumbers`)."""
        self._connections = connections
        self._numbering = numbering
        self._groups = Groups(self.put_together)

    def put(self, catalogue: Catalogue, new: BundleState) -> bool:
        """Record a bundle version, and change all that follows from it; return whether anything changed.

        A deletion is final: what was deleted is not indexed again. An older version than the newest that is
        indexed is recorded, and shown once the newer ones are deleted; if it can't be, it is recorded as one
        that has failed, with the reason, and the next older one is shown. Raises TooManyAudiences,
        Unavailable.
        """
        return self._groups.put(catalogue, new)

    def put_together(self, catalogue: Catalogue, states: Sequence[BundleState]) -> list[bool]:
        """Do the same for the versions of several bundles, in one transaction.

        If one fails, all have failed, and nothing has changed.
        """
        with self._connections.connection() as connection, connection.transaction():
            lock_bundles(connection, catalogue, (each.fqid.uuid for each in states))
            recorded = [_record(connection, catalogue, each) for each in states]
            changed = [each for each in recorded if each is not None]
            if len(states) == 1:
                for fqid, before in changed:
                    self._show_newest(connection, catalogue, fqid, before)
            else:
                now = []
                for fqid, before in changed:
                    connection.execute(_MAKE_CURRENT, {"catalog": catalogue.number, "uuid": fqid.uuid})
                    now.append((fqid.uuid, before, _current(connection, catalogue, fqid.uuid)))
                self._change(connection, catalogue, now)
        return [each is not None for each in recorded]

    def forget(self, catalogue: Catalogue, fqid: Fqid) -> None:
        """Remove a bundle version, deleted or not, and all that follows from it."""
        with self._connections.connection() as connection, connection.transaction():
            lock_bundles(connection, catalogue, [fqid.uuid])
            before = _current(connection, catalogue, fqid.uuid)
            connection.execute(_FORGET, (catalogue.number, fqid.uuid, fqid.version))
            self._show_newest(connection, catalogue, fqid, before)

    def _show_newest(
        self, connection: Connection, catalogue: Catalogue, fqid: Fqid, before: "_Current | None"
    ) -> None:
        """Show the newest version that is indexed, and can be shown, after one was changed."""
        while True:
            connection.execute(_MAKE_CURRENT, {"catalog": catalogue.number, "uuid": fqid.uuid})
            after = _current(connection, catalogue, fqid.uuid)
            try:
                with connection.transaction():
                    self._change(connection, catalogue, [(fqid.uuid, before, after)])
                return
            except Exception as error:
                # What was asked for must not fail by another version, or it would stay to be seen.
                if isinstance(error, DssError) or is_passing(error):
                    raise
                if after is None or after.version == fqid.version:
                    raise
                _log.warning("an older version can't be shown", bundle=f"{fqid.uuid}.{after.version}")
                place = (catalogue.number, fqid.uuid, after.version)
                connection.execute(_FAIL, (FAILED, why_not_stored(error), *place))

    def _change(
        self,
        connection: Connection,
        catalogue: Catalogue,
        bundles: "Iterable[tuple[str, _Current | None, _Current | None]]",
    ) -> None:
        """Change all entities of which other versions of bundles say something now: each has its UUID, and
        what counted before and counts after."""
        old: dict[EntityKey, list[Share]] = {}
        new: dict[EntityKey, list[Share]] = {}
        slots = set()
        for uuid, before, after in bundles:
            if before != after:
                slots.add(int(uuid[0], 16))
                for shares_of, current in ((old, before), (new, after)):
                    for key, share in _shares(current, uuid).items():
                        shares_of.setdefault(key, []).append(share)
        if keys := sorted({*old, *new}):
            self._replace(connection, catalogue, keys, old, new)
        # Last, and in order, so that no writer waits long for another one, or for ever.
        for slot in sorted(slots):
            connection.execute(_CHANGED, (catalogue.number, slot))

    def _replace(
        self,
        connection: Connection,
        catalogue: Catalogue,
        keys: Sequence[EntityKey],
        old: dict[EntityKey, list[Share]],
        new: dict[EntityKey, list[Share]],
    ) -> None:
        keep_numbers(connection)
        lock_entities(connection, catalogue, keys)
        audiences = AudienceNumbers(connection, self._numbering)
        shares = Shares(connection, catalogue, audiences)
        parts = PartNumbers(connection, self._numbering)
        documents = DocumentWriter(connection, catalogue, audiences, parts)
        shares.replace(old, new)
        for first in range(0, len(keys), AT_ONCE):
            documents.write(shares.counted(keys[first : first + AT_ONCE], new))
        documents.count()


@dataclass(frozen=True)
class _Current:
    version: str
    labels: frozenset[str]
    said: Said


def _record(
    connection: Connection, catalogue: Catalogue, new: BundleState
) -> "tuple[Fqid, _Current | None] | None":
    """Record a bundle version; return it and what counted of its bundle before, or None if it changes
    nothing."""
    place = catalogue.number, new.fqid.uuid, new.fqid.version
    known = connection.execute(_BUNDLE, place).fetchone()
    said = new.said.encode() if new.said else None
    if known is not None and not _changes(known, new, said):
        return None
    before = _current(connection, catalogue, new.fqid.uuid)
    values = new.state, sorted(new.labels), new.reason, new.release, said
    connection.execute(_PUT, (*place, *values))
    return new.fqid, before


def _current(connection: Connection, catalogue: Catalogue, uuid: str) -> _Current | None:
    row = connection.execute(_CURRENT, (catalogue.number, uuid)).fetchone()
    return _Current(row[0], frozenset(row[1]), Said.parse(row[2])) if row else None


def _shares(current: _Current | None, uuid: str) -> dict[EntityKey, Share]:
    """Return what the current version of a bundle says of each of its entities."""
    if current is None:
        return {}
    return {
        key: Share(uuid, current.version, current.labels, current.said.contents(key))
        for key in current.said.keys
    }


def _changes(known: Sequence[Any], new: BundleState, said: str | None) -> bool:
    """Return whether a bundle version differs from what is recorded; `said` is what it says, encoded."""
    state, labels, release, known_said = known
    if state == DELETED:
        return False
    same = (state, frozenset(labels), release) == (new.state, new.labels, new.release)
    return not (same and said == known_said)
