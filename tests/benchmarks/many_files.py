"""10,000 small files up and down by `dss`, on both replicas."""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.components import API_TABLE
from local.stack import Stack
from tests.support.clouds import REPLICAS
from tests.support.command_line import DSS, environment

FILES = 10_000
_BYTES = 2048
_DIRECTORIES = 100
_TIMEOUT_SECONDS = 3600
# Prints the most memory that a command had, in KiB, behind its own output.
_MEASURED = (
    "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:]); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(done.returncode)"
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One command: how long it took, in seconds, and the most memory that it had, in bytes."""

    replica: str
    what: str
    seconds: float
    memory: int
    output: str

    @property
    def row(self) -> str:
        """A row of the report."""
        figures = f"{self.seconds:.1f} | {FILES / self.seconds:,.0f} | {self.memory / 1024**2:.0f} MiB"
        return f"| {self.replica} | {self.what} | {figures} |"


def many_files() -> str:
    """Measure, and return the section of the report. Raises LocalError, CalledProcessError."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name, Stack(port=0, table=API_TABLE).running() as env:
        directory = Path(name)
        _fill(directory / "data")
        runs = [run for replica in REPLICAS for run in _round_trip(env, directory, replica)]
    rows = "\n".join(run.row for run in runs)
    return f"""\
## {FILES:,} files

`dss upload` and `dss download` of {FILES:,} files of {_BYTES:,} bytes in {_DIRECTORIES} directories, with
default options, and each again when there is nothing left to do. Load average before: {load:.1f}.

| replica | command | seconds | files/s | most memory |
| --- | --- | --- | --- | --- |
{rows}
"""


def _fill(directory: Path) -> None:
    content = random.Random(13)
    for number in range(FILES):
        path = directory / f"{number % _DIRECTORIES:02d}" / f"{number:05d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.randbytes(_BYTES))


def _round_trip(env: Mapping[str, str], directory: Path, replica: str) -> list[Run]:
    data, copy = directory / "data", directory / f"copy-{replica}"
    cached = {**env, "XDG_CACHE_HOME": str(directory / "cache")}
    upload = ("upload", data, "--replica", replica)
    first = _run(cached, replica, "upload", *upload)
    runs = [first, _run(cached, replica, "upload again", *upload)]
    fqid = first.output.split()[0]
    download = ("download", fqid, "--replica", replica, "--to", copy)
    runs += [_run(cached, replica, what, *download) for what in ("download", "download again")]
    subprocess.run(["diff", "-r", str(data), str(copy)], check=True)
    return runs


def _run(env: Mapping[str, str], replica: str, what: str, *arguments: Any) -> Run:
    command = [sys.executable, "-c", _MEASURED, *DSS, *map(str, arguments)]
    began = time.monotonic()
    done = subprocess.run(
        command,
        env=environment(env),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=_TIMEOUT_SECONDS,
    )
    seconds = time.monotonic() - began
    *output, memory = done.stdout.strip().splitlines()
    run = Run(
        replica=replica, what=what, seconds=seconds, memory=int(memory) * 1024, output="\n".join(output)
    )
    print(run.row, flush=True)
    return run
