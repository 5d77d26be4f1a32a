"""A file that is hashed while it is sent: read once, and hashed by a thread of its own."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import BinaryIO

from dss.checksums import ChecksumCalculator, Checksums
from dss.errors import ContentChanged


class HashedStream:
    """A stream whose bytes are added to a calculation, each once, however often its reader goes back.

    What was read last is hashed while its reader sends it, so two pieces are in memory.
    """

    def __init__(self, stream: BinaryIO, size: int, hasher: ThreadPoolExecutor) -> None:
        self._stream = stream
        self._size = size
        self._calculator = ChecksumCalculator(size)
        self._hasher = hasher
        self._hashed = 0
        self._pending: Future[None] | None = None

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, as the file does."""
        position = self._stream.tell()
        data = self._stream.read(size)
        if position <= self._hashed < position + len(data):
            self._wait()
            self._pending = self._hasher.submit(self._calculator.update, data[self._hashed - position :])
            self._hashed = position + len(data)
        return data

    def tell(self) -> int:
        """Return the position."""
        return self._stream.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a position that was read already, or back to it."""
        return self._stream.seek(offset, whence)

    def result(self) -> Checksums:
        """Return the checksums of the whole file. Raises ContentChanged if it has another size by now."""
        self._wait()
        if self._hashed != self._size:
            raise ContentChanged(f"{self._hashed} bytes were read of {self._size}: it changed meanwhile")
        return self._calculator.result()

    def _wait(self) -> None:
        if self._pending:
            self._pending.result()


@contextmanager
def hashed(stream: BinaryIO, size: int) -> Iterator[HashedStream]:
    """Give a stream of `size` bytes that is hashed while it is read, from its beginning."""
    with ThreadPoolExecutor(1) as hasher:
        yield HashedStream(stream, size, hasher)
