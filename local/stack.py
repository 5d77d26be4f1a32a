"""Start the components in the order of their needs, in parallel if they have none; watch them; stop them."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from local.components import TABLE, build
from local.components.base import Builder, Component, nothing
from local.config import PATIENCE, configured
from local.errors import ComponentFailed, StartInterrupted
from local.probes import NotReady
from local.supervisor import forkserver
from local.supervisor.processes import POLL, Process, Processes


class Stop:
    """Records the signal to stop; `request` is safe in a signal handler."""

    def __init__(self) -> None:
        self.signal = 0

    def request(self, number: int, _: object = None) -> None:
        """Request the stop, because of signal `number`."""
        self.signal = number


@dataclass
class Start:
    """A component that starts, and its process; None if another program runs it."""

    component: Component
    process: Process | None
    patience: float
    began: float = field(default_factory=time.monotonic)
    # None before the first probe: what a component `uses` takes time too.
    first_probe: float | None = None

    def is_ready(self) -> bool:
        """Set the component up and return True if it answers. Raises ComponentFailed, also after its time."""
        if self.process and self.process.exit_code is not None:
            raise ended(self.process)
        if self.first_probe is None:
            self.first_probe = time.monotonic()
        try:
            self.component.ready()
        except NotReady as error:
            seconds = self.patience if self.component.seconds is None else self.component.seconds
            if time.monotonic() - self.first_probe > seconds:
                raise self._failed(f"was not ready within {seconds:g} s (see --patience): {error}") from error
            return False
        try:
            self.component.set_up()
        except NotReady as error:
            raise self._failed(f"could not be set up: {error}") from error
        return True

    def _failed(self, what: str) -> ComponentFailed:
        return ComponentFailed(self.component.name, what, self.process.log_tail() if self.process else "")


def ended(process: Process) -> ComponentFailed:
    """Return the error for a process that ended by itself."""
    code = process.exit_code or 0
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return ComponentFailed(process.name, f"ended unexpectedly ({how})", process.log_tail())


def _ignore(_: str) -> None:
    pass


def _do_nothing() -> None:
    pass


@dataclass(kw_only=True)
class Stack:
    """The whole system on this machine: `with Stack().running() as env:`.

    `port` is the API's, 0 for a free one; `data` a directory that is kept, else a temporary one; `caller` the
    environment with settings for the API; `table` the components; `patience` the seconds that a component may
    take to start. `report` gets a line for each component that is ready; `on_start` is called when ports and
    directory are reserved, before anything starts.
    """

    port: int = 0
    data: Path | None = None
    caller: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    api_app: str = "run.api.main:app"
    api_workers: int = 2
    table: tuple[Builder, ...] = TABLE
    patience: float = PATIENCE
    stop: Stop = field(default_factory=Stop)
    report: Callable[[str], None] = _ignore
    on_start: Callable[[], None] = _do_nothing
    _processes: Processes | None = field(default=None, init=False)
    _data: Path | None = field(default=None, init=False)
    _started: dict[str, Start] = field(default_factory=dict, init=False)

    @contextlib.contextmanager
    def running(self) -> Iterator[dict[str, str]]:
        """Start everything, and yield the environment for its users once every component answers.

        At the end no process and no temporary directory is left, also after an error; the reaper guarantees
        that even if this process is killed. Raises LocalError; ComponentFailed names the component.
        """
        with (
            Processes() as processes,
            configured(
                data=self.data,
                scratch=processes.scratch,
                caller=self.caller,
                api_app=self.api_app,
                api_port=self.port,
                api_workers=self.api_workers,
                patience=self.patience,
            ) as config,
            # All processes end before the ports and the directory are given back.
            contextlib.closing(processes),
        ):
            components, env = build(config, self.table)
            self._processes, self._data = processes, config.data
            self.on_start()
            self._start(components)
            yield env

    def restart(
        self, name: str, changes: Mapping[str, str] | None = None, *, arguments: Sequence[str] = ()
    ) -> None:
        """Kill a component, and start it again at its ports; return when it answers. Raises LocalError.

        `changes` are of its environment, also for later restarts; further `arguments` are for this one only.
        """
        assert self._processes
        before = self._started[name]
        assert before.process, f"{name} is another program's"
        self._processes.end(before.process, number=signal.SIGKILL)
        environment = {**before.component.environment, **(changes or {})}
        component = replace(before.component, environment=environment, set_up=nothing)
        start = self._launch(replace(component, command=(*component.command, *arguments)))
        start.component = component
        while not start.is_ready():
            time.sleep(POLL)

    def _start(self, components: list[Component]) -> None:
        waiting = list(components)
        starting: list[Start] = []
        ready: set[str] = set()
        while waiting or starting:
            self._check()
            for component in [component for component in waiting if ready.issuperset(component.needs)]:
                waiting.remove(component)
                starting.append(self._launch(component))
            if not starting:
                names = ", ".join(component.name for component in waiting)
                raise ValueError(f"no component of the table meets the needs of {names}")
            for start in list(starting):
                if self.stop.signal or not ready.issuperset(start.component.uses):
                    continue
                if start.is_ready():
                    starting.remove(start)
                    ready.add(start.component.name)
                    self.report(f"{start.component.name} ready after {time.monotonic() - start.began:.1f} s")
            time.sleep(POLL)

    def _launch(self, component: Component) -> Start:
        if not component.command:
            return Start(component, None, self.patience)
        assert self._processes
        assert self._data
        log = self._data / "logs" / f"{component.name.replace(' ', '-')}.log"
        process = forkserver.start(
            self._processes,
            component.name,
            component.command,
            component.environment,
            log=log,
            directory=self._data,
        )
        start = self._started[component.name] = Start(component, process, self.patience)
        return start

    def _check(self) -> None:
        if self.stop.signal:
            raise StartInterrupted
        for process in self._processes.ended() if self._processes else []:
            raise ended(process)

    def watch(self) -> None:
        """Return when the stop is requested. Raises ComponentFailed if a component ends by itself."""
        with contextlib.suppress(StartInterrupted):
            while True:
                self._check()
                time.sleep(5 * POLL)
