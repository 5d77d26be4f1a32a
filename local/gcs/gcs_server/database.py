"""The metadata: one SQLite file, one writer at a time, readers that wait for nobody."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (
    name TEXT PRIMARY KEY, project TEXT NOT NULL, attributes TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL, metageneration INTEGER NOT NULL,
    file TEXT NOT NULL, size INTEGER NOT NULL, attributes TEXT NOT NULL, PRIMARY KEY (bucket, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, request TEXT NOT NULL, file TEXT NOT NULL, started REAL NOT NULL,
    state TEXT NOT NULL, result TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rewrites (
    token TEXT PRIMARY KEY, request TEXT NOT NULL, generation INTEGER NOT NULL, done INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notifications (
    bucket TEXT NOT NULL, id INTEGER NOT NULL, config TEXT NOT NULL, PRIMARY KEY (bucket, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, message TEXT NOT NULL
);
"""


class Database:
    """Transactions over the metadata file, which is created where it doesn't exist."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = threading.Lock()
        self._writer = self._connect()
        self._writer.executescript("PRAGMA journal_mode = WAL;" + _SCHEMA)
        self._readers: list[sqlite3.Connection] = []

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that nothing else writes beside: all of it is kept, or, on an exception, none."""
        with self._writing:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection to read what is committed; a statement sees one moment, two may see two."""
        try:
            connection = self._readers.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        finally:
            self._readers.append(connection)

    def files_in_use(self) -> set[str]:
        """The content files that objects and uploads have."""
        with self.read() as connection:
            rows = connection.execute("SELECT file FROM objects UNION ALL SELECT file FROM uploads")
            return {row[0] for row in rows}

    def close(self) -> None:
        """Waits for the write under way and allows no other."""
        self._writing.acquire()
        self._writer.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=60)
        # A killed process loses nothing that was written; only a machine that loses power would, and what
        # is lost then is a test's.
        connection.execute("PRAGMA synchronous = OFF")
        return connection
