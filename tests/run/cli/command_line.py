"""The `dss` command as a process of its own, as people start it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DSS = [sys.executable, "-m", "run.cli.main"]
ROOT = Path(__file__).resolve().parents[3]


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
    return {**clean, "PYTHONPATH": str(ROOT), **env}


def start(env: Mapping[str, str], *arguments: object) -> "subprocess.Popen[str]":
    """Start `dss` with these arguments."""
    return subprocess.Popen(
        [*DSS, *map(str, arguments)],
        env=environment(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def dss(env: Mapping[str, str], *arguments: object) -> Outcome:
    """Run `dss` with these arguments to its end."""
    process = start(env, *arguments)
    out, err = process.communicate(timeout=240)
    return Outcome(process.returncode, out, err)
