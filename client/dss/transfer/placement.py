"""Where the files of a bundle go in a directory: at their names, if a file system can hold those.

A name is a key of an object store. A directory can't hold `a//b`, `a/`, a step of 300 bytes, or both `a` and
`a/b`: such a file goes to the nearest free path. And a file system that ignores case, or the Unicode form of
names, holds `Reads` and `reads` as one file: `Rehearsal` finds such pairs.
"""

import hashlib
import os
import shutil
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

# Linux, macOS, NTFS: a step of a path has at most 255 bytes or characters.
_LONGEST_STEP = 255
_LONGEST_EXTENSION = 16


def place(names: Collection[str], *, longest: int = _LONGEST_STEP) -> dict[str, str]:
    """Return a path for each name, its own if possible; no path is that of another, or a directory of one.

    `longest` is the limit of a step in bytes. The same names always get the same paths. Names that a bundle
    can't have (`/a`, `a/../b`) keep theirs.
    """
    # Of `a`, `a/b` and `a//b` only `a/b` keeps its name. `a` can't be a file beside it, and becomes `a~1`.
    # The nearest path of `a//b` is `a/b`, which is taken, so it becomes `a/b~1`.
    nearest = {name: _nearest(name, longest) for name in names if not leads_elsewhere(name)}
    exact = {name for name, path in nearest.items() if name == path}
    directories = {parent for name in exact for parent in _parents(name)}
    files = exact - directories
    paths = {name: name for name in names if name in files or name not in nearest}
    # Of files only: all files of a directory go to one directory.
    numbers: dict[str, int] = {}
    for name in sorted(set(nearest) - files):
        path = ""
        steps = nearest[name].split("/")
        for step in steps[:-1]:
            path = _free(path, step, longest, {}, files) + "/"
        path = _free(path, steps[-1], longest, numbers, files, directories)
        paths[name] = path
        files.add(path)
        directories.update(_parents(path))
    return paths


def leads_elsewhere(name: str) -> bool:
    """Return whether a name is not one within a directory: empty, absolute, or with a step `.` or `..`."""
    return not name or name.startswith("/") or not {".", ".."}.isdisjoint(name.split("/"))


def _nearest(name: str, longest: int) -> str:
    return "/".join(_shortened(step, longest) for step in name.split("/") if step)


def _parents(path: str) -> Iterator[str]:
    """Yield the directories of a path: `a` and `a/b` of `a/b/c`."""
    for position, character in enumerate(path):
        if character == "/":
            yield path[:position]


def _free(directory: str, step: str, longest: int, numbers: dict[str, int], *taken: Collection[str]) -> str:
    """Return a path that is not taken; `numbers` has the last number that each path was given."""
    nearest = path = directory + step
    number = numbers.get(nearest, 0)
    while any(path in paths for paths in taken):
        number += 1
        stem, extension = _split(step)
        path = directory + _shortened(f"{stem}~{number}{extension}", longest)
    numbers[nearest] = number
    return path


def _shortened(step: str, longest: int) -> str:
    """Return a step of at most `longest` bytes, in which a digest stands for what is cut out."""
    if len(step.encode("utf-8", "surrogatepass")) <= longest:
        return step
    stem, extension = _split(step)
    content = step.encode("utf-8", "surrogatepass")
    end = f"~{hashlib.sha256(content).hexdigest()[:8]}{extension}"
    room = longest - len(end.encode("utf-8", "surrogatepass"))
    return stem.encode("utf-8", "surrogatepass")[:room].decode("utf-8", "ignore") + end


def _split(step: str) -> tuple[str, str]:
    stem, dot, extension = step.rpartition(".")
    if not stem or len(extension.encode("utf-8", "surrogatepass")) > _LONGEST_EXTENSION:
        return step, ""
    return stem, dot + extension


def longest_step(directory: Path) -> int:
    """Return how many bytes a step of a path may have in a directory, which need not exist yet."""
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    try:
        return os.pathconf(existing, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # Windows, or a file system that does not say
        return _LONGEST_STEP


class Rehearsal:
    """Finds paths that are one file on a file system: it creates empty files in a scratch directory there."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch

    def collisions(self, paths: Iterable[str]) -> dict[str, str]:
        """Return each path that is the same file as another, or in its way, with that other path."""
        suspects = suspicious(paths)
        if not suspects:
            return {}
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir()
        try:
            return self._rehearse(suspects)
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _rehearse(self, paths: Iterable[str]) -> dict[str, str]:
        owners: dict[int, str] = {}
        pairs: dict[str, str] = {}
        for path in paths:
            target = self._scratch / path
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("x") as file:
                    owners[os.fstat(file.fileno()).st_ino] = path
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                other = self._occupant(target, owners)
                pairs[path] = other
                pairs.setdefault(other, path)
            except OSError:
                # The file system can't hold this name at all; its download says why.
                continue
        return pairs

    def _occupant(self, target: Path, owners: dict[int, str]) -> str:
        """Return the path of the file that is at a target or one of its directories, or below it."""
        depth = len(target.parts) - len(self._scratch.parts)
        for place in (*reversed(target.parents[: depth - 1]), target):
            if place.is_file():
                return owners[place.stat().st_ino]
        inside = min(path for path in target.rglob("*") if path.is_file())
        return owners[inside.stat().st_ino]


def suspicious(paths: Iterable[str]) -> list[str]:
    """Return the paths that may be the same file, or in the way of each other, on some file system."""
    by_key = defaultdict(set)
    directories = defaultdict(set)
    for path in paths:
        by_key[folded(path)].add(path)
        for parent in _parents(path):
            directories[folded(parent)].add(path)
    suspects: set[str] = set()
    for key, same in by_key.items():
        if len(same) > 1 or key in directories:
            suspects |= same | directories.get(key, set())
    return sorted(suspects)


def folded(path: str) -> str:
    """Return a key that is equal for all paths that any file system takes for one.

    It has no case, one Unicode form (ZFS can ignore even compatibility forms), and none of the dots and
    spaces that Windows cuts off at the end of a step.
    """
    folded = path.lower()
    if not path.isascii():
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())
    return "/".join(step.rstrip(". ") or step for step in folded.split("/"))
