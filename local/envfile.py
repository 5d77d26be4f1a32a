"""The environment file of a running system, for sh to source: lines `export NAME=value`."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path


def write(path: Path, environment: Mapping[str, str]) -> None:
    """Write the file atomically, readable by its owner only (0600): it holds tokens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()))
    draft.replace(path)


def read(path: Path) -> dict[str, str]:
    """Return the variables that the file exports. Raises OSError; ValueError if it is not such a file."""
    environment = {}
    for line in path.read_text().splitlines():
        words = shlex.split(line)
        if len(words) != 2 or words[0] != "export" or "=" not in words[1]:
            raise ValueError(f"{path}: not a line of an environment file: {line!r}")
        name, _, value = words[1].partition("=")
        environment[name] = value
    return environment
