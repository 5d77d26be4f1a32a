"""What was written already, of millions of things, in little memory."""

import hashlib
from array import array

_LEAST = 1 << 12
_KEY_BYTES = 8


class Seen:
    """A set of 64-bit digests, 16 to 32 bytes for each; `encode` is what another process goes on with.

    Of ten million things two have the same digest with a probability of 1 in 400,000.
    """

    def __init__(self, encoded: bytes = b"") -> None:
        self._count = 0
        self._slots = array("Q", bytes(_KEY_BYTES * _LEAST))
        known = array("Q")
        known.frombytes(encoded)
        for key in known:
            self._add(key)

    def add(self, content: bytes) -> bool:
        """Add something; return whether it is new."""
        digest = hashlib.blake2b(content, digest_size=_KEY_BYTES).digest()
        # 0 is an empty slot.
        return self._add(int.from_bytes(digest, "big") or 1)

    def encode(self) -> bytes:
        """Return the digests as bytes."""
        return array("Q", (key for key in self._slots if key)).tobytes()

    def __len__(self) -> int:
        return self._count

    def _add(self, key: int) -> bool:
        if 2 * self._count >= len(self._slots):
            self._grow()
        mask = len(self._slots) - 1
        slot = key & mask
        while known := self._slots[slot]:
            if known == key:
                return False
            slot = (slot + 1) & mask
        self._slots[slot] = key
        self._count += 1
        return True

    def _grow(self) -> None:
        before = self._slots
        self._slots = array("Q", bytes(_KEY_BYTES * 2 * len(before)))
        self._count = 0
        for key in before:
            if key:
                self._add(key)
