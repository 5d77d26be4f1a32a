"""Files that hold objects: what they are called, what they say of themselves, how they come to be whole.

Content type and checksums are in one extended attribute, which belongs to the inode: `link` publishes it in
one step with the content, so that no kill can part the two, as it could part two files beside each other.
"""

import contextlib
import errno
import json
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from shared import errors
from shared.checksums import MIB, ChecksumCalculator, Checksums
from shared.clock import Deadline
from shared.stores.base import Reader, StoredObject
from shared.stores.streams import Sequential

# The directory of a bucket in which nothing is an object.
OWN = ".dss"
_ATTRIBUTE = "user.dss"
_CHUNK = 4 * MIB
# The sticky bit, which Linux heeds on directories only: `find -perm -1000` finds what the life cycle removes.
_TEMPORARY = stat.S_ISVTX
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_STEP = re.compile(r"(?!\.{1,2}\Z)[^/\0\ud800-\udfff]+")
_MEANINGS: Mapping[int, type[errors.DssError]] = {
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP), errors.ObjectNotFound),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), errors.AccessDenied),
    **dict.fromkeys((errno.ENAMETOOLONG, errno.ENOTSUP), errors.StoreError),
    errno.EEXIST: errors.ObjectExists,
}


@contextlib.contextmanager
def translated(bucket: str, key: str) -> Iterator[None]:
    """Turn the operating system's errors into those of the house; the only place that knows them."""
    try:
        yield
    except OSError as error:
        meaning = _MEANINGS.get(error.errno or 0, errors.Unavailable)
        raise meaning(f"file://{bucket}/{key}: {error.strerror}") from error


def path_of(root: Path, bucket: str, key: str) -> Path:
    """Return where an object is, always in its bucket. Raises StoreError for a key that no file can have."""
    steps = key.split("/")
    if not _BUCKET.fullmatch(bucket) or steps[0] == OWN or not all(map(_STEP.fullmatch, steps)):
        raise errors.StoreError(f"file://{bucket}/{key}: no file can have this name")
    return root.joinpath(bucket, *steps)


def opened(path: Path) -> FileIO:
    """Return a file, open; symbolic links are no objects. Raises OSError."""
    return FileIO(path, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK))


def described(file: FileIO, bucket: str, key: str) -> StoredObject:
    """Return what a file says of itself; no checksums where it was changed since, or written by others."""
    said = {}
    with contextlib.suppress(OSError):
        said = json.loads(os.getxattr(file.fileno(), _ATTRIBUTE))
    status = os.fstat(file.fileno())
    written = datetime.fromtimestamp(status.st_mtime, UTC)
    whole = said.get("written") == _stamp(status)
    etag = said.get("s3_etag", "-")
    return StoredObject(
        bucket=bucket,
        key=key,
        size=status.st_size,
        content_type=said.get("content_type", "application/octet-stream"),
        revision=f"{_stamp(status)}-{status.st_ino}",
        written=written,
        last_used=written if status.st_mode & _TEMPORARY else None,
        md5=etag if whole and "-" not in etag else None,
        crc32c=said["crc32c"] if whole else None,
    )


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns}-{status.st_size}"


def chunks(data: Reader, size: int, deadline: Deadline | None = None) -> Iterator[bytes]:
    """Yield the next `size` bytes, fewer where they end early. Raises CopyTakesLonger at the deadline."""
    while size > 0 and (chunk := data.read(min(size, _CHUNK))):
        if deadline and deadline.passed:
            raise errors.CopyTakesLonger("this file cannot be copied within one request")
        size -= len(chunk)
        yield chunk


def write(path: Path, content: Iterable[bytes], size: int) -> Checksums:
    """Write a new file and return its checksums. Raises Unavailable where the content ended early."""
    calculator = ChecksumCalculator(size)
    with path.open("xb") as file:
        for chunk in content:
            calculator.update(chunk)
            file.write(chunk)
        if file.tell() != size:
            raise errors.Unavailable(f"{path.name}: the content ended early")
        file.flush()
        os.fsync(file.fileno())
    return calculator.result()


def say(path: Path, content_type: str, checksums: Checksums) -> None:
    """Let a file that is written say what it is. Raises OSError where the file system keeps no attributes."""
    with path.open("rb") as file:
        # The kernel's own stamps are milliseconds apart, and could be those of what had this name before.
        os.utime(file.fileno(), ns=(time.time_ns(),) * 2)
        said = {"written": _stamp(os.fstat(file.fileno())), "content_type": content_type, **vars(checksums)}
        os.setxattr(file.fileno(), _ATTRIBUTE, json.dumps(said).encode())
        os.fsync(file.fileno())


def mark(path: Path, *, temporary: bool) -> None:
    """Let a file be one that the life cycle removes some days after its time of modification, or keeps."""
    mode = path.stat().st_mode
    path.chmod(mode | _TEMPORARY if temporary else mode & ~_TEMPORARY)


def touch(path: Path) -> None:
    """Let a file's time of modification be now, and the file vouch for its content as it did."""
    with path.open("rb") as file:
        said = json.loads(os.getxattr(file.fileno(), _ATTRIBUTE))
        os.utime(file.fileno(), ns=(time.time_ns(),) * 2)
        # A kill just here leaves a file that vouches for nothing, as if somebody had changed it.
        said["written"] = _stamp(os.fstat(file.fileno()))
        os.setxattr(file.fileno(), _ATTRIBUTE, json.dumps(said).encode())


def publish(written: Path, path: Path, bucket: Path) -> None:
    """Give a file its name for good, durable when this returns.

    Raises FileExistsError, and StoreError where a directory has the name or a file that of a directory above.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise errors.StoreError(f"{path}: a file has the name of a directory above") from error
    try:
        os.link(written, path)
    except FileExistsError as error:
        if path.is_dir():
            raise errors.StoreError(f"{path}: a directory has this name") from error
        raise
    for directory in path.parents[: len(path.parts) - len(bucket.parts)]:
        # Also those that somebody else made just now: all of the path has to outlive a power cut.
        descriptor = os.open(directory, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def keys(bucket: Path, folder: str, prefix: str, after: str) -> Iterator[str]:
    """Yield the keys of a bucket's folder, in order; the names of one directory are in memory at once."""
    with contextlib.suppress(FileNotFoundError), os.scandir(bucket / folder) as entries:
        known = (entry for entry in entries if not entry.is_symlink() and _STEP.fullmatch(entry.name))
        for key in sorted(folder + entry.name + "/" * entry.is_dir() for entry in known):
            if not key.endswith("/"):
                if key.startswith(prefix) and key > after:
                    yield key
            elif key != f"{OWN}/" and _may_hold(key, prefix, after):
                yield from keys(bucket, key, prefix, after)


def _may_hold(folder: str, prefix: str, after: str) -> bool:
    in_prefix = folder.startswith(prefix) or prefix.startswith(folder)
    return in_prefix and (folder > after or after.startswith(folder))


def check_attributes(bucket: Path) -> None:
    """Raise OSError where a directory is not there, or its file system keeps no attributes."""
    try:
        os.getxattr(bucket, _ATTRIBUTE)
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise


class FileRange(Sequential):
    """A range of a file, which it closes, and whose errors are the house's."""

    def __init__(self, file: FileIO, size: int, source: StoredObject) -> None:
        super().__init__(file, size)
        self._file = file
        self._source = source

    def read(self, size: int = -1, /) -> bytes:
        """Return up to so many of the next bytes."""
        with translated(self._source.bucket, self._source.key):
            return super().read(size)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
