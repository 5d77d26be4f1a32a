"""The file that tells tools where everything is: `export NAME=value`, one a line, for sh to source."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path


def write(path: Path, environment: Mapping[str, str]) -> None:
    """Write the file in one step: a reader sees all of it or nothing. It holds tokens: owner only (0600)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()))
    draft.replace(path)


def read(path: Path) -> dict[str, str]:
    """Return what the file exports. Raises OSError, or ValueError where it is not ours."""
    environment = {}
    for line in path.read_text().splitlines():
        words = shlex.split(line)
        if len(words) != 2 or words[0] != "export" or "=" not in words[1]:
            raise ValueError(f"{path}: not a line of an environment file: {line!r}")
        name, _, value = words[1].partition("=")
        environment[name] = value
    return environment
