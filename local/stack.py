"""Starts the components in the order of their needs, side by side where they have none; watches; stops."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.components import TABLE, build
from local.components.base import Builder, Component
from local.config import configured
from local.errors import ComponentFailed, StartInterrupted
from local.probes import NotReady
from local.supervisor.processes import POLL, Process, Processes


class Stop:
    """Says whether somebody asked for the end; `ask` is safe in a signal handler."""

    def __init__(self) -> None:
        self.signal = 0

    def ask(self, number: int, _: object = None) -> None:
        """Ask for the end, because of signal `number`."""
        self.signal = number


@dataclass
class Start:
    """A component on its way, and its process; None where somebody else runs it."""

    component: Component
    process: Process | None
    began: float = field(default_factory=time.monotonic)

    def is_ready(self) -> bool:
        """Return whether the component answers; then it is set up as well. Raises ComponentFailed."""
        if self.process and self.process.exit_code is not None:
            raise ended(self.process)
        try:
            self.component.ready()
        except NotReady as error:
            if time.monotonic() - self.began > self.component.seconds:
                raise self._failed(f"was not ready within {self.component.seconds:.0f} s: {error}") from error
            return False
        try:
            self.component.set_up()
        except NotReady as error:
            raise self._failed(f"could not be set up: {error}") from error
        return True

    def _failed(self, what: str) -> ComponentFailed:
        return ComponentFailed(self.component.name, what, self.process.log_tail() if self.process else "")


def ended(process: Process) -> ComponentFailed:
    """Return the failure of a process that ended by itself."""
    code = process.exit_code or 0
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return ComponentFailed(process.name, f"ended unexpectedly ({how})", process.log_tail())


def _say_nothing(_: str) -> None:
    pass


def _do_nothing() -> None:
    pass


@dataclass(kw_only=True)
class Stack:
    """The whole system on this machine: `with Stack().running() as env:`.

    `port` is the API's, 0 a free one; `data` a directory that is kept, else a temporary one; `caller` the
    environment that settings for the API are taken from; `table` what runs; `say` hears of each component;
    `on_start` is called when ports and directory are ours, before anything starts.
    """

    port: int = 0
    data: Path | None = None
    caller: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    api_app: str = "run.api.main:app"
    api_workers: int = 2
    table: tuple[Builder, ...] = TABLE
    stop: Stop = field(default_factory=Stop)
    say: Callable[[str], None] = _say_nothing
    on_start: Callable[[], None] = _do_nothing
    _processes: Processes | None = field(default=None, init=False)

    @contextlib.contextmanager
    def running(self) -> Iterator[dict[str, str]]:
        """Start everything, and hand out the environment of who uses it once all of it answers.

        At the end no process is left, and no temporary directory, whatever happened; likewise, by the reaper,
        where this process is killed. Raises LocalError; ComponentFailed names the component.
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
            ) as config,
            # Before the ports and the directory are given back; its own turn would come after that.
            contextlib.closing(processes),
        ):
            components, env = build(config, self.table)
            self._processes = processes
            self.on_start()
            self._start(components, config.data)
            yield env

    def _start(self, components: list[Component], data: Path) -> None:
        waiting = list(components)
        starting: list[Start] = []
        ready: set[str] = set()
        while waiting or starting:
            self._check()
            for component in [one for one in waiting if ready.issuperset(one.needs)]:
                waiting.remove(component)
                starting.append(self._launched(component, data))
            if not starting:
                raise ValueError(f"nothing meets the needs of {', '.join(one.name for one in waiting)}")
            for start in list(starting):
                if self.stop.signal or not ready.issuperset(start.component.uses):
                    continue
                if start.is_ready():
                    starting.remove(start)
                    ready.add(start.component.name)
                    self.say(f"{start.component.name} ready after {time.monotonic() - start.began:.1f} s")
            time.sleep(POLL)

    def _launched(self, component: Component, data: Path) -> Start:
        if not component.command:
            return Start(component, None)
        assert self._processes
        log = data / "logs" / f"{component.name.replace(' ', '-')}.log"
        process = self._processes.start(
            component.name, component.command, component.environment, log=log, directory=data
        )
        return Start(component, process)

    def _check(self) -> None:
        if self.stop.signal:
            raise StartInterrupted
        for process in self._processes.ended() if self._processes else []:
            raise ended(process)

    def watch(self) -> None:
        """Return when the end is asked for. Raises ComponentFailed when a component ends by itself."""
        with contextlib.suppress(StartInterrupted):
            while True:
                self._check()
                time.sleep(5 * POLL)
