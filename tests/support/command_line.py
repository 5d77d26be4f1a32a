"""The `dss` command as a process of its own, as people start it."""

import functools
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.source_tree import python_path
from local.supervisor import forkserver
from local.supervisor.processes import Processes, with_default_signals

DSS = [sys.executable, "-m", "dss.commands.main"]


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What `--json` printed: one object and nothing else."""
        return json.loads(self.out)


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with `env` over it, and nothing of another DSS in it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DSS_")}
    # Profiles and logins of who runs the tests are no part of them.
    return {"XDG_CONFIG_HOME": os.devnull, **clean, "PYTHONPATH": python_path(), **env}


def start(env: Mapping[str, str], *arguments: object) -> "subprocess.Popen[str]":
    """Start `dss` with these arguments."""
    return subprocess.Popen(
        with_default_signals([*DSS, *map(str, arguments)]),
        env=environment(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def dss(env: Mapping[str, str], *arguments: object) -> Outcome:
    """Run `dss` with these arguments to its end, in a forked process: its imports take a second."""
    processes = _processes()
    with tempfile.TemporaryDirectory(dir=processes.scratch) as name:
        out, err = Path(name) / "out", Path(name) / "err"
        command = [*DSS, *map(str, arguments)]
        process = forkserver.start(
            processes, "dss", command, environment(env), log=out, errors=err, directory=Path.cwd()
        )
        ended = process.wait(240)
        processes.end(process, number=9)
        assert ended, f"dss {arguments} has not ended: {err.read_text()}"
        assert process.exit_code is not None
        return Outcome(process.exit_code, out.read_text(), err.read_text())


def dss_here(env: Mapping[str, str], *arguments: object) -> Outcome:
    """Run `dss` with these arguments in this process, at a tenth of the cost; nobody can interrupt it."""
    from dss.commands.main import run

    before, wanted = dict(os.environ), environment(env)
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    os.environ.clear()
    os.environ.update(wanted)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = run([*map(str, arguments)])
    finally:
        os.environ.clear()
        os.environ.update(before)
    return Outcome(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


@functools.cache
def _processes() -> Processes:
    return Processes()
