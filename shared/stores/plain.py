"""Makes an `ObjectStore` of a simple store, one that writes, reads, lists and deletes whole objects.

Streams copies, joins and uploads in parts through this process, with one chunk in memory, and computes all
four checksums on the way: content that proves wrong never gets its key.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from shared.checksums import MIB, ChecksumCalculator, Checksums, part_count
from shared.clock import Deadline
from shared.errors import (
    CopyTakesLonger,
    InvalidChecksum,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    StoreError,
    Unavailable,
)
from shared.stores.base import Piece, Reader, StoredObject, Upload, UploadName, bucket_url, intact
from shared.stores.parts_aside import PartsAside, part_key
from shared.stores.signed_urls import SignedUrls
from shared.stores.streams import Sequential

# Bytes of an object that are in memory at once.
_CHUNK = 4 * MIB


class Content:
    """The content of a new object: `size` bytes, which can be read once, in chunks.

    Iteration raises the errors of the source, and at the end Unavailable if there were fewer bytes, and
    InvalidChecksum if they do not match `claimed`. A store gives the object its key only after the end, and
    leaves nothing of it otherwise.
    """

    def __init__(
        self,
        url: str,
        chunks: Iterator[bytes],
        size: int,
        content_type: str,
        claimed: Checksums | None = None,
        last_used: datetime | None = None,
    ) -> None:
        self.size = size
        self.content_type = content_type
        # Set if the bucket's life cycle is to remove the object.
        self.last_used = last_used
        self._url = url
        self._chunks = chunks
        self._claimed = claimed
        self._calculator = ChecksumCalculator(size)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes."""
        received = 0
        for chunk in self._chunks:
            received += len(chunk)
            self._calculator.update(chunk)
            yield chunk
        if received != self.size:
            raise Unavailable(f"{self._url}: the content ended after {received} of {self.size} bytes")
        if self._claimed not in (None, self.checksums):
            raise InvalidChecksum(
                f"{self._url}: {self._claimed} is claimed, the content has {self.checksums}"
            )

    @property
    def checksums(self) -> Checksums:
        """The checksums of the bytes so far; of the whole content, after the end."""
        return self._calculator.result()


