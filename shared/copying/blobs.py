"""How a blob gets from one place to another: streamed here, server side, or planned for the copy workflow.

Whatever the way, S3 is given parts that are cut by the rule of `shared.checksums`, so that its ETag proves
the content, and GCS proves it by its CRC-32C. A copy that proves wrong is removed, and never left to be seen.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from shared.checksums import MIB, Checksums, part_count
from shared.clock import Deadline
from shared.copying.plan import Part, part_of
from shared.errors import (
    CopyTakesLonger,
    DssError,
    InvalidChecksum,
    ObjectExists,
    ObjectNotFound,
    Unavailable,
)
from shared.replicas import Replica
from shared.stores.base import ObjectStore, Reader, StoredObject, Upload, bucket_url

# Parts that are streamed at once; each holds a chunk of 8 MiB on its way through.
PARALLEL_PARTS = 4
# Objects up to so many bytes are sent without a look at what is there. Mostly nothing is, and that saves two
# requests of three; where the content is there already, so many bytes have travelled in vain.
_SMALL_BYTES = MIB
_ATTEMPTS = 3
_FIRST_PAUSE_SECONDS = 0.5


def copy_inline(
    source: StoredObject,
    source_store: ObjectStore,
    destination: Replica,
    key: str,
    *,
    checksums: Checksums,
    deadline: Deadline,
) -> None:
    """Copy an object so that `key` in the destination's bucket holds, proved, content with these checksums.

    In bounded memory: server side within one store, else streamed, a few parts of an object at once. What
    is at `key` already is left where it proves right, and is replaced where it proves wrong: so only to be
    called while the destination is not available. Safe to repeat, and to run twice at once.

    Raises InvalidChecksum, and leaves nothing at `key`, where the content is other than claimed;
    ObjectChanged where the source was replaced since it was looked at; CopyTakesLonger where the deadline
    does not suffice; Unavailable and other errors of the stores where one of them fails. No upload is left
    half-done.
    """
    source.check(checksums)
    if source_store is not destination.store and source.size <= _SMALL_BYTES:
        with contextlib.suppress(ObjectExists):
            # The store itself proves what it is given, and says where there is something already.
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
        source_store.copy(source, destination.bucket, key, checksums=checksums, deadline=deadline)
    else:
        _stream(source, source_store, destination, key, checksums, deadline)
    prove(destination.store, destination.bucket, key, size=source.size, checksums=checksums)


def holds(store: ObjectStore, bucket: str, key: str, *, size: int, checksums: Checksums) -> bool:
    """Tell whether an object is there that proves right; one that proves wrong is removed first."""
    try:
        prove(store, bucket, key, size=size, checksums=checksums)
    except (ObjectNotFound, InvalidChecksum):
        return False
    return True


def prove(store: ObjectStore, bucket: str, key: str, *, size: int, checksums: Checksums) -> None:
    """Return if what its store knows of an object proves it to have this size and these checksums.

    Raises InvalidChecksum, and removes the object, where that contradicts or does not suffice, and
    ObjectNotFound.
    """
    found = store.stat(bucket, key)
    try:
        check_proof(found, size, checksums)
    except InvalidChecksum as error:
        store.delete(bucket, key)
        raise InvalidChecksum(f"{bucket_url(store, bucket, key)} was removed: {error.title}") from error


def check_proof(found: StoredObject, size: int, checksums: Checksums) -> None:
    """Return if what a store says of an object proves it to have this size and these checksums.

    Raises InvalidChecksum where that contradicts or does not suffice. Changes nothing.
    """
    if found.size != size:
        raise InvalidChecksum(f"size: {size} bytes are wanted, the store has {found.size}")
    found.check(checksums)
    # An ETag of S3 is its revision; a generation of GCS never looks like one.
    if found.crc32c != checksums.crc32c and checksums.s3_etag not in (found.revision, found.md5):
        raise InvalidChecksum(f"s3_etag: {checksums.s3_etag!r} is wanted, the store says {found.revision!r}")


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

    Raises ObjectExists, CopyTakesLonger where the deadline has passed, and what the stores raise.
    """

    def create() -> None:
        with _reading(source_store, source, 0, source.size) as data:
            store.create_from(
                bucket,
                key,
                data,
                size=source.size,
                content_type=source.content_type,
                checksums=checksums,
            )

    retried(create, source, deadline)


def _stream(
    source: StoredObject,
    source_store: ObjectStore,
    destination: Replica,
    key: str,
    checksums: Checksums,
    deadline: Deadline,
) -> None:
    store, bucket = destination.store, destination.bucket
    # Somebody else may be faster; what they wrote has still to be proved.
    with contextlib.suppress(ObjectExists):
        if part_count(source.size) == 1:
            create_whole(source, source_store, store, bucket, key, checksums=checksums, deadline=deadline)
            return
        upload = store.begin_upload(bucket, key, size=source.size, content_type=source.content_type)
        with _aborted_on_failure(store, upload):
            parts = [part_of(source.size, number) for number in range(1, part_count(source.size) + 1)]
            put_parts(source, source_store, upload, store, parts, deadline=deadline)
            store.finish_upload(upload, checksums)


@contextlib.contextmanager
def _aborted_on_failure(store: ObjectStore, upload: Upload) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # The first error is the one to tell of; what stays of an upload is the bucket's life cycle's.
        with contextlib.suppress(DssError):
            store.abort_upload(upload)
        raise


def put_parts(
    source: StoredObject,
    source_store: ObjectStore,
    upload: Upload,
    store: ObjectStore,
    parts: Sequence[Part],
    *,
    deadline: Deadline,
) -> None:
    """Copy these parts of an object into an upload, a few at once.

    Server side where source and upload are in one store, else streamed. A part that fails for a while is
    tried again. Raises CopyTakesLonger where the deadline passes before all are there, and what the stores
    raise; parts that are not begun by then are not begun any more.
    """
    stopped = threading.Event()

    def put(part: Part) -> None:
        if source_store is store:
            store.copy_part(upload, part.number, source, part.first, part.size)
            return
        with _reading(source_store, source, part.first, part.size) as data:
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
        list(threads.map(put_unless_stopped, parts))


@contextlib.contextmanager
def _reading(store: ObjectStore, source: StoredObject, first: int, size: int) -> Iterator[Reader]:
    """Yield a reader; where reading is what fails, raise that, whatever who sends the bytes makes of it."""
    reader = _Reading(store.read(source, first, size))
    try:
        yield reader
    except Exception as error:
        if reader.error and reader.error is not error:
            raise reader.error from error
        raise
    finally:
        reader.close()


class _Reading:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.error: DssError | None = None

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._reader.read(size)
        except DssError as error:
            self.error = error
            raise

    def close(self) -> None:
        self._reader.close()


def retried(work: Callable[[], None], source: StoredObject, deadline: Deadline) -> None:
    """Do what fails for a while a few times, with growing pauses in between.

    Raises CopyTakesLonger where the deadline has passed before it is begun, and what the last attempt raises.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        if deadline.passed:
            raise CopyTakesLonger(f"{source.key}: there is no time left to copy it within this call")
        try:
            work()
        except Unavailable:
            if attempt == _ATTEMPTS:
                raise
            deadline.pause(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
        else:
            return
