"""Answers with the bytes of objects, read from their store on demand, with ranges and conditions."""

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from flask import Response, request
from werkzeug.wsgi import FileWrapper

from shared.stores.base import ObjectStore, Reader, StoredObject

# Bytes of an answer that are in memory at once.
_BLOCK = 256 * 1024


def object_answer(
    store: ObjectStore, stored: StoredObject, spans: Sequence[tuple[int, int]], *, content_type: str, tag: str
) -> Response:
    """Return the answer to a GET or HEAD of ranges of an object, one after the other.

    A span is the first byte and the number of bytes. `tag` differs for other content.
    """
    size = sum(length for _, length in spans)
    file = io.BufferedReader(_Spans(store, stored, spans), _BLOCK)  # type: ignore[type-var] # typed for `read` alone
    # Not the server's own wrapper: gunicorn's cannot seek, and reads everything before a range.
    response = Response(FileWrapper(file, _BLOCK), direct_passthrough=True)
    response.call_on_close(file.close)
    response.headers["Content-Type"] = content_type
    response.content_length = size
    response.set_etag(tag)
    # In a browser an object must never act as a page of this service.
    response.headers["Content-Security-Policy"] = "sandbox"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.make_conditional(request, accept_ranges=True, complete_length=size)
    return response


class _Spans(io.RawIOBase):
    """Ranges of an object as a file that is read from its store on demand."""

    def __init__(self, store: ObjectStore, stored: StoredObject, spans: Sequence[tuple[int, int]]) -> None:
        self._store = store
        self._stored = stored
        self._spans = spans
        # Where each span begins in the file, and where the last one ends.
        self._starts = list(accumulate((length for _, length in spans), initial=0))
        self._position = 0
        self._reader: Reader | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("only positions from the start are supported")
        self._close_reader()
        self._position = offset
        return offset

    def readinto(self, buffer: bytearray, /) -> int:  # type: ignore[override] # typed as Buffer
        if self._position >= self._starts[-1]:
            return 0
        number = bisect_right(self._starts, self._position) - 1
        within = self._position - self._starts[number]
        first, length = self._spans[number]
        if self._reader is None:
            self._reader = self._store.read(self._stored, first + within, length - within)
        data = self._reader.read(min(len(buffer), length - within))
        buffer[: len(data)] = data
        self._position += len(data)
        if not data or self._position == self._starts[number + 1]:
            self._close_reader()
        return len(data)

    def close(self) -> None:
        self._close_reader()
        super().close()

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
