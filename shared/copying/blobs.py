"""Copies of blobs, streamed through this process or server side, and their proof by the destination's store.

Parts are always cut by the rule of `shared.checksums`, so that the ETag of S3 proves the content; GCS proves
it by its CRC-32C. A copy that proves wrong is removed before anybody can see it.
"""

import contextlib
import io
import math
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import structlog

from shared.checksums import MIB, Checksums, part_count
from shared.clock import Deadline
from shared.copying.plan import Part, all_parts
from shared.copying.reading import CHUNK, reading, retried
from shared.deadlines import deadline, inherited, limited
from shared.errors import (
    DssError,
    InvalidChecksum,
    ObjectExists,
    ObjectNotFound,
)
from shared.replicas import Replica
from shared.stores.base import (
    CopiesParts,
    ObjectStore,
    ReadsObjects,
    StoredObject,
    Upload,
    bucket_url,
)

_log = structlog.get_logger()

# Parts that are streamed at once.
PARALLEL_PARTS = 4
# Bytes in memory for each stream: a chunk that is sent, the next one, and what the clouds' libraries hold of
# that twice for a moment.
_STREAM_BYTES = 4 * CHUNK
# Objects up to so many bytes are sent without asking whether the destination has them. Mostly it does not,
# which saves two requests of three; if it does, so many bytes were sent in vain.
_SMALL_BYTES = MIB
# Seconds that it is worth to wait for the other cloud, which needs some tenths of one for a small object.
_HAND_ON_SECONDS = 3.0


def copy_inline(
    source: StoredObject,
    source_store: ObjectStore,
    destination: Replica,
    key: str,
    *,
    checksums: Checksums,
    deadline: Deadline,
    expected: bool = False,
) -> None:
    """Copy an object so that `key` in the destination's bucket holds, proved, content with these checksums.

    `expected` says that the destination mostly has it: then nothing is sent without asking.
    In bounded memory: server side within one store, else streamed, a few parts of an object at once. Keeps an
    object at `key` that proves right, and replaces one that proves wrong: so call it only while the
    destination is not available. Safe to repeat, and to run twice at once.

    Raises InvalidChecksum, and leaves nothing at `key`, if the content does not match the claims;
    ObjectChanged if the source was replaced since it was described; CopyTakesLonger if the deadline is too
    short; Unavailable and other errors of the stores. Aborts its upload if it fails.
    """
    source.check(checksums)
    if source_store is not destination.store and source.size <= _SMALL_BYTES and not expected:
        with contextlib.suppress(ObjectExists):
            # The store itself proves the content, and refuses it if there is an object at the key.
            create_whole(
                source,
                source_store,
                destination.store,
                destination.bucket,
                key,
                checksums=checksums,
                deadline=deadline,
            )
            return
    if holds(destination.store, destination.bucket, key, size=source.size, checksums=checksums):
        return
    if source_store is destination.store:
        source_store.copy(source, destination.bucket, key, checksums=checksums, deadline=deadline, fresh=True)
    else:
        _stream(source, source_store, destination, key, checksums, deadline)
    prove(destination.store, destination.bucket, key, size=source.size, checksums=checksums)


def memory_of_copy(size: int) -> int:
    """Return how many bytes of an object of `size` bytes are in memory at most while it is copied."""
    return min(2 * size, part_count(size) * _STREAM_BYTES, PARALLEL_PARTS * _STREAM_BYTES)


def holds(store: ObjectStore, bucket: str, key: str, *, size: int, checksums: Checksums) -> bool:
    """Return whether there is an object that proves right; remove one that proves wrong."""
    try:
        prove(store, bucket, key, size=size, checksums=checksums)
    except (ObjectNotFound, InvalidChecksum):
        return False
    return True


def is_proved(store: ObjectStore, bucket: str, key: str, *, size: int, checksums: Checksums) -> bool:
    """Return whether there is an object that proves right. Changes nothing."""
    try:
        check_proof(store.stat(bucket, key), size, checksums)
    except (ObjectNotFound, InvalidChecksum):
        return False
    return True


def prove(store: ObjectStore, bucket: str, key: str, *, size: int, checksums: Checksums) -> None:
    """Return if the store's description of an object proves its size and checksums.

    Raises InvalidChecksum, and removes the object, if it contradicts them or proves nothing; ObjectNotFound.
    """
    found = store.stat(bucket, key)
    try:
        check_proof(found, size, checksums)
    except InvalidChecksum as error:
        store.delete(bucket, key)
        raise InvalidChecksum(f"{bucket_url(store, bucket, key)} was removed: {error.title}") from error