class PlainStore(PartsAside):
    """The whole protocol, made of seven methods.

    A subclass sets its `scheme` and writes `translated`, `open`, `keys`, `write`, `remove`, `touch` and
    `probe`. The last six are called within `translated`, so they let the vendor's errors pass. It may
    override any other method that it can do faster. `urls` signs for it; the API serves signed URLs.
    """

    scheme: str
    signs_by_requests = False

    def __init__(self, urls: SignedUrls) -> None:
        self.urls = urls

    @abstractmethod
    def translated(self, bucket: str, key: str) -> AbstractContextManager[None]:
        """Turn the vendor's errors into the house's, which name the object."""

    @abstractmethod
    def open(self, bucket: str, key: str, first: int = 0) -> tuple[StoredObject, Reader]:
        """Describe an object, and return its content from a position on, both of one moment."""

    @abstractmethod
    def keys(self, bucket: str, prefix: str, after: str) -> Iterator[str]:
        """Yield the keys that begin with `prefix` and sort after `after`, in order of UTF-8 bytes."""

    @abstractmethod
    def write(self, bucket: str, key: str, content: Content) -> None:
        """Write a new object, durable and whole when this returns; `open` then returns its checksums.

        Raises ObjectExists, at the start or at the end, if there is one already, and the errors of reading
        the content; nothing has changed then. A kill leaves nothing at the key either; the sweep aborts
        what it leaves under a `new_id`, as it does uploads.
        """

    @abstractmethod
    def remove(self, bucket: str, key: str) -> None:
        """Remove an object; may raise ObjectNotFound."""

    @abstractmethod
    def touch(self, found: StoredObject, content: Reader, last_used: datetime | None) -> None:
        """Do what `ObjectStore.renew` says. `content` is from `open`, and unchanged since `found`."""

    @abstractmethod
    def probe(self, bucket: str) -> None:
        """Return if the bucket answers, and can hold content types and checksums."""

    def stat(self, bucket: str, key: str) -> StoredObject:
        """Describe an object."""
        with self.translated(bucket, key):
            found, data = self.open(bucket, key)
            data.close()
        return found

    def known_blob(
        self, bucket: str, key: str, *, size: int, content_type: str, checksums: Checksums
    ) -> StoredObject:
        """Describe a blob as it is now: only the store knows its revision."""
        return replace(self.stat(bucket, key), content_type=content_type)

    def read_all(self, bucket: str, key: str) -> bytes:
        """Return the whole content of an object."""
        with self.translated(bucket, key):
            found, data = self.open(bucket, key)
            with closing(data):
                content = b"".join(iter(lambda: data.read(_CHUNK), b""))
        return intact(found, content, bucket_url(self, bucket, key))

    def tags(self, bucket: str, key: str) -> Mapping[str, str]:
        """Return no tags. Raises ObjectNotFound."""
        self.stat(bucket, key)
        return {}

    def list(self, bucket: str, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """Yield the objects under a prefix, in order."""
        self.check_bucket(bucket)
        with self.translated(bucket, prefix):
            for key in self.keys(bucket, prefix, after):
                with suppress(ObjectNotFound):
                    yield self.stat(bucket, key)

    def read(self, source: StoredObject, first: int, size: int) -> Reader:
        """Return a reader of a range. Raises ObjectChanged if the object was replaced or deleted."""
        return _Range(self, source, self._unchanged(source, first), size)

    def _unchanged(self, found: StoredObject, first: int = 0) -> Reader:
        url = bucket_url(self, found.bucket, found.key)
        try:
            with self.translated(found.bucket, found.key):
                now, data = self.open(found.bucket, found.key, first)
        except ObjectNotFound as error:
            raise ObjectChanged(f"{url}: it was deleted meanwhile") from error
        if now.revision != found.revision:
            data.close()
            raise ObjectChanged(f"{url}: it was replaced meanwhile")
        return data

    def renew(self, found: StoredObject, last_used: datetime | None) -> None:
        """Make the life cycle count again, or ignore the object."""
        with closing(self._unchanged(found)) as data, self.translated(found.bucket, found.key):
            self.touch(found, data, last_used)

    def sign_get(
        self,
        bucket: str,
        key: str,
        *,
        lifetime: timedelta,
        disposition: str | None = None,
        content_type: str | None = None,
        user_project: str = "",
    ) -> str:
        """Return a URL of the API, signed with the key that all processes share."""
        return self.urls.sign(bucket, key, lifetime, disposition=disposition, type=content_type)

    def check_bucket(self, bucket: str) -> None:
        """Return if the bucket answers."""
        with self.translated(bucket, ""):
            self.probe(bucket)

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object."""
        with suppress(ObjectNotFound), self.translated(bucket, key):
            self.remove(bucket, key)

    def erase(self, bucket: str, key: str) -> None:
        """Remove an object: there are no earlier versions."""
        self.delete(bucket, key)

    def create(self, bucket: str, key: str, data: bytes, content_type: str) -> None:
        """Write a new object. Raises ObjectExists if there is one."""
        self._write(bucket, key, iter([data]), len(data), content_type)

    def create_from(
        self, bucket: str, key: str, data: Reader, *, size: int, content_type: str, checksums: Checksums
    ) -> None:
        """Write a new object as it is read; it gets its key only when all four checksums are proved."""
        self._write(bucket, key, _chunks(data, size), size, content_type, checksums)

    def _write(self, bucket: str, key: str, *content: Any) -> None:
        with self.translated(bucket, key):
            self.write(bucket, key, Content(bucket_url(self, bucket, key), *content))

    def copy(
        self,
        source: StoredObject,
        bucket: str,
        key: str,
        *,
        checksums: Checksums,
        deadline: Deadline,
        last_used: datetime | None = None,
        fresh: bool = False,
    ) -> None:
        """Copy an object, streamed, as `create_from` writes one."""
        source.check(checksums)
        with closing(self.read(source, 0, source.size)) as data, suppress(ObjectExists):
            if not fresh:
                with suppress(ObjectNotFound):
                    self.stat(bucket, key)
                    return
            chunks = _chunks(data, source.size, deadline)
            self._write(bucket, key, chunks, source.size, source.content_type, checksums, last_used)

    def join(self, bucket: str, pieces: Sequence[Piece], key: str, *, content_type: str) -> None:
        """Write the pieces one after the other, as `create` writes one."""
        size = sum(piece.size for piece in pieces)
        self._write(bucket, key, self._joined(bucket, pieces), size, content_type)

    def _joined(self, bucket: str, pieces: Sequence[Piece]) -> Iterator[bytes]:
        for piece in pieces:
            found = self.stat(bucket, piece.key)
            if found.size != piece.size:
                url = bucket_url(self, bucket, piece.key)
                raise ObjectChanged(f"{url}: {found.size} bytes instead of {piece.size}")
            with closing(self.read(found, 0, found.size)) as data:
                yield from _chunks(data, found.size)

    def begin_upload(
        self, bucket: str, key: str, *, size: int, content_type: str, last_used: datetime | None = None
    ) -> Upload:
        """Begin an upload: an empty object at its id marks it as not ended."""
        with suppress(ObjectNotFound):
            # Refuses an impossible key now, and not after all parts were written.
            self.stat(bucket, key)
        upload = super().begin_upload(bucket, key, size=size, content_type=content_type, last_used=last_used)
        self.create(bucket, upload.id, b"", "text/plain")
        return upload

    def put_part(self, upload: Upload, number: int, data: Reader, size: int) -> None:
        """Write a part, durable when this returns. Raises ObjectNotFound if the upload has ended."""
        part = part_key(upload, number)
        self.stat(upload.bucket, upload.id)
        self.delete(upload.bucket, part)
        # Another process that writes this part now writes the same bytes.
        with suppress(ObjectExists):
            self._write(upload.bucket, part, _chunks(data, size), size, "application/octet-stream")
        try:
            self.stat(upload.bucket, upload.id)
        except ObjectNotFound:
            # The upload ended meanwhile, perhaps before this part could be seen and removed.
            self.delete(upload.bucket, part)
            raise

    def copy_part(self, upload: Upload, number: int, source: StoredObject, first: int, size: int) -> None:
        """Write a part from a range of an object."""
        with closing(self.read(source, first, size)) as data:
            self.put_part(upload, number, data, size)

    def finish_upload(self, upload: Upload, checksums: Checksums) -> None:
        """Write the parts into one object, proved as by `create_from`. Reads and writes all of it."""
        url = bucket_url(self, upload.bucket, upload.key)
        self.stat(upload.bucket, upload.id)
        sizes = self.parts(upload)
        if sorted(sizes) != list(range(1, part_count(upload.size) + 1)):
            raise StoreError(f"{url}: parts are missing")
        if sum(sizes.values()) != upload.size:
            raise InvalidChecksum(f"{url}: a part has another size")
        pieces = [Piece(part_key(upload, number), sizes[number]) for number in sorted(sizes)]
        self._write(
            upload.bucket,
            upload.key,
            self._joined(upload.bucket, pieces),
            upload.size,
            upload.content_type,
            checksums,
            upload.last_used,
        )
        self.abort_upload(upload)

    def abort_upload(self, upload: UploadName) -> None:
        """Remove an upload and its parts; `put_part` removes a part that it was writing meanwhile."""
        with suppress(ObjectNotFound):
            part_key(upload, 0)
            self.delete(upload.bucket, upload.id)
            super().abort_upload(upload)


class _Range(Sequential):
    def __init__(self, store: PlainStore, source: StoredObject, data: Reader, size: int) -> None:
        super().__init__(data, size)
        self._store = store
        self._source = source

    def read(self, size: int = -1, /) -> bytes:
        with self._store.translated(self._source.bucket, self._source.key):
            return super().read(size)

    def close(self) -> None:
        self._data.close()
        super().close()


def _chunks(data: Reader, size: int, deadline: Deadline | None = None) -> Iterator[bytes]:
    """Yield the next `size` bytes, fewer if the data end early. Raises CopyTakesLonger at the deadline."""
    while size > 0 and (chunk := data.read(min(size, _CHUNK))):
        if deadline and deadline.passed:
            raise CopyTakesLonger("it cannot be copied within one request")
        size -= len(chunk)
        yield chunk
