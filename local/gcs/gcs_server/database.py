"""The metadata: one SQLite file, with one writer at a time and readers that never wait."""

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
    """Transactions on the metadata file, which is created if it doesn't exist."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = threading.Lock()
        self._writer = self._connect()
        self._writer.executescript("PRAGMA journal_mode = WAL;" + _SCHEMA)
        self._readers: list[sqlite3.Connection] = []

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Open the only write transaction: it commits at the end, and rolls back on an exception."""
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
        """Open a connection that reads committed data; each statement sees its own snapshot."""
        try:
            connection = self._readers.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        finally:
            self._readers.append(connection)

    def files_in_use(self) -> set[str]:
        """Return the content files of objects and uploads."""
        with self.read() as connection:
            rows = connection.execute("SELECT file FROM objects UNION ALL SELECT file FROM uploads")
            return {row[0] for row in rows}

    def close(self) -> None:
        """Wait for the current write, and prevent any other."""
        self._writing.acquire()
        self._writer.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=60)
        # A killed process loses nothing. Only a power failure would lose data, and they are a test's.
        connection.execute("PRAGMA synchronous = OFF")
        return connection
