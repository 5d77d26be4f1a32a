"""Read a multipart body: a small part, then one of any size, as a stream."""

from collections.abc import Iterator

from gcs_server.errors import BadRequest
from gcs_server.wire import Body

_SMALL = 1024 * 1024  # bytes of metadata, far beyond what an object may have


class Multipart:
    """Read the parts in their order. All methods raise BadRequest if the body is malformed.

    Lines end as the first boundary's line does: with CRLF, or with LF alone, as apitools writes it.
    """

    def __init__(self, body: Body, boundary: bytes) -> None:
        self._body = body
        self._buffer = b""
        while (line := self._until(b"\n")).rstrip() != b"--" + boundary:
            pass
        self._newline = b"\r\n" if line.endswith(b"\r") else b"\n"
        self._delimiter = self._newline + b"--" + boundary
        # `next_headers` begins after a boundary, at the end of its line.
        self._buffer = self._newline + self._buffer

    def small_part(self) -> tuple[dict[str, str], bytes]:
        """Return the next part's headers and content, of at most a mebibyte."""
        headers = self.next_headers()
        return headers, self._until(self._delimiter)

    def next_headers(self) -> dict[str, str]:
        """Return the next part's headers, in lower case."""
        if self._until(self._newline).strip():
            raise BadRequest("Invalid multipart request: a part is missing")
        headers = {}
        while line := self._until(self._newline):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        return headers

    def blocks(self) -> Iterator[bytes]:
        """Yield the content of the last part, after `next_headers`."""
        overlap = len(self._delimiter)
        while (end := self._buffer.find(self._delimiter)) < 0:
            if len(self._buffer) > overlap:
                yield self._buffer[:-overlap]
                self._buffer = self._buffer[-overlap:]
            self._fill()
        yield self._buffer[:end]
        rest = self._buffer[end + overlap :]
        while block := self._body.read():
            rest += block
        if rest.strip() != b"--":
            raise BadRequest("Invalid multipart request: more than two parts")

    def _until(self, mark: bytes) -> bytes:
        while (end := self._buffer.find(mark)) < 0:
            if len(self._buffer) > _SMALL:
                raise BadRequest("Invalid multipart request: the metadata is too long")
            self._fill()
        found = self._buffer[:end]
        self._buffer = self._buffer[end + len(mark) :]
        return found

    def _fill(self) -> None:
        block = self._body.read()
        if not block:
            raise BadRequest("Invalid multipart request: it ends within a part")
        self._buffer += block
