"""The proof that a store is small to add: directories as buckets, files as objects. No terraform uses it.

Content type and checksums are in an extended attribute, which belongs to the inode: `link` publishes it in
one step with the content. Keys that are a file and a directory at once (`a`, `a/b`) are refused.
"""

import contextlib
import errno
import json
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import IO

from shared import errors
from shared.stores.base import Reader, StoredObject
from shared.stores.parts_aside import new_id
from shared.stores.plain import Content, PlainStore
from shared.stores.signed_urls import SignedUrls

_ATTRIBUTE = "user.dss"
# The sticky bit, which Linux ignores on files: `find -perm -1000` finds the objects for the life cycle.
_TEMPORARY = stat.S_ISVTX
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_STEP = re.compile(r"(?!\.{1,2}\Z)[^/\0\ud800-\udfff]+")
_MEANINGS: Mapping[int, type[errors.DssError]] = {
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP), errors.ObjectNotFound),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), errors.AccessDenied),
    **dict.fromkeys((errno.ENAMETOOLONG, errno.ENOTSUP), errors.StoreError),
    errno.EEXIST: errors.ObjectExists,
}


class PosixDirectory(PlainStore):
    """Objects in files that are linked into place when they are whole, and never written to again."""

    scheme = "file"

    def __init__(self, root: Path, urls: SignedUrls) -> None:
        super().__init__(urls)
        self._root = root

    def _path(self, bucket: str, key: str) -> Path:
        steps = key.split("/")
        if not _BUCKET.fullmatch(bucket) or not all(map(_STEP.fullmatch, steps)):
            raise errors.StoreError(f"file://{bucket}/{key}: no file can have this name")
        return self._root.joinpath(bucket, *steps)

    @contextlib.contextmanager
    def translated(self, bucket: str, key: str) -> Iterator[None]:
        """Turn the operating system's errors into the house's."""
        try:
            yield
        except OSError as error:
            meaning = _MEANINGS.get(error.errno or 0, errors.Unavailable)
            raise meaning(f"file://{bucket}/{key}: {error.strerror}") from error

    def open(self, bucket: str, key: str, first: int = 0) -> tuple[StoredObject, FileIO]:
        """Describe a file by its attribute, and open it; symbolic links are no objects."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = FileIO(self._path(bucket, key), opener=lambda path, _: os.open(path, flags))
        file.seek(first)
        attributes, status = _attributes(file), os.fstat(file.fileno())
        written = datetime.fromtimestamp(status.st_mtime, UTC)
        etag = attributes.get("s3_etag", "-")
        return StoredObject(
            bucket=bucket,
            key=key,
            size=status.st_size,
            content_type=attributes.get("content_type", "application/octet-stream"),
            revision=f"{_stamp(file)}-{status.st_ino}",
            written=written,
            last_used=written if status.st_mode & _TEMPORARY else None,
            md5=None if "-" in etag else etag,
            crc32c=attributes.get("crc32c"),
        ), file

    def keys(self, bucket: str, prefix: str, after: str) -> Iterator[str]:
        """Yield the names of files below a bucket; the names of one directory are in memory at once."""
        return _keys(self._root / bucket, "", prefix, after)

    def write(self, bucket: str, key: str, content: Content) -> None:
        """Write a file under `uploads/`, sync it to disk, and only then link it to its key."""
        path, scratch = self._path(bucket, key), self._path(bucket, new_id())
        scratch.parent.mkdir(exist_ok=True)
        try:
            with scratch.open("xb") as file:
                file.writelines(content)
                file.flush()
                attributes = {"content_type": content.content_type, **vars(content.checksums)}
                _set_attributes(file, attributes, temporary=content.last_used is not None)
            _publish(scratch, path, directories=key.count("/") + 1)
        finally:
            scratch.unlink(missing_ok=True)

    def remove(self, bucket: str, key: str) -> None:
        """Remove a file; the directories above it stay."""
        self._path(bucket, key).unlink()

    def touch(self, found: StoredObject, content: Reader, last_used: datetime | None) -> None:
        """Set the file's time of modification, from which the life cycle counts, to now."""
        assert isinstance(content, FileIO)  # as `open` returned it
        # A kill within leaves a file without checksums, as if somebody had changed it.
        _set_attributes(content, _attributes(content), temporary=last_used is not None)

    def probe(self, bucket: str) -> None:
        """Return if the directory exists, on a file system with extended attributes."""
        try:
            os.getxattr(self._path(bucket, "any").parent, _ATTRIBUTE)
        except OSError as error:
            if error.errno != errno.ENODATA:
                raise


def _stamp(file: IO[bytes]) -> str:
    status = os.fstat(file.fileno())
    return f"{status.st_mtime_ns}-{status.st_size}"


def _set_attributes(file: IO[bytes], attributes: Mapping[str, str], *, temporary: bool) -> None:
    """Write a file's attribute, durably. Raises OSError if the file system has no attributes."""
    mode = os.fstat(file.fileno()).st_mode & ~_TEMPORARY
    os.fchmod(file.fileno(), mode | _TEMPORARY if temporary else mode)
    # The kernel's own stamps are milliseconds apart, and could be those of an earlier file of this name.
    os.utime(file.fileno(), ns=(time.time_ns(),) * 2)
    os.setxattr(file.fileno(), _ATTRIBUTE, json.dumps({**attributes, "written": _stamp(file)}).encode())
    os.fsync(file.fileno())


def _attributes(file: IO[bytes]) -> Mapping[str, str]:
    """Return a file's attributes; no checksums if it was changed since, or written by another program."""
    attributes: dict[str, str] = {}
    with contextlib.suppress(OSError):
        attributes = json.loads(os.getxattr(file.fileno(), _ATTRIBUTE))
    if attributes.get("written") == _stamp(file):
        return attributes
    return {name: attributes[name] for name in attributes if name == "content_type"}


def _publish(written: Path, path: Path, *, directories: int) -> None:
    """Link a file to its path, durably. Raises FileExistsError, and StoreError for a directory's path."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(written, path)
    except (FileExistsError, NotADirectoryError) as error:
        if path.is_dir() or not path.parent.is_dir():
            raise errors.StoreError(f"{path}: a file and a directory cannot have one name") from error
        raise
    for directory in path.parents[:directories]:
        # Also directories that another process made just now: the whole path has to survive a power cut.
        descriptor = os.open(directory, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def _keys(bucket: Path, folder: str, prefix: str, after: str) -> Iterator[str]:
    with contextlib.suppress(FileNotFoundError), os.scandir(bucket / folder) as entries:
        known = (entry for entry in entries if not entry.is_symlink() and _STEP.fullmatch(entry.name))
        for key in sorted(folder + entry.name + "/" * entry.is_dir() for entry in known):
            below = key.endswith("/") and (key.startswith(prefix) or prefix.startswith(key))
            if below and (key > after or after.startswith(key)):
                yield from _keys(bucket, key, prefix, after)
            elif not key.endswith("/") and key.startswith(prefix) and key > after:
                yield key
