"""Compare the files of a bundle version with a directory, or with another version: by size and sha256."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dss.errors import InvalidInput
from dss.listing import BundleFile
from dss.progress import Progress
from dss.stopping import StoppableClock
from dss.transfer.fetching import sha256_of
from dss.transfer.names import WORK_DIRECTORY, is_safe
from dss.transfer.parallel import for_each
from dss.transfer.placement import longest_step, place


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The names of files by what became of them from `old` to `new`, in order."""

    old: str
    new: str
    added: Sequence[str]
    removed: Sequence[str]
    changed: Sequence[str]
    same: int

    @property
    def equal(self) -> bool:
        """Whether both hold the same files under the same names."""
        return not (self.added or self.removed or self.changed)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        rows = {"added": self.added, "removed": self.removed, "changed": self.changed}
        named = {"old": self.old, "new": self.new, "same": self.same, "equal": self.equal}
        return {**named, **{kind: list(names) for kind, names in rows.items()}}


def compare(old: str, before: Mapping[str, str], new: str, after: Mapping[str, str]) -> Comparison:
    """Compare two sets of files, each by name with a text that is equal for equal content only."""
    both = before.keys() & after.keys()
    changed = sorted(name for name in both if before[name] != after[name])
    return Comparison(
        old=old,
        new=new,
        added=sorted(after.keys() - before.keys()),
        removed=sorted(before.keys() - after.keys()),
        changed=changed,
        same=len(both) - len(changed),
    )


def content_of(files: Sequence[BundleFile]) -> dict[str, str]:
    """Return the sha256 of each file of a bundle, by name."""
    return {file.name: file.sha256 for file in files}


def content_in(
    directory: Path,
    files: Sequence[BundleFile],
    *,
    jobs: int = 8,
    clock: StoppableClock,
    progress: Progress,
) -> dict[str, str]:
    """Return a text for the content of each file in a directory, by its name in the bundle that has `files`.

    It is the sha256 of a file of the size that the bundle says; others differ, and are not read. Names that a
    directory can't hold are looked for where a download puts them. Raises InvalidInput if there is no
    directory.
    """
    if not directory.is_dir():
        raise InvalidInput(f"{directory} is not a directory")
    paths = place([file.name for file in files], longest=longest_step(directory))
    by_path = {paths[file.name]: file for file in files if is_safe(paths[file.name])}
    content: dict[str, str] = {}
    sizes = {path: (directory / path).stat().st_size for path in _files_in(directory)}
    readable = [path for path, size in sizes.items() if path in by_path and size == by_path[path].size]
    phase = progress.phase("verify", items=len(readable), size=sum(sizes[path] for path in readable))

    def read(path: str) -> None:
        content[by_path[path].name] = sha256_of(directory / path, clock, phase)
        phase.advance(items=1)

    for_each(readable, read, jobs=jobs, clock=clock)
    for path, size in sizes.items():
        name = by_path[path].name if path in by_path else path
        content.setdefault(name, f"{size} bytes")
    return content


def _files_in(directory: Path) -> Iterator[str]:
    """Yield the paths of files below a directory, as a bundle writes them.

    Also of those behind links, which an upload follows; but what an upload refuses is to be seen here, too.
    """
    for parent, folders, names in os.walk(directory, followlinks=True):
        inside = Path(parent)
        folders[:] = [folder for folder in folders if not _is_loop(inside / folder, directory)]
        if inside == directory and WORK_DIRECTORY in folders:
            folders.remove(WORK_DIRECTORY)
        for name in names:
            path = inside / name
            if path.is_file():
                yield path.relative_to(directory).as_posix()


def _is_loop(folder: Path, directory: Path) -> bool:
    """Return whether a path below a directory is a link to a directory that contains it."""
    if not folder.is_symlink():
        return False
    above = (parent for parent in folder.parents if parent.is_relative_to(directory))
    return folder.resolve() in {parent.resolve() for parent in above}
