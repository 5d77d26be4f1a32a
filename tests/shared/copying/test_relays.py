"""Parts are relayed as they are read; what cannot be sent keeps nobody waiting, and takes no memory."""

import threading

import pytest

from shared.clock import SystemClock
from shared.copying.plan import Part
from shared.copying.relays import relaying
from shared.errors import Unavailable
from shared.stores.signed_urls import SignedUrls
from tests.support.memory_store import MemoryStore

BUCKET = "bucket"
CHUNK = b"x" * 1000


class Flaky(MemoryStore):
    """A store that does not take certain parts, and counts how many come at once."""

    def __init__(self) -> None:
        super().__init__(SignedUrls(base="", key=bytes(32), clock=SystemClock()), BUCKET)
        self.refused: set[int] = set()
        self.before_each = lambda: None

    def put_part(self, upload, number, data, size):
        self.before_each()
        if number in self.refused:
            data.read(1)
            raise Unavailable("made to fail")
        super().put_part(upload, number, data, size)


@pytest.fixture
def store() -> Flaky:
    return Flaky()


def send(store, numbers, chunks):
    """Relay parts of so many chunks each; return the sizes of those that arrived."""
    size = chunks * len(CHUNK)
    upload = store.begin_upload(BUCKET, "whole", size=size * len(numbers), content_type="text/plain")
    with relaying((store, upload)) as (relay,):
        for number in numbers:
            relay.begin_part(Part(number, (number - 1) * size, size))
            for _ in range(chunks):
                relay.send(CHUNK)
            relay.end_part()
    return store.parts(upload)


def test_all_parts_arrive_whole(store):
    assert send(store, range(1, 8), 5) == dict.fromkeys(range(1, 8), 5000)


def test_a_part_that_is_refused_is_left_out_and_its_bytes_are_dropped(store):
    store.refused = {2, 3}
    # More chunks than have room at once.
    assert send(store, range(1, 8), 40) == dict.fromkeys([1, 4, 5, 6, 7], 40_000)


def test_no_more_is_read_than_has_room(store):
    gate, sent = threading.Event(), []
    store.before_each = lambda: gate.wait(60)
    upload = store.begin_upload(BUCKET, "whole", size=100_000, content_type="text/plain")

    def feed():
        with relaying((store, upload)) as (relay,):
            relay.begin_part(Part(1, 0, 100_000))
            for number in range(100):
                relay.send(CHUNK)
                sent.append(number)

    reader = threading.Thread(target=feed)
    reader.start()
    reader.join(0.5)
    assert len(sent) == 16
    gate.set()
    reader.join(60)
    assert store.parts(upload) == {1: 100_000}


def test_a_part_that_ends_early_is_not_kept(store):
    upload = store.begin_upload(BUCKET, "whole", size=2000, content_type="text/plain")
    with relaying((store, upload)) as (relay,):
        relay.begin_part(Part(1, 0, 2000))
        relay.send(CHUNK)
    assert store.parts(upload) == {}
