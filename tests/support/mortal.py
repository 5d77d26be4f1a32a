"""A process that tests kill and start again at the same ports."""

from collections.abc import Mapping, Sequence

from local import probes
from local.config import PATIENCE
from local.supervisor import forkserver
from local.supervisor.ports import HOST
from local.supervisor.processes import Process, Processes
from tests.support.waiting import wait_until


class Mortal:
    """A process that listens at the same ports after every start; the caller reserves them."""

    def __init__(
        self,
        processes: Processes,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        ports: Sequence[int],
    ) -> None:
        self._processes = processes
        self._name = name
        self._command = tuple(command)
        self._environment = dict(environment)
        self._ports = tuple(ports)
        self._process: Process | None = None

    def start(self) -> None:
        """Start the process, and return when it listens."""
        scratch = self._processes.scratch
        self._process = forkserver.start(
            self._processes,
            self._name,
            self._command,
            self._environment,
            log=scratch / f"{self._name}.log",
            directory=scratch,
        )
        wait_until(self._listens, f"{self._name} listens", PATIENCE)

    def kill(self) -> None:
        """Kill the process and its session."""
        assert self._process
        self._processes.end(self._process, number=9)
        self._process = None

    def _listens(self) -> bool:
        try:
            for port in self._ports:
                probes.listens(HOST, port)
        except probes.NotReady:
            return False
        return True
