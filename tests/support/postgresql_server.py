"""A PostgreSQL server for tests."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator

from local.config import PATIENCE, base_environment
from local.probes import NotReady
from local.servers.postgresql import Server, find_programs, takes_connections
from local.supervisor.ports import reserve
from local.supervisor.processes import POLL, Process, Processes


class StoppableServer:
    """A server that a test can stop and start again at the same DSN."""

    def __init__(self, server: Server, processes: Processes) -> None:
        self.dsn = server.dsn
        self._server = server
        self._processes = processes
        self._process: Process | None = None

    def start(self) -> None:
        """Start the server, and return when it takes connections."""
        scratch = self._processes.scratch
        self._process = self._processes.start(
            "postgresql",
            self._server.command,
            base_environment(os.environ),
            log=scratch / "postgresql.log",
            directory=scratch,
        )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return takes_connections(self.dsn)
            except NotReady:
                assert self._process.exit_code is None, self._process.log_tail()
                assert time.monotonic() < deadline, self._process.log_tail()
            time.sleep(POLL)

    def stop(self) -> None:
        """Stop the server at once, and cut all connections."""
        assert self._process
        # PostgreSQL: SIGQUIT is the immediate shutdown, SIGTERM waits for its clients.
        self._processes.end(self._process, number=signal.SIGQUIT)
        self._process = None


@contextlib.contextmanager
def postgresql_server() -> Iterator[StoppableServer]:
    """Run an empty server; nothing of it is left at the end."""
    with reserve() as reservation, Processes() as processes:
        port = reservation.getsockname()[1]
        server = Server(find_programs(os.environ), processes.scratch / "postgresql", port)
        stoppable = StoppableServer(server, processes)
        stoppable.start()
        yield stoppable
