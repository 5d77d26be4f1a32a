"""A second API process on a running stack, with other settings, for tests to kill, restart or measure."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping

from local import probes
from local.components.services import gunicorn
from local.config import LOOPBACK_NETWORKS, PATIENCE, base_environment
from local.errors import ComponentFailed
from local.stack import ended
from local.supervisor import forkserver
from local.supervisor.ports import HOST, reserve
from local.supervisor.processes import POLL, Process, Processes


class ApiProcess:
    """An API under gunicorn that keeps its `url` across restarts."""

    def __init__(
        self, processes: Processes, env: Mapping[str, str], *, port: int, workers: int, app: str
    ) -> None:
        self.url = f"http://{HOST}:{port}"
        self.log = processes.scratch / "api.log"
        self._processes = processes
        # Tests and measurements go at full speed, as with `dss local`.
        unlimited = {"DSS_UNLIMITED_NETWORKS": LOOPBACK_NETWORKS}
        self._settings = {**base_environment(os.environ), **unlimited, **env}
        self._command = gunicorn(app, port, workers)
        self._process: Process | None = None

    def start(self, overrides: Mapping[str, str | None] | None = None) -> None:
        """Start, and return once the API is healthy. Raises ComponentFailed.

        `overrides` change the environment, also of later starts; None removes a variable.
        """
        for name, value in (overrides or {}).items():
            self._settings.pop(name, None)
            if value is not None:
                self._settings[name] = value
        process = forkserver.start(
            self._processes, "api", self._command, self._settings, log=self.log, directory=self.log.parent
        )
        self._process = process
        deadline = time.monotonic() + PATIENCE
        while True:
            if process.exit_code is not None:
                raise ended(process)
            try:
                return probes.is_healthy(self.url)
            except probes.NotReady as error:
                if time.monotonic() > deadline:
                    raise ComponentFailed("api", f"was not ready: {error}", process.log_tail()) from error
            time.sleep(POLL)

    @property
    def pid(self) -> int:
        """The id of gunicorn's first process; its workers are its children."""
        assert self._process
        return self._process.pid

    def kill(self) -> None:
        """Kill all its processes, and return when they are gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Give it 2 s to finish its requests, and end it."""
        self._end(signal.SIGTERM)

    def restart(self, overrides: Mapping[str, str | None] | None = None) -> None:
        """Kill it, and start it at the same URL, with changed settings."""
        self.kill()
        self.start(overrides)

    def _end(self, number: int) -> None:
        if self._process:
            self._processes.end(self._process, number=number)
            self._process = None


@contextlib.contextmanager
def api_process(
    env: Mapping[str, str],
    overrides: Mapping[str, str | None] | None = None,
    *,
    port: int = 0,
    workers: int = 1,
    app: str = "run.api.main:app",
) -> Iterator[ApiProcess]:
    """Run a second API on the stack that `env` describes: healthy on entry, gone on exit.

    `env` is what `Stack.running` yields, or the content of an environment file. Settings in this process's
    own environment don't reach the API. Raises PortInUse, ComponentFailed.
    """
    with reserve(port) as reservation, Processes() as processes:
        process = ApiProcess(processes, env, port=reservation.getsockname()[1], workers=workers, app=app)
        process.start(overrides)
        yield process
