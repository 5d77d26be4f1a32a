"""Directories of a POSIX file system behind the `ObjectStore` protocol.

A bucket is a directory under the root, an object a plain file at its key, for users and rsync to read. What
is being written is in `.dss` of its bucket, and so is what killed processes left. Keys that are a file and a
directory at once (`a`, `a/b`) are refused; symbolic links are no objects.
"""

import contextlib
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from io import FileIO
from pathlib import Path

from shared.checksums import Checksums, part_count
from shared.clock import Deadline
from shared.errors import InvalidChecksum, ObjectChanged, ObjectExists, ObjectNotFound, StoreError
from shared.stores import posix_files
from shared.stores.base import Piece, Reader, StoredObject, UnfinishedUpload, Upload, UploadName
from shared.stores.posix_files import FileRange, chunks, translated
from shared.stores.posix_urls import SignedUrls

_UPLOAD = re.compile(r"[0-9a-f]{32}")


class PosixDirectory:
    """Objects in files that are linked into place once they are whole, and never written to again."""

    scheme = "file"
    copies_in_parts = True
    parts_prefix = ""

    def __init__(self, root: Path, urls: SignedUrls) -> None:
        self._root = root
        self.urls = urls

    def _path(self, bucket: str, key: str) -> Path:
        return posix_files.path_of(self._root, bucket, key)

    def open(self, bucket: str, key: str) -> tuple[FileIO, StoredObject]:
        """Return an object's file, and what it says of itself. Raises as `stat` does."""
        with translated(bucket, key):
            file = posix_files.opened(self._path(bucket, key))
            return file, posix_files.described(file, bucket, key)

    def stat(self, bucket: str, key: str) -> StoredObject:
        """Return what a file says of itself."""
        file, found = self.open(bucket, key)
        file.close()
        return found

    def tags(self, bucket: str, key: str) -> Mapping[str, str]:
        """Return nothing, of an object that is there: files have no tags."""
        self.stat(bucket, key)
        return {}

    def list(self, bucket: str, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """Yield the files under a prefix, in order."""
        self.check_bucket(bucket)
        with translated(bucket, prefix):
            for key in posix_files.keys(self._root / bucket, "", prefix, after):
                with contextlib.suppress(ObjectNotFound):
                    yield self.stat(bucket, key)

    def read(self, source: StoredObject, first: int, size: int) -> Reader:
        """Return a reader of a range; what it reads stays, whatever becomes of the file's name."""
        file, found = self.open(source.bucket, source.key)
        if found.revision != source.revision:
            file.close()
            raise ObjectChanged(f"file://{source.bucket}/{source.key}: it was replaced meanwhile")
        file.seek(first)
        return FileRange(file, size, source)

    def create(self, bucket: str, key: str, data: bytes, content_type: str) -> None:
        """Write a new object. Raises ObjectExists where there is one."""
        self._create(bucket, key, [data], len(data), content_type)

    def create_from(
        self, bucket: str, key: str, data: Reader, *, size: int, content_type: str, checksums: Checksums
    ) -> None:
        """Write a new object as it is read; it gets its name only when all four checksums are proved."""
        self._create(bucket, key, chunks(data, size), size, content_type, checksums)

    def _create(
        self,
        bucket: str,
        key: str,
        content: Iterable[bytes],
        size: int,
        content_type: str,
        claimed: Checksums | None = None,
        *,
        temporary: bool = False,
    ) -> None:
        path = self._path(bucket, key)
        with translated(bucket, key), self._scratch(bucket) as scratch:
            found = posix_files.write(scratch, content, size)
            if claimed not in (None, found):
                raise InvalidChecksum(f"file://{bucket}/{key}: {claimed} is claimed, the content has {found}")
            posix_files.say(scratch, content_type, found)
            posix_files.mark(scratch, temporary=temporary)
            posix_files.publish(scratch, path, self._root / bucket)

    @contextlib.contextmanager
    def _scratch(self, bucket: str) -> Iterator[Path]:
        """Name a file in which something may be written that is gone, by this name, at the end."""
        scratch = self._own(bucket) / uuid.uuid4().hex
        try:
            yield scratch
        finally:
            scratch.unlink(missing_ok=True)

    def _own(self, bucket: str) -> Path:
        own = self._path(bucket, "any").with_name(posix_files.OWN)
        own.mkdir(exist_ok=True)
        return own

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object; the directories above it stay."""
        with contextlib.suppress(ObjectNotFound), translated(bucket, key):
            self._path(bucket, key).unlink()

    def copy(
        self,
        source: StoredObject,
        bucket: str,
        key: str,
        *,
        checksums: Checksums,
        deadline: Deadline,
        last_used: datetime | None = None,
    ) -> None:
        """Copy an object as `create_from` writes one."""
        source.check(checksums)
        with contextlib.closing(self.read(source, 0, source.size)) as data:
            with contextlib.suppress(ObjectNotFound):
                self.stat(bucket, key)
                return
            content = chunks(data, source.size, deadline)
            with contextlib.suppress(ObjectExists):
                self._create(
                    bucket,
                    key,
                    content,
                    source.size,
                    source.content_type,
                    checksums,
                    temporary=last_used is not None,
                )

    def renew(self, found: StoredObject, last_used: datetime | None) -> None:
        """Let the file's time of modification, by which the life cycle counts, be now."""
        path = self._path(found.bucket, found.key)
        try:
            self.read(found, 0, 0).close()
        except ObjectNotFound as error:
            raise ObjectChanged(f"{error.title}: it was deleted meanwhile") from error
        with translated(found.bucket, found.key):
            posix_files.mark(path, temporary=last_used is not None)
            posix_files.touch(path)

    def copy_more(
        self,
        source: StoredObject,
        bucket: str,
        key: str,
        *,
        checksums: Checksums,
        token: str,
        last_used: datetime | None = None,
    ) -> str:
        """Raise StoreError: large files are copied in parts."""
        raise StoreError(f"file://{source.bucket}/{source.key}: large files are copied in parts")

    def join(self, bucket: str, pieces: Sequence[Piece], key: str, *, content_type: str) -> None:
        """Write the pieces one after the other, as `create` writes one."""
        size = sum(piece.size for piece in pieces)
        self._create(bucket, key, self._joined(bucket, pieces), size, content_type)

    def _joined(self, bucket: str, pieces: Sequence[Piece]) -> Iterator[bytes]:
        for piece in pieces:
            found = self.stat(bucket, piece.key)
            if found.size != piece.size:
                raise ObjectChanged(f"file://{bucket}/{piece.key}: {found.size} bytes, not {piece.size}")
            with contextlib.closing(self.read(found, 0, found.size)) as data:
                yield from chunks(data, found.size)

    def begin_upload(
        self, bucket: str, key: str, *, size: int, content_type: str, last_used: datetime | None = None
    ) -> Upload:
        """Begin an upload whose parts are files of a directory in `.dss`."""
        upload = Upload(
            bucket=bucket,
            key=key,
            size=size,
            content_type=content_type,
            id=uuid.uuid4().hex,
            last_used=last_used,
        )
        with translated(bucket, key):
            self._path(bucket, key)
            self._parts_of(upload).mkdir()
        return upload

    def _parts_of(self, upload: UploadName) -> Path:
        if not _UPLOAD.fullmatch(upload.id):
            raise ObjectNotFound(f"file://{upload.bucket}/{upload.key}: there is no such upload")
        return self._own(upload.bucket) / upload.id

    def put_part(self, upload: Upload, number: int, data: Reader, size: int) -> None:
        """Write a part, durable when this returns. Raises Unavailable where the reader ends early."""
        with translated(upload.bucket, upload.key), self._scratch(upload.bucket) as scratch:
            posix_files.write(scratch, chunks(data, size), size)
            scratch.replace(self._parts_of(upload) / f"{number:05d}")

    def copy_part(self, upload: Upload, number: int, source: StoredObject, first: int, size: int) -> None:
        """Write a part from a range of a file."""
        with contextlib.closing(self.read(source, first, size)) as data:
            self.put_part(upload, number, data, size)

    def parts(self, upload: Upload) -> Mapping[int, int]:
        """Return the size of each part that is there."""
        with translated(upload.bucket, upload.key):
            return {int(part.name): part.stat().st_size for part in self._parts_of(upload).iterdir()}

    def finish_upload(self, upload: Upload, checksums: Checksums) -> None:
        """Write the parts into one file, proved as `create_from` proves it. Reads and writes all of it."""
        sizes = self.parts(upload)
        if sorted(sizes) != list(range(1, part_count(upload.size) + 1)):
            raise StoreError(f"file://{upload.bucket}/{upload.key}: parts are missing")
        if sum(sizes.values()) != upload.size:
            raise InvalidChecksum(f"file://{upload.bucket}/{upload.key}: a part has another size")
        content = self._content(upload, sizes)
        self._create(
            upload.bucket,
            upload.key,
            content,
            upload.size,
            upload.content_type,
            checksums,
            temporary=upload.last_used is not None,
        )
        self.abort_upload(upload)

    def _content(self, upload: Upload, sizes: Mapping[int, int]) -> Iterator[bytes]:
        for number in sorted(sizes):
            with (self._parts_of(upload) / f"{number:05d}").open("rb") as part:
                yield from chunks(part, sizes[number])

    def uploads(self, bucket: str) -> Iterator[UnfinishedUpload]:
        """Yield what is being written, and what killed writers left: files, and directories of parts."""
        with translated(bucket, ""):
            for entry in self._own(bucket).iterdir():
                with contextlib.suppress(FileNotFoundError):
                    last = max(path.stat().st_mtime for path in (entry, *entry.glob("*")))
                    touched = datetime.fromtimestamp(last, UTC)
                    yield UnfinishedUpload(bucket=bucket, key="", id=entry.name, touched=touched)

    def abort_upload(self, upload: UploadName) -> None:
        """Remove an upload and its parts, at one moment for whoever still writes one."""
        with contextlib.suppress(ObjectNotFound), translated(upload.bucket, upload.key):
            gone = self._parts_of(upload).rename(self._own(upload.bucket) / uuid.uuid4().hex)
            shutil.rmtree(gone) if gone.is_dir() else gone.unlink()

    def sign_get(self, bucket: str, key: str, *, lifetime: timedelta, disposition: str | None = None) -> str:
        """Return a URL that `run/api/posix_objects.py` answers, and anybody who has the key may sign."""
        self._path(bucket, key)
        return self.urls.sign(bucket, key, lifetime, disposition)

    def check_bucket(self, bucket: str) -> None:
        """Return if the directory is there, on a file system that keeps attributes."""
        with translated(bucket, ""):
            posix_files.check_attributes(self._path(bucket, "any").parent)
