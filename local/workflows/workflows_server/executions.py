"""Executions: each a file, so that they outlive the server, and a process, so that one can't harm another."""

import json
import threading
import uuid
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from workflows_server.launching import Launched, Launcher

# Processes that run at once; further executions wait for their turn.
_AT_ONCE = 16
# Every workflow has one: that of its file.
REVISION = "000001-000"


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One execution, as it is kept; times are in seconds since 1970, `state` is the API's word."""

    name: str
    argument: str
    start_time: float
    state: str = "ACTIVE"
    end_time: float = 0.0
    result: str = ""
    error: str = ""

    @property
    def workflow(self) -> str:
        """The name of the deployed workflow."""
        return self.name.split("/")[5]


class UnknownWorkflow(Exception):
    """No such workflow is deployed."""


class Executions:
    """All executions of the workflows in a directory, their names behind a prefix.

    Those that ran when the server was killed are run again, from their start: steps may be done twice.
    """

    def __init__(self, workflows: Path, prefix: str, data: Path, launcher: Launcher) -> None:
        self._workflows = workflows
        self._prefix = prefix
        self._data = data
        self._data.mkdir(parents=True, exist_ok=True)
        self._turn = threading.Semaphore(_AT_ONCE)
        self._lock = threading.Lock()
        self._processes: dict[str, Launched] = {}
        self._launcher = launcher
        for execution in self.list(""):
            if execution.state == "ACTIVE":
                self._launch(execution)

    def create(self, parent: str, argument: str) -> Execution:
        """Begin an execution; it is on disk when this returns. Raises UnknownWorkflow."""
        name = f"{parent}/executions/{uuid.uuid4()}"
        execution = Execution(name=name, argument=argument, start_time=_now())
        self._file_of(execution.workflow)
        self._write(execution)
        self._launch(execution)
        return execution

    def get(self, name: str) -> Execution | None:
        """Return an execution, or None."""
        try:
            return Execution(**json.loads(self._path(name).read_text()))
        except FileNotFoundError:
            return None

    def list(self, parent: str) -> list[Execution]:
        """Return the executions of a workflow, the newest first."""
        found = [Execution(**json.loads(path.read_text())) for path in self._data.glob("*.json")]
        return sorted(
            (one for one in found if one.name.startswith(parent)),
            key=lambda one: one.start_time,
            reverse=True,
        )

    def cancel(self, name: str) -> Execution | None:
        """End an execution where it is."""
        execution = self.get(name)
        if execution is None or execution.state != "ACTIVE":
            return execution
        cancelled = replace(execution, state="CANCELLED", end_time=_now())
        with self._lock:
            self._write(cancelled)
            if process := self._processes.get(name):
                process.kill()
        return cancelled

    def _launch(self, execution: Execution) -> None:
        threading.Thread(target=self._run, args=(execution,), daemon=True).start()

    def _run(self, execution: Execution) -> None:
        path = self._file_of(execution.workflow)
        with self._turn:
            with self._lock:
                if (there := self.get(execution.name)) is None or there.state != "ACTIVE":
                    return
                process = self._launcher.launch(path, execution.argument, execution.name)
                self._processes[execution.name] = process
            ended = process.outcome()
        with self._lock:
            del self._processes[execution.name]
            process.close()
            if (there := self.get(execution.name)) and there.state == "ACTIVE":
                self._write(replace(execution, **ended, end_time=_now()))

    def _file_of(self, workflow: str) -> Path:
        path = self._workflows / f"{workflow.removeprefix(self._prefix)}.yaml"
        if not workflow.startswith(self._prefix) or not path.is_file():
            raise UnknownWorkflow(workflow)
        return path

    def _path(self, name: str) -> Path:
        return self._data / f"{name.rpartition('/')[2]}.json"

    def _write(self, execution: Execution) -> None:
        path = self._path(execution.name)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(execution)))
        draft.replace(path)


def _now() -> float:
    return datetime.now(UTC).timestamp()
