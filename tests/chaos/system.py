"""The whole system, in whose back ends and processes faults are made."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from local.components import TABLE, search
from local.components.base import Builder, Component, Exported, nothing
from local.config import StackConfig
from local.stack import Stack
from local.supervisor.ports import HOST
from tests.benchmarks.processes import children, own_bytes
from tests.chaos import schedule
from tests.chaos.proxies import Lines
from tests.chaos.schedule import Fault

# The variable with the address of each back end.
_ADDRESSES = {
    "firestore": "FIRESTORE_EMULATOR_HOST",
    "gcs": "STORAGE_EMULATOR_HOST",
    "s3": "AWS_ENDPOINT_URL",
    "pubsub": "PUBSUB_EMULATOR_HOST",
    "postgresql": "DSS_POSTGRESQL_DSN",
}
# A lost event is to be made good within the run: in the clouds sweeps wait for ten minutes.
_SETTINGS = {"DSS_SWEEP_SECONDS": "15"}
# Seconds by which each request over a slow line is late.
_DELAY = 0.3


class ChaosSystem:
    """A running system: `env` leads through the lines, `direct` past them."""

    def __init__(self, stack: Stack, lines: Lines, env: dict[str, str], direct: dict[str, str]) -> None:
        self.env = env
        self.direct = direct
        self._stack = stack
        self._lines = lines
        self._pause = threading.Event()
        # Only one fault at a time may bring a component back.
        self._restarting = threading.Lock()

    def inject(self, fault: Fault) -> str:
        """Make a fault, and return when it is over: what it hit; nothing if there was nothing to hit."""
        made: dict[str, Callable[[Fault], str]] = {
            schedule.KILL: self._kill,
            schedule.FREEZE: self._freeze,
            schedule.RESTART: self._restart,
            schedule.CUT: self._cut,
            schedule.SLOW: self._slow,
            schedule.STORM: self._storm,
        }
        return made[fault.kind](fault)

    def memory(self) -> dict[str, int]:
        """Return the bytes of memory of the processes of each name; what several share counts in parts."""
        sizes: dict[str, int] = {}
        for pid, name in _processes():
            with contextlib.suppress(OSError):
                sizes[name] = sizes.get(name, 0) + own_bytes(pid)
        return sizes

    def _kill(self, fault: Fault) -> str:
        pid = self._chosen(fault)
        return _signal(pid, signal.SIGKILL) if pid else ""

    def _freeze(self, fault: Fault) -> str:
        pid = self._chosen(fault)
        if not pid or not _signal(pid, signal.SIGSTOP):
            return ""
        self._pause.wait(fault.seconds)
        return _signal(pid, signal.SIGCONT)

    def _chosen(self, fault: Fault) -> int:
        """Return the id of a process that its own parent, which is no victim, starts again."""
        workers = _workers(fault.target)
        return workers[int(fault.at * 1000) % len(workers)] if workers else 0

    def _restart(self, fault: Fault) -> str:
        with self._restarting:
            self._stack.restart(fault.target)
        return fault.target

    def _cut(self, fault: Fault) -> str:
        self._lines.cut(fault.target)
        return fault.target

    def _slow(self, fault: Fault) -> str:
        line = self._lines[fault.target]
        line.delay = _DELAY
        self._pause.wait(fault.seconds)
        line.delay = 0.0
        return fault.target

    def _storm(self, fault: Fault) -> str:
        line = self._lines[fault.target]
        line.busy = True
        self._pause.wait(fault.seconds)
        line.busy = False
        return fault.target


@contextlib.contextmanager
def running(data: Path) -> Iterator[ChaosSystem]:
    """Run a system of its own, with its logs and objects in a directory. Raises LocalError."""
    lines, direct = Lines(), dict[str, str]()
    place = TABLE.index(search.postgresql) + 1
    table: tuple[Builder, ...] = (*TABLE[:place], _through(lines, direct), *TABLE[place:])
    stack = Stack(port=0, table=table, data=data, caller={**os.environ, **_SETTINGS})
    with lines.running(), stack.running() as env:
        yield ChaosSystem(stack, lines, env, {**env, **direct})


def _through(lines: Lines, direct: dict[str, str]) -> Builder:
    """Return the builder of the lines; it keeps the addresses behind them in `direct`."""

    def lined(config: StackConfig, exported: Exported) -> Component:
        addresses = {}
        for name, variable in _ADDRESSES.items():
            direct[variable] = exported[variable]
            target, port = _host_and_port(exported[variable]), config.ports.of(f"line to {name}")
            lines.add(name, target, port, http=name in ("gcs", "s3"))
            addresses[variable] = exported[variable].replace(target, f"{HOST}:{port}")
        if "DSS_LOCAL_GCS_URL" in exported:
            addresses["DSS_LOCAL_GCS_URL"] = addresses[_ADDRESSES["gcs"]]
        return Component(name="lines", command=(), ready=nothing, exports=addresses)

    return lined


def _host_and_port(address: str) -> str:
    parts = urlsplit(address if "://" in address else f"//{address}")
    return f"{parts.hostname}:{parts.port}"


def _processes() -> Iterator[tuple[int, str]]:
    """Yield the id and name of all descendants of this process."""
    waiting = [os.getpid()]
    while waiting:
        for pid in children(waiting.pop()):
            waiting.append(pid)
            with contextlib.suppress(OSError):
                yield pid, Path(f"/proc/{pid}/comm").read_text().strip()


def _workers(name: str) -> list[int]:
    """Return the processes of a name whose parent has the same name: those that it starts again."""
    names = dict(_processes())
    return sorted(
        child
        for pid, own in names.items()
        if own == name
        for child in children(pid)
        if names.get(child) == name
    )


def _signal(pid: int, number: int) -> str:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return ""
    return str(pid)
