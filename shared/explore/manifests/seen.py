"""What was written already, of millions of things, in little memory."""

import hashlib
import io
from array import array
from collections.abc import Iterable

_KEY_BYTES = 8
# A table for each first byte of a digest: while one grows, only that one is in memory twice.
_TABLES = 256
_LEAST = 16


class Seen:
    """A set of 64-bit digests, 12 to 18 bytes for each; `encode` is what another process goes on with.

    Of ten million things two have the same digest with a probability of 1 in 400,000.
    """

    def __init__(self, encoded: bytes | memoryview = b"") -> None:
        self._counts = [0] * _TABLES
        self._tables = [_empty(_LEAST) for _ in range(_TABLES)]
        for key in memoryview(encoded).cast("Q"):
            self._add(key)

    def add(self, content: bytes) -> bool:
        """Add something; return whether it is new."""
        digest = hashlib.blake2b(content, digest_size=_KEY_BYTES).digest()
        # 0 is an empty slot.
        return self._add(int.from_bytes(digest, "big") or 1)

    def encode(self, head: bytes = b"") -> bytes:
        """Return the digests as bytes, behind a head."""
        encoded = io.BytesIO()
        encoded.write(head)
        for table in self._tables:
            encoded.write(array("Q", filter(None, table)))
        return encoded.getvalue()

    def __len__(self) -> int:
        return sum(self._counts)

    def _add(self, key: int) -> bool:
        number = key >> 56
        table = self._tables[number]
        # Of tables that are two thirds full, six slots are looked at for a new digest.
        if 3 * self._counts[number] >= 2 * len(table):
            table = self._tables[number] = _copied(table, len(table) + len(table) // 2)
        is_new = _put(table, key)
        self._counts[number] += is_new
        return is_new


def _empty(size: int) -> "array[int]":
    return array("Q", bytes(_KEY_BYTES * size))


def _copied(keys: Iterable[int], size: int) -> "array[int]":
    table = _empty(size)
    for key in filter(None, keys):
        _put(table, key)
    return table


def _put(table: "array[int]", key: int) -> bool:
    size = len(table)
    slot = key % size
    while known := table[slot]:
        if known == key:
            return False
        slot = slot + 1 if slot + 1 < size else 0
    table[slot] = key
    return True
