"""Readers in the forms that the clouds' SDKs want."""

import io

from shared.errors import Unavailable
from shared.stores.base import Reader


class Sequential(io.RawIOBase):
    """A reader of known size, to be sent as it comes: it tells its position and cannot go back."""

    def __init__(self, data: Reader, size: int) -> None:
        self._data = data
        self._size = size
        self._position = 0

    def __len__(self) -> int:
        return self._size

    def readable(self) -> bool:
        """Say yes."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return so many of the next bytes, fewer at the end. Raises Unavailable where that comes early."""
        wanted = self._size - self._position if size < 0 else size
        chunks = []
        while wanted > 0 and (chunk := self._data.read(wanted)):
            chunks.append(chunk)
            wanted -= len(chunk)
            self._position += len(chunk)
        if wanted > 0 and self._position < self._size:
            # Said here, it ends the request at once; the server would wait for the rest.
            raise Unavailable(f"the content ended after {self._position} of {self._size} bytes")
        return b"".join(chunks)

    def tell(self) -> int:
        """Return how much has been read."""
        return self._position
