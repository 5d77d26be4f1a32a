"""Parts of an object on their way to another store, while somebody reads the object once and hashes it."""

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

import structlog

from shared.copying.plan import Part
from shared.errors import DssError
from shared.stores.base import ObjectStore, Upload

_log = structlog.get_logger()

# Chunks of 8 MiB that wait in memory, for one further replica: two parts of 64 MiB.
_CHUNKS = 16
# Parts that are sent at once.
_SENDERS = 4
# Seconds that the reader waits for room. Stores give up a request that does not move before that.
_PATIENCE = 300


class Relay:
    """Sends parts to an upload as they are read, a few at once, in bounded memory.

    Best effort: a part that cannot be sent is left out, so that no other cloud keeps a file from being
    verified. Before the upload is finished, the missing parts have to be copied.
    """

    def __init__(self, store: ObjectStore, upload: Upload, senders: ThreadPoolExecutor) -> None:
        self._store = store
        self._upload = upload
        self._senders = senders
        self._room = threading.Semaphore(_CHUNKS)
        self._chunks: _Chunks | None = None
        self._sent: list[Future[None]] = []
        self._broken = False

    def begin_part(self, part: Part) -> None:
        """Begin the next part."""
        if not self._broken:
            self._chunks = _Chunks(self._room)
            self._sent.append(self._senders.submit(self._send_part, part, self._chunks))

    def send(self, data: bytes) -> None:
        """Send the next bytes of the part; waits for room."""
        if self._chunks is None:
            return
        if not self._room.acquire(timeout=_PATIENCE):
            _log.warning("relay stuck", bucket=self._upload.bucket, key=self._upload.key)
            self._broken = True
            self.end_part()
            return
        self._chunks.put(data)

    def end_part(self) -> None:
        """End the part; one of which too few bytes came is not kept by the store."""
        if self._chunks is not None:
            self._chunks.put(b"")
            self._chunks = None

    def finish(self) -> None:
        """Return when all parts are sent, or have failed."""
        self.end_part()
        wait(self._sent)

    def _send_part(self, part: Part, chunks: "_Chunks") -> None:
        try:
            self._store.put_part(self._upload, part.number, chunks, part.size)
        except DssError as error:
            _log.warning("part not relayed", key=self._upload.key, part=part.number, reason=error.title)
        finally:
            chunks.drain()


@contextmanager
def relaying(*uploads: tuple[ObjectStore, Upload]) -> Iterator[list[Relay]]:
    """Yield a relay for each upload; return when all that was sent has arrived, or failed."""
    with ThreadPoolExecutor(_SENDERS * max(1, len(uploads))) as senders:
        relays = [Relay(store, upload, senders) for store, upload in uploads]
        try:
            yield relays
        finally:
            for relay in relays:
                relay.finish()


class _Chunks:
    """A reader of the bytes that another thread puts in; each chunk read makes room for another."""

    def __init__(self, room: threading.Semaphore) -> None:
        self._room = room
        self._queue: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._chunk = memoryview(b"")
        self._ended = False

    def put(self, data: bytes) -> None:
        """Add a chunk; an empty one is the end."""
        self._queue.put(data)

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` of the next bytes; none at the end. Waits for them."""
        if not self._chunk and not self._ended:
            self._next()
        count = len(self._chunk) if size < 0 else size
        taken, self._chunk = self._chunk[:count], self._chunk[count:]
        return bytes(taken)

    def close(self) -> None:
        """Do nothing: chunks that are put in later are drained."""

    def drain(self) -> None:
        """Drop all chunks until the end."""
        self._chunk = memoryview(b"")
        while not self._ended:
            self._next()
        self._chunk = memoryview(b"")

    def _next(self) -> None:
        chunk = self._queue.get()
        if chunk:
            self._room.release()
        self._ended = not chunk
        self._chunk = memoryview(chunk)
