"""Executions: each a file, so that it outlives the server, and a process, so that none can harm another."""

import json
import threading
import uuid
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from workflows_server.launching import ExecutionProcess, Launcher

# Processes at once; further executions wait.
_AT_ONCE = 16
# Every workflow has one revision: its file.
REVISION = "000001-000"


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One execution; times are in seconds since 1970, 0 for none; `state` is the API's name of a state."""

    name: str
    argument: str
    start_time: float
    state: str = "ACTIVE"
    end_time: float = 0.0
    result: str = ""
    error: str = ""

    @property
    def workflow(self) -> str:
        """The workflow's id."""
        return self.name.split("/")[5]


class UnknownWorkflow(Exception):
    """There is no file of this workflow."""


class Executions:
    """All executions of the workflows in a directory; a workflow's id is the prefix and its file's name.

    An execution that ran when the server was killed is run again from its start: its steps may run twice.
    """

    def __init__(self, workflows: Path, prefix: str, data: Path, launcher: Launcher) -> None:
        self._workflows = workflows
        self._prefix = prefix
        self._data = data
        self._data.mkdir(parents=True, exist_ok=True)
        self._slots = threading.Semaphore(_AT_ONCE)
        self._lock = threading.Lock()
        self._processes: dict[str, ExecutionProcess] = {}
        self._launcher = launcher
        for execution in self.list(""):
            if execution.state == "ACTIVE":
                self._launch(execution)

    def create(self, parent: str, argument: str) -> Execution:
        """Start an execution; it is on disk when this returns. Raises UnknownWorkflow."""
        name = f"{parent}/executions/{uuid.uuid4()}"
        execution = Execution(name=name, argument=argument, start_time=_now())
        self._file_of(execution.workflow)
        self._write(execution)
        self._launch(execution)
        return execution

    def get(self, name: str) -> Execution | None:
        """Return the execution, or None if there is none of this name."""
        try:
            return Execution(**json.loads(self._path(name).read_text()))
        except FileNotFoundError:
            return None

    def list(self, parent: str) -> list[Execution]:
        """Return the executions whose names begin with `parent`, the newest first."""
        executions = [Execution(**json.loads(path.read_text())) for path in self._data.glob("*.json")]
        return sorted(
            (execution for execution in executions if execution.name.startswith(parent)),
            key=lambda execution: execution.start_time,
            reverse=True,
        )

    def cancel(self, name: str) -> Execution | None:
        """Kill an execution that runs, and return it as it is then; None if there is none of this name."""
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
        with self._slots:
            with self._lock:
                if (current := self.get(execution.name)) is None or current.state != "ACTIVE":
                    return
                process = self._launcher.launch(path, execution.argument, execution.name)
                self._processes[execution.name] = process
            outcome = process.outcome()
        with self._lock:
            del self._processes[execution.name]
            process.close()
            if (current := self.get(execution.name)) and current.state == "ACTIVE":
                self._write(replace(execution, **outcome, end_time=_now()))

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