def is_vouched_for(source: StoredObject, checksums: Checksums) -> bool:
    """Return whether the source's own store says that its content is that of a blob with these checksums."""
    return source.crc32c == checksums.crc32c or checksums.s3_etag in (source.revision, source.md5)


def check_proof(found: StoredObject, size: int, checksums: Checksums) -> None:
    """Return if a store's description of an object proves its size and checksums.

    Raises InvalidChecksum if it contradicts them or proves nothing. Changes nothing.
    """
    if found.size != size:
        raise InvalidChecksum(f"size: {size} bytes are claimed, the store has {found.size}")
    found.check(checksums)
    # An ETag of S3 is its revision; a generation of GCS never looks like one.
    if not is_vouched_for(found, checksums):
        raise InvalidChecksum(f"s3_etag: {checksums.s3_etag!r} is claimed, the store says {found.revision!r}")


def create_whole(
    source: StoredObject,
    source_store: ObjectStore,
    store: ObjectStore,
    bucket: str,
    key: str,
    *,
    checksums: Checksums,
    deadline: Deadline,
) -> None:
    """Write an object of one part as it is read from another store, proved by its own.

    Raises ObjectExists, CopyTakesLonger if the deadline has passed, and the errors of the stores.
    """

    def create() -> None:
        with reading(source_store, source, 0, source.size, deadline) as data:
            store.create_from(
                bucket,
                key,
                data,
                size=source.size,
                content_type=source.content_type,
                checksums=checksums,
            )

    retried(create, source, deadline)


def hand_on(destination: Replica, content_type: str, data: bytes, checksums: Checksums) -> None:
    """Write a small blob, whose content was read and verified here, to a replica in another store.

    Best effort: replication does it otherwise, and has to read the content once more. If the other store
    hangs, it takes _HAND_ON_SECONDS, and at most half of the time that the request has left.
    """
    try:
        ends = time.monotonic() + min(_HAND_ON_SECONDS, limited(math.inf) / 2)
        with deadline(ends):
            destination.store.create_from(
                destination.bucket,
                checksums.blob_key,
                io.BytesIO(data),
                size=len(data),
                content_type=content_type,
                checksums=checksums,
            )
    except ObjectExists:
        return
    except DssError as error:
        _log.warning(
            "blob not handed on", replica=destination.name, key=checksums.blob_key, reason=error.title
        )


def _stream(
    source: StoredObject,
    source_store: ObjectStore,
    destination: Replica,
    key: str,
    checksums: Checksums,
    deadline: Deadline,
) -> None:
    store, bucket = destination.store, destination.bucket
    # Another process may be faster; its object has still to be proved.
    with contextlib.suppress(ObjectExists):
        if part_count(source.size) == 1:
            create_whole(source, source_store, store, bucket, key, checksums=checksums, deadline=deadline)
            return
        upload = store.begin_upload(bucket, key, size=source.size, content_type=source.content_type)
        with _aborted_on_failure(store, upload):
            put_parts(source, source_store, upload, store, all_parts(source.size), deadline=deadline)
            store.finish_upload(upload, checksums)


@contextlib.contextmanager
def _aborted_on_failure(store: ObjectStore, upload: Upload) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # Raise the first error; the sweep aborts an upload that could not be aborted now.
        with contextlib.suppress(DssError):
            store.abort_upload(upload)
        raise


def put_parts(
    source: StoredObject,
    source_store: ReadsObjects,
    upload: Upload,
    store: ObjectStore,
    parts: Sequence[Part],
    *,
    deadline: Deadline,
) -> None:
    """Copy these parts of an object into an upload, a few at once.

    Server side if the store can, else streamed. Retries a part that fails for a while. Raises CopyTakesLonger
    if the deadline passes before all parts are copied, and the errors of the stores; begins no part after an
    error.
    """
    stopped = threading.Event()

    def put(part: Part) -> None:
        if source_store is store and isinstance(store, CopiesParts):
            store.copy_part(upload, part.number, source, part.first, part.size)
            return
        with reading(source_store, source, part.first, part.size, deadline) as data:
            store.put_part(upload, part.number, data, part.size)

    def put_unless_stopped(part: Part) -> None:
        if stopped.is_set():
            return
        try:
            retried(partial(put, part), source, deadline)
        except BaseException:
            stopped.set()
            raise

    with ThreadPoolExecutor(PARALLEL_PARTS) as threads:
        list(threads.map(inherited(put_unless_stopped), parts))
