"""Readers as the file objects that the clouds' SDKs take."""

import io
from collections.abc import Iterator

from shared.checksums import MIB
from shared.errors import Unavailable
from shared.stores.base import Reader


class Sequential(io.RawIOBase):
    """A reader of known size, sent as it is read: it has a position and cannot seek."""

    def __init__(self, data: Reader, size: int) -> None:
        self._data = data
        self._size = size
        self._position = 0

    def __len__(self) -> int:
        return self._size

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return `size` of the next bytes, fewer at the end. Raises Unavailable if the data end early."""
        lacking = self._size - self._position if size < 0 else size
        chunks = []
        while lacking > 0 and (chunk := self._data.read(lacking)):
            chunks.append(chunk)
            lacking -= len(chunk)
            self._position += len(chunk)
        if lacking > 0 and self._position < self._size:
            # Raised here, it ends the request at once; the server would wait for the rest.
            raise Unavailable(f"the content ended after {self._position} of {self._size} bytes")
        return b"".join(chunks)

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes that were not read yet, a MiB at a time. Raises what `read` raises."""
        while block := self.read(min(MIB, self._size - self._position)):
            yield block

    def tell(self) -> int:
        """Return the number of bytes that were read."""
        return self._position
