"""Content as it is read for a copy: in chunks, ahead of what is being sent, and again if that fails."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from shared.checksums import MIB
from shared.clock import Deadline
from shared.errors import CopyTakesLonger, DssError, ObjectChanged
from shared.parallel import map_in_threads
from shared.retry import RetryPolicy
from shared.stores.base import Reader, ReadsObjects, StoredObject, read_range

# Bytes of one request.
CHUNK = 8 * MIB
_ATTEMPTS = 3

Result = TypeVar("Result")


@contextmanager
def reading(
    store: ReadsObjects, source: StoredObject, first: int, size: int, deadline: Deadline
) -> Iterator[Reader]:
    """Yield a reader of a range; of more than a chunk, the next one is read while one is used.

    If reading fails, raises its error, not the one that the destination makes of it.
    """
    content = (
        _Chunks(chunks_of(source, store, first, size, deadline, readers=1))
        if size > CHUNK
        else store.read(source, first, size)
    )
    reader = _Noting(content)
    try:
        yield reader
    except Exception as error:
        if reader.error and reader.error is not error:
            raise reader.error from error
        raise
    finally:
        reader.close()


class _Noting:
    """A reader that keeps its error."""

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


class _Chunks:
    """A reader of what a generator yields."""

    def __init__(self, chunks: Generator[bytes, None, None]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def read(self, size: int = -1, /) -> bytes:
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        count = len(self._rest) if size < 0 else size
        taken, self._rest = self._rest[:count], self._rest[count:]
        return bytes(taken)

    def close(self) -> None:
        self._chunks.close()
        self._rest = memoryview(b"")


def chunks_of(
    source: StoredObject, store: ReadsObjects, first: int, size: int, deadline: Deadline, *, readers: int
) -> Generator[bytes, None, None]:
    """Yield a range of an object in order, in chunks of CHUNK bytes, of which `readers` are read at once.

    Twice as many are in memory at most. Retries a chunk that fails for a while. Raises ObjectChanged,
    CopyTakesLonger if the deadline passes, and the errors of the store.
    """
    end = first + size

    def read(start: int) -> bytes:
        work = partial(_read, source, store, start, min(CHUNK, end - start))
        return retried(work, source, deadline)

    yield from map_in_threads(read, range(first, end, CHUNK), threads=readers)


def _read(source: StoredObject, store: ReadsObjects, first: int, size: int) -> bytes:
    data = read_range(store, source, first, size)
    if len(data) != size:
        raise ObjectChanged(f"{source.key}: it ended after {first + len(data)} of {source.size} bytes")
    return data


def retried(work: Callable[[], Result], source: StoredObject, deadline: Deadline) -> Result:
    """Return the result of work that may fail for a while, after a few attempts.

    Raises CopyTakesLonger if the deadline passes before an attempt, and the error of the last attempt.
    """

    def attempt() -> Result:
        if deadline.passed:
            raise CopyTakesLonger(f"{source.key}: there is no time left to copy it within this call")
        return work()

    return RetryPolicy(clock=deadline.clock, attempts=_ATTEMPTS, deadline=deadline).run(attempt)
