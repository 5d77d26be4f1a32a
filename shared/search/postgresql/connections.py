"""Connections to PostgreSQL, as the index uses them: a pool, one mapping of its errors, bounded waits."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.errors import QueryCanceled, ReadOnlySqlTransaction, UndefinedTable
from psycopg_pool import ConnectionPool, PoolTimeout

from shared.errors import Unavailable

# Connections of one process; its threads share them. PostgreSQL forks a server process for each.
POOL_SIZE = 8
# Seconds. A request waits for a connection, then for its statement; clients give up after 40.
_CONNECTION_SECONDS = 8
_STATEMENT_SECONDS = 25
# Seconds after which a connection that nobody uses is closed.
_IDLE_SECONDS = 120


class Connections:
    """Connections to one database, opened as they are needed. Raises Unavailable, and recovers by itself.

    `dsn` is what libpq takes, a URL or words; what it leaves out, libpq looks up in `PGHOST`, `PGPASSWORD`
    and so on. `prepare` is called with the first connection that there is, once a process.
    """

    def __init__(
        self,
        dsn: str,
        *,
        prepare: Callable[[Connection], None],
        connection_seconds: float = _CONNECTION_SECONDS,
        statement_seconds: float = _STATEMENT_SECONDS,
    ) -> None:
        self._dsn = dsn
        self._prepare = prepare
        self._connection_seconds = connection_seconds
        self._statement_seconds = statement_seconds
        self._pool: ConnectionPool | None = None
        self._prepared = False
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def connection(self) -> Iterator[Connection]:
        """Give a connection that commits each statement by itself."""
        with translated(), self._opened().connection() as connection:
            if not self._prepared:
                self._prepare(connection)
                self._prepared = True
            try:
                yield connection
            except UndefinedTable as error:
                # Another database stands in the place of the one that was prepared.
                self._prepared = False
                raise Unavailable("the index is being made anew") from error

    def close(self) -> None:
        """Close all connections; the next use opens others."""
        with self._lock:
            if self._pool:
                self._pool.close()
            self._pool = None

    def _opened(self) -> ConnectionPool:
        # At the first use: its threads would not survive the fork of a server that made it earlier.
        with self._lock:
            if self._pool is None:
                self._pool = ConnectionPool(
                    self._dsn,
                    kwargs=self._options(),
                    min_size=0,
                    max_size=POOL_SIZE,
                    timeout=self._connection_seconds,
                    # It tries again with growing pauses, and not at once for whoever comes meanwhile: to give
                    # up is to begin anew.
                    reconnect_timeout=self._connection_seconds,
                    max_idle=_IDLE_SECONDS,
                    configure=self._configure,
                    # One round trip, and a server that was started anew is nobody's failure.
                    check=ConnectionPool.check_connection,
                    open=True,
                )
            return self._pool

    def _options(self) -> dict[str, Any]:
        return {
            "autocommit": True,
            "application_name": "dss",
            "connect_timeout": _CONNECTION_SECONDS,
            # A statement is planned for the values it has: how rare they are is what counts.
            "prepare_threshold": None,
            # Milliseconds. A server that has vanished would be waited for some quarter of an hour.
            "tcp_user_timeout": (_STATEMENT_SECONDS + 5) * 1000,
        }

    def _configure(self, connection: Connection) -> None:
        milliseconds = str(int(self._statement_seconds * 1000))
        connection.execute("SELECT set_config('statement_timeout', %s, false)", (milliseconds,))
        # To compile a query takes longer than these take to run.
        connection.execute("SET jit = off")


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn the errors of PostgreSQL that pass by themselves into Unavailable."""
    try:
        yield
    except QueryCanceled as error:
        raise Unavailable("the index took too long to answer") from error
    # A server that has become a standby takes no writes: the next connection leads to the one that does.
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, ReadOnlySqlTransaction) as error:
        raise Unavailable("the index cannot be reached") from error
