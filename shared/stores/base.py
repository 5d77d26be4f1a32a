"""The protocol of object stores. There is no bare put: objects are created, never overwritten."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from shared.checksums import Checksums, crc32c_of, md5_of, part_count
from shared.clock import Deadline
from shared.errors import InvalidChecksum, Unavailable


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """An object, as its store described it at one moment."""

    bucket: str
    key: str
    size: int
    content_type: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    # Pins this content in later calls: a generation on GCS, an ETag on S3. Empty on GCS if only the catalog
    # has described it: then calls take what is there.
    revision: str
    # When this content was written, in UTC.
    written: datetime | None = None
    # When a temporary object was last used, in UTC; the bucket's life cycle removes it some days later. None
    # for an object that stays, and in S3's lists, which do not say.
    last_used: datetime | None = None
    # Lower-case hex, if the store vouches for it.
    md5: str | None = None
    crc32c: str | None = None

    def check(self, claimed: Checksums) -> None:
        """Raise InvalidChecksum if the store's own size or checksums contradict the claims."""
        claimed.check_size(self.size)
        if self.crc32c is not None and self.crc32c != claimed.crc32c:
            raise InvalidChecksum(
                f"crc32c: {claimed.crc32c!r} is claimed, the store says it is {self.crc32c!r}"
            )
        if self.md5 is not None and part_count(self.size) == 1 and self.md5 != claimed.s3_etag:
            raise InvalidChecksum(
                f"s3_etag: {claimed.s3_etag!r} is claimed, the store says it is {self.md5!r}"
            )

    def is_content(self, data: bytes) -> bool:
        """Return whether these bytes are the object's, by its size and each checksum that the store knows."""
        return (
            len(data) == self.size
            and self.crc32c in (None, crc32c_of(data))
            and self.md5 in (None, md5_of(data))
        )


class Reader(Protocol):
    """Bytes of an object as they come from its store. Raises the errors that the store's methods raise."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` of the next bytes; none at the end."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class ReadsObjects(Protocol):
    """What reads objects: every store does."""

    def read(self, source: StoredObject, first: int, size: int) -> Reader:
        """Return a reader of `size` bytes from position `first`, of the content that `source` describes.

        Raises ObjectChanged, here or while reading, if the object was replaced since.
        """
        ...


@dataclass(frozen=True)
class Piece:
    """An object to be joined with others: its key, and its size in bytes."""

    key: str
    size: int


@dataclass(frozen=True, kw_only=True)
class UploadName:
    """Names an upload; `id` is the store's own name for it."""

    bucket: str
    key: str
    id: str


@dataclass(frozen=True, kw_only=True)
class Upload(UploadName):
    """An object that is written in parts. Nothing is at its key until the upload is finished."""

    size: int
    content_type: str
    last_used: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class UnfinishedUpload(UploadName):
    """An upload that was neither finished nor aborted. Its key is empty if the store does not know it.

    `touched` is when it was begun or, if the store knows, last written to, in UTC.
    """

    touched: datetime


