"""A cache of blocks for files that are read here and there, or from beginning to end."""

from collections import OrderedDict
from collections.abc import Callable

from fsspec.caching import BaseCache

BLOCK_BYTES = 16 * 1024
# On the way to a store, a request of so many bytes takes as long as one of a single byte.
_LEAST_BYTES = 64 * 1024
_MOST_AHEAD = 4 * 1024 * 1024
# Reads that follow each other, before more is fetched than was asked for.
_STREAK = 2


class BlockCache(BaseCache):
    """Blocks that were read last, up to `max_bytes`; missing ones that lie side by side are one request.

    fsspec's `blockcache` makes a request for each block, its `readahead` throws away what it has at each
    seek. Here only reads that follow each other fetch ahead: the more, the longer they do, up to 4 MiB.
    """

    name = "dss"

    def __init__(
        self,
        blocksize: int,
        fetcher: Callable[[int, int], bytes],
        size: int,
        max_bytes: int = 32 * 1024 * 1024,
    ) -> None:
        super().__init__(blocksize, fetcher, size)
        self.nblocks = -(-size // blocksize)
        self._most = max(1, max_bytes // blocksize)
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._position = 0
        self._streak = 0
        self._ahead = 0

    def _fetch(self, start: int | None, end: int | None) -> bytes:
        """Return the bytes from `start` up to `end`, or fewer at the end of the file."""
        start, end = max(0, start or 0), self.size if end is None else min(end, self.size)
        if start >= end:
            return b""
        self._streak = self._streak + 1 if start == self._position else 0
        self._position = end
        number, beyond = start // self.blocksize, -(-end // self.blocksize)
        skip = start - number * self.blocksize
        pieces = []
        while number < beyond:
            piece, number = self._held(number) or self._load(number, beyond)
            pieces.append(piece)
        return b"".join(pieces)[skip : skip + end - start]

    def _held(self, number: int) -> tuple[bytes, int] | None:
        """Return a block that is held, and the number of the next one."""
        block = self._blocks.get(number)
        if block is None:
            return None
        self.hit_count += 1
        self._blocks.move_to_end(number)
        return block, number + 1

    def _load(self, first: int, beyond: int) -> tuple[bytes, int]:
        """Fetch blocks up to the first that is held, keep them, and return them and the next number."""
        stop = first + 1
        last = min(self.nblocks, self._goal(first, beyond))
        while stop < last and stop not in self._blocks:
            stop += 1
        begin, end = first * self.blocksize, min(stop * self.blocksize, self.size)
        data = self.fetcher(begin, end)
        self.miss_count += 1
        self.total_requested_bytes += end - begin
        for number in range(max(first, stop - self._most), stop):
            offset = (number - first) * self.blocksize
            self._blocks[number] = data[offset : offset + self.blocksize]
        while len(self._blocks) > self._most:
            self._blocks.popitem(last=False)
        return data, stop

    def _goal(self, first: int, beyond: int) -> int:
        """Return the number of the block up to which to fetch."""
        wanted = (beyond - first) * self.blocksize
        if self._streak >= _STREAK:
            self._ahead = min(max(2 * self._ahead, wanted, _LEAST_BYTES), _MOST_AHEAD)
        else:
            self._ahead = 0
        blocks: int = -(-max(wanted + self._ahead, _LEAST_BYTES) // self.blocksize)
        return first + blocks
