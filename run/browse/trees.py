"""The files of a bundle as a tree: one folder of it at a time, read in one pass over names in order."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from shared.catalog import PagedFile


@dataclass
class Entry:
    """A file of a folder, or a folder in it, with how many files are in that and their size in bytes."""

    name: str
    path: str
    file: PagedFile | None = None
    files: int = 0
    size: int = 0


@dataclass
class Folder:
    """Some entries of a folder, how many it has in all, and how many files and bytes are below it."""

    entries: list[Entry] = field(default_factory=list)
    total: int = 0
    files: int = 0
    size: int = 0


def folder_of(files: Iterable[PagedFile], path: str, start: int, count: int) -> Folder:
    """Return up to `count` entries of a folder from number `start` on.

    `path` is empty, or ends with `/`; files come in order of name. Memory is that of the entries.
    """
    found = Folder()
    last = None
    for file in files:
        if not file.name.startswith(path):
            continue
        found.files += 1
        found.size += file.size
        rest = file.name[len(path) :]
        # `a/` is the name of a file, too.
        step, slash, below = rest.partition("/")
        name = f"{step}/" if slash and below else rest
        is_folder = bool(slash and below)
        if not (is_folder and last is not None and last.file is None and last.name == name):
            last = Entry(name, f"{path}{name}", None if is_folder else file)
            if start <= found.total < start + count:
                found.entries.append(last)
            found.total += 1
        last.files += 1
        last.size += file.size
    return found


@dataclass(frozen=True)
class Change:
    """A name of which two versions of a bundle have different files; None where there is none."""

    name: str
    old: PagedFile | None
    new: PagedFile | None

    @property
    def kind(self) -> str:
        """What has become of the name."""
        if self.old is None:
            return "added"
        if self.new is None:
            return "removed"
        return "changed" if self.old.sha256 != self.new.sha256 else "same content, another version"


def changes_of(old: Iterable[PagedFile], new: Iterable[PagedFile]) -> Iterator[Change]:
    """Yield what has changed between two versions, in order of name, in which their files come."""
    left, right = iter(old), iter(new)
    before, after = next(left, None), next(right, None)
    while before or after:
        if after is None or (before and before.name.encode() < after.name.encode()):
            assert before
            yield Change(before.name, before, None)
            before = next(left, None)
        elif before is None or after.name.encode() < before.name.encode():
            yield Change(after.name, None, after)
            after = next(right, None)
        else:
            if (before.uuid, before.version) != (after.uuid, after.version):
                yield Change(after.name, before, after)
            before, after = next(left, None), next(right, None)


def parents_of(path: str) -> list[tuple[str, str]]:
    """Return the name and the path of each folder on the way to one."""
    steps = path.split("/")[:-1]
    return [(f"{step}/", "/".join(steps[: number + 1]) + "/") for number, step in enumerate(steps)]
