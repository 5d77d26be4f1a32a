"""Connections to PostgreSQL: a pool, one mapping of its errors, bounded waits."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from psycopg import Connection, Cursor
from psycopg.errors import QueryCanceled, ReadOnlySqlTransaction, UndefinedTable
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout

from shared.deadlines import limited
from shared.errors import Unavailable

# Connections that the threads of a process share. PostgreSQL forks a server process for each.
POOL_SIZE = 8
# Seconds. A request waits for a connection, then for its statement; clients give up after 40.
_CONNECTION_SECONDS = 8
_STATEMENT_SECONDS = 25
# How often a statement that repeats is planned anew.
_REPEATED = 2
# For statements about few rows that an index has: at any size that a table had when they were planned,
# they look rows up one by one. Planning them takes longer than they do.
_PLANNED_ONCE = """
    SELECT set_config('plan_cache_mode', 'force_generic_plan', false),
        set_config('enable_seqscan', 'off', false),
        set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false)
"""
# Seconds after which the pool closes a connection that nobody uses.
_IDLE_SECONDS = 120


_LIMIT = "SELECT set_config('statement_timeout', %s, false)"


class _Limited(Connection[TupleRow]):
    """A connection whose statements end at the deadline of a request, too (shared/deadlines.py).

    Those of a transaction have the limit that it began with, or sets itself. Raises Unavailable after the
    deadline.
    """

    # Of a statement, without a deadline; and in milliseconds what the server was last sent.
    seconds: float = _STATEMENT_SECONDS
    _sent_limit = 0

    def execute(self, *arguments: Any, **options: Any) -> Cursor[TupleRow]:
        """Execute a statement; see psycopg."""
        if self.info.transaction_status is TransactionStatus.IDLE:
            milliseconds = max(int(limited(self.seconds) * 1000), 1)
            # Almost always the limit is the usual one, and nothing is sent.
            if milliseconds != self._sent_limit:
                super().execute(_LIMIT, (str(milliseconds),))
                self._sent_limit = milliseconds
        return super().execute(*arguments, **options)


class Connections:
    """Connections to one database, opened on demand. Raises Unavailable, and recovers by itself.

    Waits and statements end at the deadline of a request (shared/deadlines.py), if that is earlier.

    `dsn` is a URL or keywords of libpq, which takes the rest from `PGHOST`, `PGPASSWORD` and so on. `prepare`
    runs once a process, with the first connection. With `repeats` the statements are the same again and
    again, and each is about few rows that an index has: they are planned once.
    """

    def __init__(
        self,
        dsn: str,
        *,
        prepare: Callable[[Connection], None],
        repeats: bool = False,
        connection_seconds: float = _CONNECTION_SECONDS,
        statement_seconds: float = _STATEMENT_SECONDS,
    ) -> None:
        self._dsn = dsn
        self._prepare = prepare
        self._repeats = repeats
        self._connection_seconds = connection_seconds
        self._statement_seconds = statement_seconds
        self._pool: ConnectionPool[_Limited] | None = None
        self._prepared = False
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def connection(self) -> Iterator[Connection]:
        """Yield a connection that commits each statement by itself."""
        wait = limited(self._connection_seconds)
        with translated(), self._opened().connection(timeout=wait) as connection:
            if not self._prepared:
                self._prepare(connection)
                self._prepared = True
            try:
                yield connection
            except UndefinedTable as error:
                # Somebody has replaced the database by one without tables.
                self._prepared = False
                raise Unavailable("the index has no tables; they are made at the next attempt") from error

    def close(self) -> None:
        """Close all connections; the next use opens others."""
        with self._lock:
            if self._pool:
                self._pool.close()
            self._pool = None

    def _opened(self) -> "ConnectionPool[_Limited]":
        # At the first use: threads of the pool would not survive the fork of a server.
        with self._lock:
            if self._pool is None:
                self._pool = ConnectionPool(
                    self._dsn,
                    connection_class=_Limited,
                    kwargs=self._options(),
                    min_size=0,
                    max_size=POOL_SIZE,
                    timeout=self._connection_seconds,
                    # While the pool retries with growing pauses, new requests wait for it. Once it gives up,
                    # the next request begins at once.
                    reconnect_timeout=self._connection_seconds,
                    max_idle=_IDLE_SECONDS,
                    configure=self._configure,
                    # One round trip, so that no request fails after a restart of the server.
                    check=ConnectionPool.check_connection,
                    open=True,
                )
            return self._pool

    def _options(self) -> dict[str, Any]:
        return {
            "autocommit": True,
            "application_name": "dss",
            "connect_timeout": _CONNECTION_SECONDS,
            # Plan each statement for its values: their frequency decides. A plan that is kept must not go by
            # how small a table was.
            "prepare_threshold": _REPEATED if self._repeats else None,
            # Milliseconds. By default TCP waits a quarter of an hour for a server that has vanished.
            "tcp_user_timeout": (_STATEMENT_SECONDS + 5) * 1000,
        }

    def _configure(self, connection: _Limited) -> None:
        connection.seconds = self._statement_seconds
        # Compiling these queries takes longer than running them.
        connection.execute("SET jit = off")
        if self._repeats:
            connection.execute(_PLANNED_ONCE)


# A server that has become a standby is read-only; the next connection leads to the primary.
_PASSING = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, ReadOnlySqlTransaction)
# The class of errors that say that something is too large for PostgreSQL.
_LIMITS = "54"


def is_passing(error: Exception) -> bool:
    """Return whether an error of PostgreSQL may be gone at the next attempt, with the same values."""
    sqlstate = getattr(error, "sqlstate", None) or ""
    return isinstance(error, (*_PASSING, UndefinedTable)) and not sqlstate.startswith(_LIMITS)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn passing errors of PostgreSQL into Unavailable; all others stay as they are."""
    try:
        yield
    except QueryCanceled as error:
        raise Unavailable("the index took too long to answer") from error
    except _PASSING as error:
        if not is_passing(error):
            raise
        raise Unavailable("the index cannot be reached") from error
