"""Large content is read ahead of what is used; small content by one request."""

import io
import threading

from shared.clock import Deadline, SystemClock
from shared.copying.reading import CHUNK, reading
from shared.stores.base import StoredObject


class Store:
    """Content of zeros; `asked` has the positions that were read, and `second` is set at the second."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.second = threading.Event()

    def read(self, source: StoredObject, first: int, size: int) -> io.BytesIO:
        del source
        self.asked.append(first)
        if len(self.asked) == 2:
            self.second.set()
        return io.BytesIO(bytes(size))


def source_of(size: int) -> StoredObject:
    return StoredObject(bucket="b", key="k", size=size, content_type="a/b", revision="1")


def test_the_next_chunk_is_read_while_one_is_used() -> None:
    store, size = Store(), 2 * CHUNK + 1
    with reading(store, source_of(size), 0, size, Deadline(SystemClock(), 60)) as data:
        assert len(data.read(1)) == 1
        assert store.second.wait(30)
        assert sum(iter(lambda: len(data.read(CHUNK)), 0)) == size - 1
    assert sorted(store.asked) == [0, CHUNK, 2 * CHUNK]


def test_a_chunk_is_read_by_one_request() -> None:
    store = Store()
    with reading(store, source_of(CHUNK), 0, CHUNK, Deadline(SystemClock(), 60)) as data:
        assert len(data.read(CHUNK)) == CHUNK
    assert store.asked == [0]
