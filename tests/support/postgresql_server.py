"""A PostgreSQL server of the tests' own."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator

from local.plan import base_environment
from local.ports import reserve
from local.postgresql import Server, find_programs
from local.probes import NotReady
from local.processes import POLL, Process, Processes
from tests.support.waiting import deadline_after


class HeldServer:
    """A server that a test may stop and start again, at one DSN."""

    def __init__(self, server: Server, processes: Processes) -> None:
        self.dsn = server.dsn
        self._server = server
        self._processes = processes
        self._process: Process | None = None

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        scratch = self._processes.scratch
        self._process = self._processes.start(
            "postgresql",
            self._server.command,
            base_environment(os.environ),
            log=scratch / "postgresql.log",
            directory=scratch,
        )
        deadline = deadline_after(60)
        while True:
            try:
                return self._server.answers()
            except NotReady:
                assert self._process.exit_code is None, self._process.log_tail()
                assert time.monotonic() < deadline, self._process.log_tail()
            time.sleep(POLL)

    def stop(self) -> None:
        """Stop it at once, whoever is connected."""
        assert self._process
        # PostgreSQL: SIGQUIT is the immediate shutdown, SIGTERM waits for its clients.
        self._processes.end(self._process, number=signal.SIGQUIT)
        self._process = None


@contextlib.contextmanager
def postgresql_server() -> Iterator[HeldServer]:
    """Run a server, empty at the start; nothing of it is left at the end."""
    with reserve() as keeper, Processes() as processes:
        port = keeper.getsockname()[1]
        server = Server(find_programs(os.environ), processes.scratch / "postgresql", port)
        held = HeldServer(server, processes)
        held.start()
        yield held
