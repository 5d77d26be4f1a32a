"""Which of millions of texts were there already."""

import hashlib

# Bytes of a digest: no two texts have the same.
_SIZE = 16


class Seen:
    """A set of texts that keeps their digests alone: some 80 bytes each in memory, and 16 when it is packed."""

    def __init__(self, packed: bytes = b"") -> None:
        self._digests = {packed[start : start + _SIZE] for start in range(0, len(packed), _SIZE)}

    def is_new(self, text: str) -> bool:
        """Return whether a text was not there yet, and keep it."""
        before = len(self._digests)
        self._digests.add(hashlib.blake2b(text.encode(), digest_size=_SIZE).digest())
        return len(self._digests) > before

    def packed(self) -> bytes:
        """Return what another set of the same texts is made of."""
        return b"".join(self._digests)
