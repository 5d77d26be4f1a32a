"""Open a file of a bundle as Python opens a file on disk, without a copy of it on disk."""

import io
from typing import Any

from dss.api import bundles
from dss.api.session import Session
from dss.errors import InvalidInput, NoSuchName
from dss.listing import BundleFile
from dss.reading import RemoteFile, SequentialCheck
from dss.references import Reference

# On the way to a store, a request of so many bytes takes about as long as one of a single byte.
_LEAST_BYTES = 64 * 1024
_MOST_AHEAD = 8 * 1024 * 1024
_MODES = {"rb": False, "r": True, "rt": True}


def is_text(mode: str) -> bool:
    """Return whether a mode is for text. Raises InvalidInput for one that is not for reading."""
    if mode not in _MODES:
        why = "a bundle never changes, so its files are read only"
        raise InvalidInput(f"mode: {mode!r} is neither 'rb' nor 'r'; {why}")
    return _MODES[mode]


def find_file(session: Session, bundle: Reference) -> RemoteFile:
    """Return the file that a reference names, by its exact name, within its bundle.

    Asks for no more pages of the bundle than it takes to find it. Raises CallFailed, and NoSuchName, which
    suggests names, if the bundle has no such file.
    """
    if bundle.name is None:
        raise InvalidInput(f"{bundle} names a bundle; give the name of one of its files, too")
    names: list[str] = []
    for page in bundles.bundle_pages(session, bundle.uuid, bundle.version, presigned=False, direct=False):
        for row in page["files"]:
            if row["name"] == bundle.name:
                return RemoteFile(session, row)
            names.append(str(row["name"]))
    raise NoSuchName.of(bundle.fqid, bundle.name, names)


def remote_of(session: Session, file: BundleFile) -> RemoteFile:
    """Return the bytes of a file that was listed."""
    row = {"uuid": file.uuid, "version": file.version, "size": file.size, "sha256": file.sha256}
    return RemoteFile(session, row)


def open_binary(remote: RemoteFile) -> io.BufferedReader:
    """Return a file object over the bytes of a remote file: readable, seekable, closed by `with`."""
    return io.BufferedReader(_Ranges(remote))


def open_text(
    remote: RemoteFile, *, encoding: str, errors: str | None, newline: str | None
) -> io.TextIOWrapper:
    """Return a file object over the text of a remote file; arguments as those of Python's `open`."""
    return io.TextIOWrapper(open_binary(remote), encoding=encoding, errors=errors, newline=newline)


class _Ranges(io.RawIOBase):
    """Reads ranges as they are asked for, and further ahead the longer the reads follow each other.

    The last read of a file that is read from its beginning to its end raises WrongContent unless the sha256
    is right.
    """

    def __init__(self, remote: RemoteFile) -> None:
        super().__init__()
        self._remote = remote
        self._check = SequentialCheck(remote.content)
        self._position = 0
        self._held_from = 0
        self._held = b""
        self._ahead = _LEAST_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position; a request is made only when something is read there."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._remote.size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from the current position on; return how many bytes, 0 at the end."""
        data = self._bytes_at(self._position, len(buffer))
        buffer[: len(data)] = data
        self._moved(data)
        return len(data)

    def readall(self) -> bytes:
        """Return all bytes from the current position on, by one request."""
        data = self._remote.read(self._position, self._remote.size)
        self._moved(data)
        return data

    def _moved(self, data: bytes) -> None:
        self._check.saw(self._position, data)
        self._position += len(data)

    def _bytes_at(self, start: int, size: int) -> bytes:
        """Return at most `size` bytes, from what is held, or else from what is fetched then."""
        if size == 0 or start >= self._remote.size:
            return b""
        held_end = self._held_from + len(self._held)
        if not self._held_from <= start < held_end:
            follows = start == held_end
            self._ahead = min(2 * self._ahead, _MOST_AHEAD) if follows else _LEAST_BYTES
            self._held = self._remote.read(start, start + max(size, self._ahead))
            self._held_from = start
        offset = start - self._held_from
        return self._held[offset : offset + size]