class ObjectStore(Protocol):
    """One cloud's object store.

    Every method raises ObjectNotFound, AccessDenied or another StoreError that names the object, and
    Unavailable if the store does not answer. All methods are safe to call from several threads.

    A store also copies large objects within itself in one of two ways: `CopiesParts` or `CopiesStretches`.
    """

    scheme: str
    # The prefix of the keys of parts, if parts are objects; else empty.
    parts_prefix: str
    # Whether each signed URL takes a request.
    signs_by_requests: bool

    def stat(self, bucket: str, key: str) -> StoredObject:
        """Describe an object, in one request."""
        ...

    def known_blob(
        self, bucket: str, key: str, *, size: int, content_type: str, checksums: Checksums
    ) -> StoredObject:
        """Describe a blob by what the catalog knows of it, to read or copy it; without a request if it can.

        Nothing is proved by that: if the object has other content, or is missing, reading or copying it
        raises an error, or what becomes of it proves wrong.
        """
        ...

    def read_all(self, bucket: str, key: str) -> bytes:
        """Return the whole content of an object that fits into memory, a manifest, say, in one request.

        Raises Unavailable if the bytes do not match the checksums of the store: another attempt may.
        """
        ...

    def tags(self, bucket: str, key: str) -> Mapping[str, str]:
        """Return the tags of an object; empty if the store has no tags."""
        ...

    def list(self, bucket: str, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose keys begin with `prefix` and sort after `after`, in order of key."""
        ...

    def read(self, source: StoredObject, first: int, size: int) -> Reader:
        """Return a reader of `size` bytes from position `first`, of the content that `source` describes.

        It holds a few MiB in memory at most. Raises ObjectChanged, here or while reading, if the object was
        replaced since.
        """
        ...

    def create(self, bucket: str, key: str, data: bytes, content_type: str) -> None:
        """Write a new object, durable and whole when this returns, in one request.

        Raises ObjectExists, and changes nothing, if there is one already.
        """
        ...

    def create_from(
        self, bucket: str, key: str, data: Reader, *, size: int, content_type: str, checksums: Checksums
    ) -> None:
        """Write a new object of one part from a reader; the store itself proves the content.

        Raises InvalidChecksum, and leaves nothing, if the content does not match the claims; ObjectExists as
        `create` does.
        """
        ...

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object, if it exists."""
        ...

    def erase(self, bucket: str, key: str) -> None:
        """Remove an object with all earlier versions that the store keeps and lets anybody remove.

        Does nothing if there is none.
        """
        ...

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
        """Copy an object of this store, server side, so that `key` holds content with these checksums.

        `last_used` makes the copy temporary: the bucket's life cycle removes it. An object at `key` stays,
        for its key names its content; with `fresh` nobody looks for one, because there was none just now.
        Raises InvalidChecksum, and leaves nothing at `key`, if the cloud's checksums contradict the claims;
        ObjectChanged if the source was replaced since it was described; CopyTakesLonger if the deadline is
        too short.
        """
        ...

    def join(self, bucket: str, pieces: Sequence[Piece], key: str, *, content_type: str) -> None:
        """Write a new object whose content is that of others of the bucket, in this order.

        Server side if the store can, else with some MiB in memory. Raises ObjectExists if there is one
        already, and ObjectChanged or another StoreError, leaving nothing, if a piece has fewer bytes than its
        `size`.
        """
        ...

    def renew(self, found: StoredObject, last_used: datetime | None) -> None:
        """Make the life cycle count from `last_used`, or, with None, ignore the object; its content stays.

        Raises ObjectChanged if the object was replaced or deleted since it was found, and CopyTakesLonger if
        it is large and this store has to copy it.
        """
        ...

    def begin_upload(
        self, bucket: str, key: str, *, size: int, content_type: str, last_used: datetime | None = None
    ) -> Upload:
        """Begin an object that comes in parts of `part_size(size)` bytes, the last one shorter.

        `last_used` is that of `copy`.
        """
        ...

    def put_part(self, upload: Upload, number: int, data: Reader, size: int) -> None:
        """Write a part, numbered from 1, whole or not at all. Replaces a part of this number."""
        ...

    def parts(self, upload: Upload) -> Mapping[int, int]:
        """Return the size of each part. If the upload has ended, return none or raise ObjectNotFound."""
        ...

    def finish_upload(self, upload: Upload, checksums: Checksums) -> None:
        """Prove the parts, and make an object of them; this ends the upload.

        Raises InvalidChecksum, and leaves nothing at the key, if the content does not match the claims;
        ObjectExists if there is an object already, unless the upload was begun with `last_used`; and
        ObjectNotFound if the upload has ended.
        """
        ...

    def abort_upload(self, upload: UploadName) -> None:
        """Remove an upload and its parts, if it has not ended."""
        ...

    def uploads(self, bucket: str) -> Iterator[UnfinishedUpload]:
        """Yield all uploads of a bucket that were neither finished nor aborted."""
        ...

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
        """Return a URL by which anyone can GET an object for `lifetime`, ranges included.

        The answer carries `disposition` as its Content-Disposition, and `content_type`, or else the object's
        own, as its Content-Type. `user_project` is the Google Cloud project that pays for the download; only
        a store of Google knows it.
        """
        ...

    def check_bucket(self, bucket: str) -> None:
        """Return if the bucket answers; else raise its error."""
        ...


@runtime_checkable
class CopiesParts(Protocol):
    """A store that copies large objects within itself part by part, as parts of an upload."""

    def copy_part(self, upload: Upload, number: int, source: StoredObject, first: int, size: int) -> None:
        """Write a part from a range of an object of this store, server side."""
        ...


@runtime_checkable
class CopiesStretches(Protocol):
    """A store that copies large objects within itself by calls that continue where the last one stopped."""

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
        """Do the next stretch of a long copy within the store, and return the token to continue with.

        Begins with an empty token, and returns an empty one when `key` holds the object. `last_used` is that
        of `ObjectStore.copy`, the same for all stretches.
        """
        ...


def bucket_url(store: ObjectStore, bucket: str, key: str) -> str:
    """Return the `gs://` or `s3://` URL of an object."""
    return f"{store.scheme}://{bucket}/{key}"


def read_range(store: ReadsObjects, source: StoredObject, first: int, size: int) -> bytes:
    """Return a range of an object, which fits into memory; fewer bytes if the object ends before.

    Raises ObjectChanged if it was replaced since it was described.
    """
    reader = store.read(source, first, size)
    try:
        data = reader.read(size)
        # Mostly all of it has come at once; what is joined is in memory twice.
        while len(data) < size and (more := reader.read(size - len(data))):
            data += more
    finally:
        reader.close()
    return data


def read_found(store: ObjectStore, found: StoredObject) -> bytes:
    """Return the whole content of an object that was described; see `ObjectStore.read_all`.

    Raises ObjectChanged if it was replaced since.
    """
    reader = store.read(found, 0, found.size)
    chunks = []
    while chunk := reader.read(found.size):
        chunks.append(chunk)
    reader.close()
    return intact(found, b"".join(chunks), bucket_url(store, found.bucket, found.key))


def intact(found: StoredObject, data: bytes, url: str) -> bytes:
    """Return the content of an object. Raises Unavailable if it does not match what its store says of it."""
    if not found.is_content(data):
        raise Unavailable(f"{url}: it did not arrive intact")
    return data
