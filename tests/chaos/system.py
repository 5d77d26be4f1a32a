"""The whole system, in whose back ends and processes faults are made."""

import contextlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import requests

from local.components import TABLE, events, search
from local.components.base import Builder, Component, Exported, nothing
from local.config import StackConfig
from local.stack import Stack
from local.supervisor.ports import HOST
from tests.benchmarks.processes import children, own_bytes
from tests.chaos.clocks import VARIABLE
from tests.chaos.proxies import Lines
from tests.chaos.pushes import PushLine

# The variable with the address of each back end.
_ADDRESSES = {
    "firestore": "FIRESTORE_EMULATOR_HOST",
    "gcs": "STORAGE_EMULATOR_HOST",
    "s3": "AWS_ENDPOINT_URL",
    "pubsub": "PUBSUB_EMULATOR_HOST",
    "postgresql": "DSS_POSTGRESQL_DSN",
}
# A lost event is to be made good within the run: in the clouds sweeps wait for ten minutes.
_SETTINGS = {"DSS_SWEEP_SECONDS": "15", "DSS_UNSTARTED_SECONDS": "60"}
# Seconds that a request to Firestore takes at most that has reached it, and that its export may take.
_UNDER_WAY, _EXPORT = 0.5, 120


class ChaosSystem:
    """A running system: `env` leads through the lines, `direct` past them."""

    def __init__(
        self,
        stack: Stack,
        lines: Lines,
        pushes: Mapping[str, PushLine],
        env: dict[str, str],
        direct: dict[str, str],
        data: Path,
    ) -> None:
        self.env = env
        self.direct = direct
        self.lines = lines
        self.pushes = pushes
        self._stack = stack
        self._data = data
        self._exports = 0
        self._pause = threading.Event()
        # Only one fault at a time may bring a component back.
        self._restarting = threading.Lock()

    def pause(self, seconds: float) -> None:
        """Return after so many seconds."""
        self._pause.wait(seconds)

    def restart(self, name: str) -> None:
        """Kill a component, and start it again at its ports; return when it answers."""
        with self._restarting:
            self._stack.restart(name)

    def restart_firestore(self) -> None:
        """Kill Firestore's emulator, and start it again with what it had: what was committed is durable.

        It is in memory, so it exports its documents first, while nothing reaches it. Times of their last
        updates are new afterwards, so that a commit that depends on one is refused.
        """
        line, place = self.lines["firestore"], self._data / f"firestore-{self._exports}"
        self._exports += 1
        with self._restarting:
            line.status = 503
            self.lines.cut("firestore")
            # What has reached it is done a moment later.
            self.pause(_UNDER_WAY)
            try:
                _export(self.direct, place)
                seed = f"--seed_from_export={place / 'all' / 'all.overall_export_metadata'}"
                self._stack.restart("firestore", arguments=(seed,))
            finally:
                line.status = 0

    def pid(self, name: str) -> int:
        """Return the process of a component of ours; 0 if there is none at this moment."""
        return next((pid for pid, own in _processes() if own == name), 0)

    def workers(self, name: str) -> list[int]:
        """Return the processes of a name whose parent has the same name: those that it starts again."""
        names = dict(_processes())
        return sorted(
            child
            for pid, own in names.items()
            if own == name
            for child in children(pid)
            if names.get(child) == name
        )

    def memory(self) -> dict[str, list[int]]:
        """Return the bytes of memory of the processes of each name; what several share counts in parts."""
        return self.measured(own_bytes)

    def measured(self, measure: Callable[[int], int]) -> dict[str, list[int]]:
        """Return something of each process, by its name; `measure` gets the id of a process."""
        found: dict[str, list[int]] = {}
        for pid, name in _processes():
            # One that has just ended counts no more.
            with contextlib.suppress(OSError):
                found.setdefault(name, []).append(measure(pid))
        return found


@contextlib.contextmanager
def running(data: Path, *, clocks_apart: float) -> Iterator[ChaosSystem]:
    """Run a system of its own, with its logs and objects in a directory, which is emptied. Raises LocalError.

    The clocks of its processes are up to so many seconds ahead or behind.
    """
    # Emulators have another working directory.
    data = data.resolve()
    shutil.rmtree(data, ignore_errors=True)
    lines, direct, pushes = Lines(), dict[str, str](), dict[str, PushLine]()
    place = TABLE.index(search.postgresql) + 1
    table = (*TABLE[:place], _through(lines, direct), *TABLE[place:])
    stack = Stack(
        port=0,
        table=tuple(_changed(builder, lines, pushes) for builder in table),
        data=data,
        caller={**os.environ, **_SETTINGS, VARIABLE: str(clocks_apart)},
        api_app="tests.chaos.skewed_api:app",
    )
    with lines.running(), stack.running() as env:
        yield ChaosSystem(stack, lines, pushes, env, {**env, **direct}, data)


def _changed(builder: Builder, lines: Lines, pushes: dict[str, PushLine]) -> Builder:
    """Return a builder that gives functions clocks of their own, and has pushes go through lines."""

    def changed(config: StackConfig, exported: Exported) -> Component | None:
        component = builder(config, exported)
        if component and component.name == "functions":
            python, dash_m, _, *arguments = component.command
            return replace(component, command=(python, dash_m, "tests.chaos.skewed_functions", *arguments))
        if component and builder is events.pushing:
            _push_through(config, lines, pushes)
        return component

    return changed


def _push_through(config: StackConfig, lines: Lines, pushes: dict[str, PushLine]) -> None:
    """Have the push side reach functions by lines."""
    file = config.data / events.PUSH_FILE
    content = json.loads(file.read_text())
    for row in content["subscriptions"]:
        name, target = row["name"], _host_and_port(row["endpoint"])
        port = config.ports.of(f"line of {name}")
        row["endpoint"] = row["endpoint"].replace(target, f"{HOST}:{port}")
        pushes[name] = PushLine(target, port)
        lines.listen(pushes[name])
    file.write_text(json.dumps(content))


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


def _export(env: Mapping[str, str], place: Path) -> None:
    """Have Firestore's emulator write all documents to a directory, as `firebase emulators:export` does."""
    project = env["GOOGLE_CLOUD_PROJECT"]
    place.mkdir()
    requests.post(
        f"http://{env['FIRESTORE_EMULATOR_HOST']}/emulator/v1/projects/{project}:export",
        json={
            "database": f"projects/{project}/databases/(default)",
            "export_directory": str(place),
            "export_name": "all",
        },
        headers={"Authorization": "Bearer owner"},
        timeout=_EXPORT,
    ).raise_for_status()


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
