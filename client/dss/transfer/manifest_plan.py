"""What a manifest names and where it goes, in a file on disk: a manifest may name a million files."""

import sqlite3
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

from dss.errors import InvalidInput
from dss.manifests.entries import Entry
from dss.transfer.names import is_safe
from dss.transfer.placement import Rehearsal, folded, place

# Rows that are in memory while files are fetched.
_AT_ONCE = 500
# SQLite's cache, in KiB.
_CACHE_KIB = 16 * 1024
_TABLE = """
CREATE TABLE file (
    id INTEGER PRIMARY KEY, top TEXT, wanted TEXT UNIQUE, path TEXT, done INTEGER DEFAULT 0,
    place TEXT, name TEXT, uuid TEXT, version TEXT, size INTEGER, sha256 TEXT,
    bundle_uuid TEXT, bundle_version TEXT
)"""


class PlannedFile(NamedTuple):
    """A file to fetch: what the manifest says of it, and the `path` at which it is to be."""

    id: int
    place: str
    wanted: str
    path: str
    uuid: str
    version: str | None
    size: int | None
    sha256: str | None


class FetchedFile(NamedTuple):
    """A file that is there, verified, with the columns of a table of files."""

    bundle_uuid: str
    bundle_version: str
    name: str
    uuid: str
    version: str | None
    sha256: str | None
    size: int | None
    path: str


class Plan:
    """The files of a manifest; threads may share it. Its file has no name, and ends with the process."""

    def __init__(self) -> None:
        # An empty name is a file of SQLite's own, in the directory for temporary files.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._lock = threading.Lock()
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            f"PRAGMA cache_size = -{_CACHE_KIB}",
            _TABLE,
            "BEGIN",
        ):
            self._database.execute(statement)

    def close(self) -> None:
        """Forget everything."""
        self._database.close()

    def add(self, entry: Entry) -> bool:
        """Add a file; return False if it is there already.

        Raises InvalidInput if another file of the manifest is to have the same path.
        """
        values = (entry.uuid, entry.version, entry.size, entry.sha256)
        top = folded(entry.path.partition("/")[0])
        added = self._run(
            "INSERT INTO file (top, wanted, path, place, name, uuid, version, size, sha256, bundle_uuid, "
            "bundle_version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            *(top, entry.path, entry.path, entry.place, entry.name, *values, *entry.bundle),
        )
        if added:
            return True
        [(place_of_other, *others)] = self._rows(
            "SELECT place, uuid, version, size, sha256 FROM file WHERE wanted = ?", entry.path
        )
        if tuple(others) == values:
            return False
        raise InvalidInput(
            f"{place_of_other} has another file for the same path, {entry.path!r}; keep one of them, or "
            "make a manifest of each"
        )

    def settle(self, longest: int, rehearsal: Rehearsal) -> Iterator[tuple[str, str, str]]:
        """Find a path for each file that a directory can hold, whose steps have `longest` bytes at most.

        Yield place, path and the path of the other one for each of those that are one file on this file
        system; they are not planned any more. Files of one directory, or bundle, are in memory at once.
        """
        self._run("CREATE INDEX top ON file (top)")
        last = ""
        while tops := self._rows("SELECT DISTINCT top FROM file WHERE top > ? ORDER BY top LIMIT 500", last):
            last = tops[-1][0]
            for (top,) in tops:
                places = dict(self._rows("SELECT wanted, place FROM file WHERE top = ?", top))
                paths = place(places.keys(), longest=longest)
                pairs = rehearsal.collisions(filter(is_safe, paths.values()))
                for wanted, path in paths.items():
                    if path in pairs:
                        self._run("DELETE FROM file WHERE wanted = ?", wanted)
                        yield places[wanted], path, pairs[path]
                    elif path != wanted:
                        self._run("UPDATE file SET path = ? WHERE wanted = ?", path, wanted)

    @property
    def files(self) -> int:
        """How many files are planned."""
        [(count,)] = self._rows("SELECT count(*) FROM file")
        return int(count)

    @property
    def size(self) -> int:
        """How many bytes they have, of which that is known."""
        [(total,)] = self._rows("SELECT coalesce(sum(size), 0) FROM file")
        return int(total)

    def planned(self) -> Iterator[PlannedFile]:
        """Yield all files in the order of the manifest."""
        last = 0
        while rows := self._rows(
            "SELECT id, place, wanted, path, uuid, version, size, sha256 FROM file WHERE id > ? ORDER BY id "
            f"LIMIT {_AT_ONCE}",
            last,
        ):
            last = rows[-1][0]
            yield from map(PlannedFile._make, rows)

    def done(self, file: PlannedFile, *, version: str, size: int, sha256: str) -> None:
        """Note that a file is there, and what the DSS says of it."""
        self._run(
            "UPDATE file SET done = 1, version = ?, size = ?, sha256 = ? WHERE id = ?",
            *(version, size, sha256, file.id),
        )

    def fetched(self) -> Iterator[FetchedFile]:
        """Yield all files that are there, in the order of the manifest."""
        last = 0
        while rows := self._rows(
            "SELECT id, bundle_uuid, bundle_version, name, uuid, version, sha256, size, path FROM file "
            f"WHERE id > ? AND done ORDER BY id LIMIT {_AT_ONCE}",
            last,
        ):
            last = rows[-1][0]
            yield from (FetchedFile._make(row[1:]) for row in rows)

    def takes(self, name: str) -> bool:
        """Return whether a file, or a directory of files, has a name in the directory."""
        return bool(self._rows("SELECT 1 FROM file WHERE top = ? LIMIT 1", folded(name)))

    def path_of(self, entry: Entry) -> str:
        """Return the path at which a file of the manifest is; empty if it is not there."""
        rows = self._rows(
            "SELECT path FROM file WHERE wanted = ? AND uuid = ? AND done", entry.path, entry.uuid
        )
        return str(rows[0][0]) if rows else ""

    def _run(self, statement: str, *values: Any) -> int:
        with self._lock:
            return self._database.execute(statement, values).rowcount

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._database.execute(statement, values).fetchall()
