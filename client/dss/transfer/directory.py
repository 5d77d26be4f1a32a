"""The files of a directory that becomes a bundle."""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from dss.errors import ContentChanged, InvalidInput
from dss.identifiers import check_file_name


@dataclass(frozen=True)
class Stamp:
    """What the file system says about a file's content without reading it.

    `cp -p`, `rsync -t` and `touch` can set any mtime, but not the ctime, which every write, chmod and rename
    changes; and a file that replaces another has a new inode.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Stamp":
        """Return the stamp in the status of a file."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


@dataclass(frozen=True, kw_only=True)
class LocalFile:
    """A file as it was when the directory was read."""

    name: str
    path: Path
    stamp: Stamp

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self.stamp.size

    def check_unchanged(self) -> None:
        """Raise ContentChanged if the file is not what it was."""
        if Stamp.of(self.path.stat()) != self.stamp:
            raise ContentChanged(f"{self.path} changed while it was being read")


def scan(
    directory: Path,
    exclude: Sequence[str] = (),
    *,
    follow_links: bool = False,
    on_empty_directory: Callable[[str], None] | None = None,
) -> list[LocalFile]:
    """Return the files under a directory, by name; `exclude` holds globs of names to leave out.

    Calls `on_empty_directory` with the name of each empty directory, which a bundle can't hold. Follows
    symbolic links that stay inside, and with `follow_links` those that lead outside. Raises InvalidInput,
    which names every file that a bundle can't hold, and if there are no files.
    """
    if not directory.is_dir():
        raise InvalidInput(f"{directory} is not a directory")
    walk = _Walk(directory.resolve(), exclude, follow_links, on_empty_directory)
    found = sorted(walk.files(walk.root, "", (walk.root,)), key=lambda file: file.name)
    if walk.problems:
        listed = "\n  ".join(walk.problems)
        raise InvalidInput(f"{len(walk.problems)} of the files in {directory} can't be uploaded:\n  {listed}")
    if not found:
        raise InvalidInput(f"{directory} holds no files")
    return found


class _Walk:
    def __init__(
        self,
        root: Path,
        exclude: Sequence[str],
        follow_links: bool,
        on_empty_directory: Callable[[str], None] | None,
    ) -> None:
        self.root = root
        self.problems: list[str] = []
        self._exclude = exclude
        self._follow_links = follow_links
        self._on_empty_directory = on_empty_directory

    def files(self, folder: Path, prefix: str, ancestors: tuple[Path, ...]) -> Iterator[LocalFile]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            self.problems.append(f"{prefix or folder}: {error.strerror}")
            return
        if prefix and not entries and self._on_empty_directory:
            self._on_empty_directory(prefix)
        for entry in entries:
            name = prefix + entry.name
            if any(fnmatchcase(name, glob) for glob in self._exclude):
                continue
            try:
                yield from self._entry(Path(entry.path), name, ancestors)
            except InvalidInput as error:
                self.problems.append(str(error))
            except OSError as error:
                self.problems.append(f"{name!r}: {error.strerror}")

    def _entry(self, path: Path, name: str, ancestors: tuple[Path, ...]) -> Iterator[LocalFile]:
        if path.is_symlink():
            self._check_link(path, name, ancestors)
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            yield from self.files(path, name + "/", (*ancestors, path.resolve()))
            return
        if not stat.S_ISREG(status.st_mode):
            raise InvalidInput(f"{name!r} is neither a file nor a directory")
        check_file_name(name)
        if not os.access(path, os.R_OK):
            raise InvalidInput(f"{name!r} can't be read")
        yield LocalFile(name=name, path=path, stamp=Stamp.of(status))

    def _check_link(self, path: Path, name: str, ancestors: tuple[Path, ...]) -> None:
        try:
            target = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise InvalidInput(f"{name!r} is a symbolic link to a file that does not exist") from error
        if not target.is_relative_to(self.root) and not self._follow_links:
            raise InvalidInput(
                f"{name!r} is a symbolic link to outside the directory; "
                "--follow-links uploads what it leads to"
            )
        if target in ancestors:
            raise InvalidInput(f"{name!r} is a symbolic link to a directory that contains it")
