"""The cache of blocks and the batches of ranges: what they ask for, and that they return the right bytes."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dss.filesystem.batches import MAX_BATCH_BYTES, batches
from dss.filesystem.blocks import BlockCache

KIB = 1024
MIB = 1024 * KIB


class Source:
    """Content that records what is fetched of it."""

    def __init__(self, size: int) -> None:
        self.content = bytes(number * 7 % 251 for number in range(size))
        self.fetched: list[tuple[int, int]] = []

    def fetch(self, start: int, end: int) -> bytes:
        self.fetched.append((start, end))
        return self.content[start:end]

    def cache(self, block: int, **options: int) -> BlockCache:
        return BlockCache(block, self.fetch, len(self.content), **options)


class Zeros(Source):
    """Content of a size that no test holds in memory."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.fetched = []

    def fetch(self, start: int, end: int) -> bytes:
        self.fetched.append((start, end))
        return bytes(end - start)

    def cache(self, block: int, **options: int) -> BlockCache:
        return BlockCache(block, self.fetch, self.size, **options)


@given(
    st.integers(0, 3000),
    st.integers(1, 50),
    st.integers(1, 500),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 700)), max_size=30),
)
def test_every_read_returns_the_bytes_of_the_file(
    size: int, block: int, most: int, reads: list[tuple[int, int]]
) -> None:
    source = Source(size)
    cache = source.cache(block, max_bytes=most)

    for start, length in reads:
        assert cache._fetch(start, start + length) == source.content[start : start + length]

    assert len(cache._blocks) <= max(1, most // block)


def test_what_was_read_is_not_fetched_again_and_gaps_are_one_request_each() -> None:
    source = Zeros(10 * MIB)
    cache = source.cache(16 * KIB)
    cache._fetch(1 * MIB, 1 * MIB + 100 * KIB)
    cache._fetch(2 * MIB, 2 * MIB + 100 * KIB)
    source.fetched.clear()

    cache._fetch(2 * MIB + 5, 2 * MIB + 99 * KIB)
    assert source.fetched == []

    cache._fetch(1 * MIB - 100 * KIB, 2 * MIB + 200 * KIB)
    assert [start for start, _ in source.fetched] == [
        1 * MIB - 112 * KIB,
        1 * MIB + 112 * KIB,
        2 * MIB + 112 * KIB,
    ]


def test_reads_here_and_there_fetch_hardly_more_than_they_need() -> None:
    source = Zeros(100 * MIB)
    cache = source.cache(16 * KIB)

    for number in range(20):
        cache._fetch(number * 4 * MIB + 12_345, number * 4 * MIB + 12_345 + 98_000)

    assert len(source.fetched) == 20
    assert sum(end - start for start, end in source.fetched) < 1.35 * 20 * 98_000


def test_tiny_reads_beside_each_other_are_one_request() -> None:
    source = Zeros(MIB)
    cache = source.cache(16 * KIB)

    for position in range(0, 60_000, 1000):
        cache._fetch(position % 7000 * 8, position % 7000 * 8 + 10)

    assert source.fetched == [(0, 64 * KIB)]


def test_reading_on_and_on_takes_few_requests_and_nothing_twice() -> None:
    source = Zeros(64 * MIB)
    cache = source.cache(16 * KIB)

    for position in range(0, 64 * MIB, 100_000):
        cache._fetch(position, position + 100_000)

    assert len(source.fetched) < 30
    assert sum(end - start for start, end in source.fetched) == 64 * MIB
    assert max(end - start for start, end in source.fetched) < 5 * MIB


def test_a_read_that_is_larger_than_the_cache_is_one_request() -> None:
    source = Source(200 * KIB)
    cache = source.cache(KIB, max_bytes=10 * KIB)

    assert cache._fetch(0, 200 * KIB) == source.content
    assert source.fetched == [(0, 200 * KIB)]
    assert len(cache._blocks) == 10


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 60)).map(lambda row: (row[0], sum(row)))),
    st.integers(0, 100),
)
def test_each_range_is_within_its_batch_and_near_ones_share_one(
    wanted: list[tuple[int, int]], max_gap: int
) -> None:
    found = batches(wanted, max_gap=max_gap)

    assert sorted(index for batch in found for index in batch.members) == list(range(len(wanted)))
    for batch in found:
        assert all(batch.start <= wanted[n][0] and wanted[n][1] <= batch.end for n in batch.members)
    for one, other in pairwise(found):
        assert one.end + max_gap < other.start


def test_batches_are_no_longer_than_16_mib_unless_a_range_is() -> None:
    ranges = [(start, start + MIB) for start in range(0, 40 * MIB, MIB)]

    found = batches([*ranges, (100 * MIB, 150 * MIB)])

    assert [batch.end - batch.start for batch in found] == [
        MAX_BATCH_BYTES,
        MAX_BATCH_BYTES,
        8 * MIB,
        50 * MIB,
    ]
