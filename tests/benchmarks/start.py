"""How long a process takes from its exec to its first answer: the API, and each function.

Each is started as in the cloud: the API by the command of its Dockerfile, a function by functions-framework.
No process that has imported anything is forked, and packages that the image does not have are not found.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path
from tempfile import TemporaryDirectory

from functions.main import ENTRY_POINTS
from local import probes
from local.components import API_TABLE
from local.config import base_environment
from local.stack import Stack
from local.supervisor.ports import HOST, reserve
from local.supervisor.processes import Processes
from tests.benchmarks.processes import cpu_seconds, resident_bytes
from tests.benchmarks.sizes import sized
from tests.support.dockerfile import instructions
from tests.support.python_imports import is_locked
from tests.support.terraform_cli import ROOT

ROUNDS = sized(5, 2)
# CPU seconds that are allowed.
API_GOAL, FUNCTION_GOAL = 1.5, 1.0
_POLL_SECONDS = 0.005
_PATIENCE_SECONDS = 60.0
# What every function answers at once, most of them with an error, once it is connected to Firestore.
_REQUEST = b'{"message": {}}'
# Refuses the imports that it is given: at the start of Python, before all others.
_REFUSAL = """
import sys

class _Absent:
    names = frozenset({names})

    def find_spec(self, name, path=None, target=None):
        if name in self.names:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, _Absent())
"""


@dataclass(frozen=True, kw_only=True)
class Start:
    """One start: seconds of CPU and of the clock until the first answer, and then the memory and modules."""

    cpu: float
    wall: float
    bytes: int
    modules: int = 0


@dataclass(frozen=True, kw_only=True)
class Program:
    """What is started; `{port}` in its command is where it answers a request for `path`."""

    name: str
    command: Sequence[str]
    path: str
    body: bytes | None
    environment: Mapping[str, str]
    goal: float

    def started(self, environment: Mapping[str, str]) -> Start:
        """Start it, wait for its answer, and end it. Raises RuntimeError if it does not answer."""
        with reserve(0) as reservation, Processes() as processes:
            port = reservation.getsockname()[1]
            command = [part.replace("{port}", str(port)) for part in self.command]
            own = {**environment, **self.environment, "PORT": str(port)}
            log = processes.scratch / "log"
            began = time.monotonic()
            process = processes.start(self.name, command, own, log=log, directory=ROOT)
            self._wait(port, process.pid, log)
            wall = time.monotonic() - began
            return Start(
                cpu=cpu_seconds(process.pid),
                wall=wall,
                bytes=resident_bytes(process.pid),
                modules=log.read_text(errors="replace").count("import time: "),
            )

    def _wait(self, port: int, pid: int, log: Path) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                method = "GET" if self.body is None else "POST"
                probes.ask(
                    f"http://{HOST}:{port}{self.path}",
                    method=method,
                    body=self.body,
                    content_type="application/json",
                    seconds=_PATIENCE_SECONDS,
                )
                return
            except probes.NotReady as error:
                if time.monotonic() > deadline or not Path(f"/proc/{pid}").exists():
                    raise RuntimeError(f"{self.name}: {error}\n{log.read_text()[-2000:]}") from error
            time.sleep(_POLL_SECONDS)


def start() -> str:
    """Measure, and return the section of the report. Raises LocalError."""
    with Stack(port=0, table=API_TABLE).running() as env, as_in_the_image(env) as environment:
        found = [(program, measured(program, environment)) for program in programs()]
    return _section(found)


def measured(program: Program, environment: Mapping[str, str]) -> Start:
    """Return the medians of some starts, and the number of modules of another one."""
    # The first one reads files that the others find in memory.
    program.started(environment)
    starts = [program.started(environment) for _ in range(ROUNDS)]
    counted = program.started({**environment, "PYTHONPROFILEIMPORTTIME": "1"})
    return Start(
        cpu=statistics.median(row.cpu for row in starts),
        wall=statistics.median(row.wall for row in starts),
        bytes=int(statistics.median(row.bytes for row in starts)),
        modules=counted.modules,
    )


def programs() -> Iterator[Program]:
    """Yield the API and each function."""
    [arguments] = [text for name, text in instructions(ROOT / "run/api/Dockerfile") if name == "CMD"]
    yield Program(
        name="API",
        command=[sys.executable, "-m", *json.loads(arguments)],
        path="/version",
        body=None,
        environment={},
        goal=API_GOAL,
    )
    for name in ENTRY_POINTS:
        yield Program(
            name=name,
            command=[
                *(sys.executable, "-m", "functions_framework", f"--target={name}"),
                *("--source=functions/main.py", f"--host={HOST}"),
            ],
            path="/",
            body=_REQUEST,
            # As many as requests at once, in `terraform/functions.tf`; each starts with its first request.
            environment={"THREADS": "4"},
            goal=FUNCTION_GOAL,
        )


@contextmanager
def as_in_the_image(env: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield the environment of a process that finds no packages but those of the image."""
    own = {**base_environment(os.environ), **env, "MALLOC_ARENA_MAX": "2"}
    absent = {name for name in packages_distributions() if not is_locked(name)}
    with TemporaryDirectory(prefix="dss-start-") as directory:
        Path(directory, "sitecustomize.py").write_text(_REFUSAL.format(names=sorted(absent)))
        own["PYTHONPATH"] = os.pathsep.join((directory, own.get("PYTHONPATH", "")))
        yield own


def _section(found: Sequence[tuple[Program, Start]]) -> str:
    rows = [
        f"| {program.name} | {row.cpu:.2f} | {program.goal:.1f} | {row.wall:.2f} | {row.modules:,} "
        f"| {row.bytes / 2**20:.0f} |"
        for program, row in found
    ]
    return "\n".join(
        [
            "## Cold starts",
            "",
            f"From exec to the first answer: medians of {ROUNDS} starts, with bytecode, files in memory, and",
            "the packages of the image only. CPU is that of gunicorn and its worker, in user and kernel;",
            "memory is theirs (PSS). The API answers GET /version, as Cloud Run's startup probe asks. A",
            "function answers its first POST, for which it asks Firestore whether it is stopped. What",
            "`sweep` and `compact` do in an empty system is in their figures.",
            "",
            "| | CPU s | goal | clock s | modules | MiB |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
            *rows,
            "",
        ]
    )
