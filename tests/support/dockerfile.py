"""Read a Dockerfile and `.dockerignore`, as far as this project uses their syntax."""

import re
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath


def instructions(path: Path) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile in order, each with its arguments on one line."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in joined.splitlines()]


def copied(path: Path) -> list[str]:
    """Return the paths that an image copies from its build directory."""
    copies = [arguments for name, arguments in instructions(path) if name == "COPY"]
    return [source for line in copies if not line.startswith("--from") for source in line.split()[:-1]]


def ignored(name: str, ignore_file: Path) -> bool:
    """Return whether Docker ignores a file: the last pattern that matches it or a parent decides."""
    path = PurePosixPath(name)
    candidates = [str(path), *(str(parent) for parent in path.parents if str(parent) != ".")]
    left_out = False
    for line in ignore_file.read_text().splitlines():
        pattern = line.removeprefix("!")
        if pattern and not pattern.startswith("#") and any(_matches(each, pattern) for each in candidates):
            left_out = not line.startswith("!")
    return left_out


def _matches(name: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatchcase(name.rsplit("/", 1)[-1], pattern.removeprefix("**/"))
    return name.count("/") == pattern.count("/") and fnmatchcase(name, pattern)
