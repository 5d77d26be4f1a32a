"""Clients of DRS by others, as users have them: `make test-clients` installs them."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Seconds, for one run: their imports alone may take half a minute on a busy machine.
TIMEOUT = 240
PROGRAMS = Path(sys.prefix) / "drs-clients" / "bin"


class ToolFailed(Exception):
    """A program ended with an exit code other than 0; the message is its output."""


class DrsTools:
    """Runs programs with a home of their own; `certificate` is that of the servers they talk to by TLS."""

    def __init__(self, home: Path, env: Mapping[str, str], certificate: Path | None = None) -> None:
        self.home = home
        self._env = {
            "PATH": f"{PROGRAMS}:/usr/bin:/bin",
            "HOME": str(home),
            **{name: env[name] for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT")},
            "GOOGLE_APPLICATION_CREDENTIALS": env["DSS_LOCAL_SERVICE_ACCOUNT_KEY_FILE"],
            **({"REQUESTS_CA_BUNDLE": str(certificate)} if certificate else {}),
        }

    def run(self, program: str, *arguments: object, **env: str) -> str:
        """Return what a program printed. Raise ToolFailed."""
        words = [str(PROGRAMS / program), *map(str, arguments)]
        done = subprocess.run(
            words,
            env={**self._env, **env},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        if done.returncode != 0:
            raise ToolFailed(f"{done.returncode}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return done.stdout

    def python(self, source: str, *arguments: object, **env: str) -> Any:
        """Return what a program in Python printed as the last line, as JSON."""
        return json.loads(self.run("python", "-c", source, *arguments, **env).splitlines()[-1])
