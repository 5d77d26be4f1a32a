"""What the system asks of an object store. There is no bare put: objects are created, never overwritten."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from shared.checksums import Checksums, crc32c_of, md5_of, part_count
from shared.clock import Deadline
from shared.errors import InvalidChecksum, Unavailable


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """What a store knows of one object at the moment it was asked."""

    bucket: str
    key: str
    size: int
    content_type: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    # What pins this very content in a later call: a generation on GCS, an ETag on S3.
    revision: str
    # When this content came to be there, in UTC.
    written: datetime | None = None
    # When it was used last, in UTC, of an object that its bucket's life cycle removes some days after that.
    # None of one that stays; also in S3's lists, which do not tell.
    last_used: datetime | None = None
    # Lower-case hex, where the store vouches for it.
    md5: str | None = None
    crc32c: str | None = None

    def check(self, claimed: Checksums) -> None:
        """Raise InvalidChecksum where what the store knows contradicts what is claimed of the content."""
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
        """Tell whether these bytes are the object's, by its size and whatever checksum the store knows."""
        return (
            len(data) == self.size
            and self.crc32c in (None, crc32c_of(data))
            and self.md5 in (None, md5_of(data))
        )


class Reader(Protocol):
    """Bytes of an object as they come from its store; raises what the store's other methods raise."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to so many of the next bytes, none at the end."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


@dataclass(frozen=True)
class Piece:
    """An object that never changes, as part of another one: its key, and its size in bytes."""

    key: str
    size: int


@dataclass(frozen=True, kw_only=True)
class UploadName:
    """What suffices to know an upload by; `id` is what the store calls it."""

    bucket: str
    key: str
    id: str


@dataclass(frozen=True, kw_only=True)
class Upload(UploadName):
    """An object that is put together from parts. Nothing is at its key until it is finished."""

    size: int
    content_type: str
    last_used: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class UnfinishedUpload(UploadName):
    """An upload that was neither finished nor aborted. Its key is empty where the store does not tell it.

    `touched` is when it was begun or, where the store tells, last written to, in UTC.
    """

    touched: datetime


class ObjectStore(Protocol):
    """One cloud's object store.

    Every method raises ObjectNotFound, AccessDenied or another StoreError that names the object, and
    Unavailable where the store does not answer. All of them are safe to call from several threads.
    """

    scheme: str
    # Whether large objects are copied within the store part by part (`copy_part`), or by calls that go on
    # where the last one stopped (`copy_more`).
    copies_in_parts: bool
    # What the keys begin with of parts, where parts are objects as well.
    parts_prefix: str

    def stat(self, bucket: str, key: str) -> StoredObject:
        """Return what the store knows of an object, in one request."""
        ...

    def tags(self, bucket: str, key: str) -> Mapping[str, str]:
        """Return the tags of an object; none where the store knows no tags."""
        ...

    def list(self, bucket: str, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose keys begin with `prefix`, in order of key, behind the key `after`."""
        ...

    def read(self, source: StoredObject, first: int, size: int) -> Reader:
        """Return a reader of `size` bytes from position `first` on, of just the content that was looked at.

        It holds a few MiB in memory at most. Raises ObjectChanged, here or in reading, where the object was
        replaced since.
        """
        ...

    def create(self, bucket: str, key: str, data: bytes, content_type: str) -> None:
        """Write a new object, durable and whole when this returns, in one request.

        Raises ObjectExists, and changes nothing, where there is one already.
        """
        ...

    def create_from(
        self, bucket: str, key: str, data: Reader, *, size: int, content_type: str, checksums: Checksums
    ) -> None:
        """Write a new object of one part from a reader; the store itself proves the content.

        Raises InvalidChecksum, and leaves nothing, where the content is other than claimed, and ObjectExists
        as `create` does.
        """
        ...

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object; one that is not there is as good as removed."""
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
    ) -> None:
        """Copy an object of this store, server side, so that `key` holds content with these checksums.

        With `last_used` it is one that the bucket's life cycle removes. An object that is there already
        stays, for its key names its content. Raises InvalidChecksum where the cloud finds the content to be
        other than claimed (nothing is left at `key` then), ObjectChanged where the source was replaced since
        it was looked at, and CopyTakesLonger where the deadline does not suffice.
        """
        ...

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
        """Do the next stretch of a long copy within the store, and return the token to go on with.

        Begins with an empty token, and returns an empty one when `key` holds the object. Only where
        `copies_in_parts` is false. `last_used` is that of `copy`, the same for all stretches.
        """
        ...

    def join(self, bucket: str, pieces: Sequence[Piece], key: str, *, content_type: str) -> None:
        """Write a new object whose content is that of others of the bucket, in this order.

        Server side where the store can, else some MiB are in memory. Raises ObjectExists where there is one
        already, and ObjectChanged or another StoreError, leaving nothing, where a piece is shorter than is
        said.
        """
        ...

    def renew(self, found: StoredObject, last_used: datetime | None) -> None:
        """Let the life cycle count from `last_used`, or, with None, pass an object over; its content stays.

        Raises ObjectChanged where the object is not there any more as it was found, and CopyTakesLonger where
        it has to be copied for that, and is large.
        """
        ...

    def begin_upload(
        self, bucket: str, key: str, *, size: int, content_type: str, last_used: datetime | None = None
    ) -> Upload:
        """Begin an object that is to come in parts of `part_size(size)` bytes, the last one shorter.

        `last_used` is that of `copy`.
        """
        ...

    def put_part(self, upload: Upload, number: int, data: Reader, size: int) -> None:
        """Write a part, numbered from 1, whole or not at all. A part that is there is replaced."""
        ...

    def copy_part(self, upload: Upload, number: int, source: StoredObject, first: int, size: int) -> None:
        """Write a part from a range of an object of this store, server side."""
        ...

    def parts(self, upload: Upload) -> Mapping[int, int]:
        """Return the size of each part that is there; none, or ObjectNotFound, where the upload has ended."""
        ...

    def finish_upload(self, upload: Upload, checksums: Checksums) -> None:
        """Prove the parts, and make an object of them; the upload is then gone.

        Raises InvalidChecksum, and leaves nothing at the key, where the content is other than claimed;
        ObjectExists where there is one already, which one that was begun with `last_used` may replace; and
        ObjectNotFound where the upload has ended.
        """
        ...

    def abort_upload(self, upload: UploadName) -> None:
        """Remove an upload and its parts; one that has ended is as good as removed."""
        ...

    def uploads(self, bucket: str) -> Iterator[UnfinishedUpload]:
        """Yield the uploads of a bucket that were neither finished nor aborted, whoever began them."""
        ...

    def sign_get(self, bucket: str, key: str, *, lifetime: timedelta, disposition: str | None = None) -> str:
        """Return a URL by which anyone can GET an object for so long, ranges included.

        The answer carries `disposition` as its Content-Disposition.
        """
        ...

    def check_bucket(self, bucket: str) -> None:
        """Return if the bucket answers; raise what it says if it does not."""
        ...


def bucket_url(store: ObjectStore, bucket: str, key: str) -> str:
    """Return the `gs://` or `s3://` URL of an object."""
    return f"{store.scheme}://{bucket}/{key}"


def read_all(store: ObjectStore, bucket: str, key: str) -> bytes:
    """Return the whole content of an object that fits into memory: a manifest, say.

    Raises Unavailable where what arrived is other than what the store says it has: another attempt may.
    """
    found = store.stat(bucket, key)
    reader = store.read(found, 0, found.size)
    chunks = []
    while chunk := reader.read(found.size):
        chunks.append(chunk)
    reader.close()
    data = b"".join(chunks)
    if not found.is_content(data):
        raise Unavailable(f"{bucket_url(store, bucket, key)}: it did not arrive as the store has it")
    return data
