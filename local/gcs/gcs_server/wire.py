"""HTTP/1.1 over a socket, with bodies as streams.

The standard library's server is not used because it spends more time on parsing a request's headers, as
e-mail, than this server spends on answering it.
"""

import os
import socket
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from io import BufferedReader
from typing import BinaryIO

# Google Cloud Storage keeps resumable uploads in multiples of this; bodies are read in such blocks.
BLOCK = 256 * 1024
_LINE_LIMIT = 64 * 1024
# Bytes of unread body beyond which a new connection is cheaper for both sides.
_DRAIN_LIMIT = 128 * 1024 * 1024
_SENT_WITH_HEADERS = 64 * 1024
_REASONS = {status.value: status.phrase for status in HTTPStatus} | {499: "Client Closed Request"}
_READ_FAULTS = (ConnectionError, TimeoutError)


class Disconnected(Exception):
    """The client disconnected before its request was complete."""


class Malformed(Exception):
    """The input isn't HTTP/1.1; the connection is unusable."""


class Body:
    """A request's body, to read once, in order; the first read answers `Expect: 100-continue`."""

    def __init__(self, reader: BufferedReader, length: int | None, invite: Callable[[], None] | None) -> None:
        self._reader = reader
        self._left = length or 0
        self._chunked = length is None
        self._invite = invite
        self.ended = length == 0
        self.length = length

    def read(self, limit: int = BLOCK) -> bytes:
        """Return up to `limit` bytes, fewer only at the end, empty after it.

        Raises Disconnected if the connection ends early, after it returned all received bytes.
        """
        if self.ended:
            return b""
        if self._invite:
            self._invite()
            self._invite = None
        return self._read_chunked(limit) if self._chunked else self._read_sized(limit)

    def blocks(self) -> Iterator[bytes]:
        """Yield the rest of the body, in blocks of BLOCK bytes and a shorter last one."""
        while block := self.read():
            yield block

    def drained(self) -> bool:
        """Skip the unread rest; return False if the connection can't serve another request."""
        if self._invite:
            return self.ended
        past = 0
        try:
            while past <= _DRAIN_LIMIT:
                block = self.read()
                if not block:
                    return True
                past += len(block)
        except Disconnected:
            pass
        return False

    def _read_sized(self, limit: int) -> bytes:
        data = self._take(min(limit, self._left))
        self._left -= len(data)
        self.ended = self._left == 0
        return data

    def _read_chunked(self, limit: int) -> bytes:
        data = b""
        while len(data) < limit and not self.ended:
            if self._left == 0 and not self._begin_chunk():
                break
            piece = self._take(min(limit - len(data), self._left))
            self._left -= len(piece)
            data += piece
            if self._left == 0:
                self._reader.readline(_LINE_LIMIT)
        return data

    def _begin_chunk(self) -> bool:
        try:
            self._left = int(self._reader.readline(_LINE_LIMIT).split(b";")[0], 16)
        except ValueError as error:
            raise Disconnected from error
        if self._left == 0:
            while self._reader.readline(_LINE_LIMIT).strip():
                pass
            self.ended = True
        return not self.ended

    def _take(self, count: int) -> bytes:
        try:
            data = self._reader.read(count)
        except _READ_FAULTS as error:
            raise Disconnected from error
        if not data:
            raise Disconnected
        return data


@dataclass(slots=True)
class Request:
    """A request. `path` and `query` are still percent-encoded; header names are lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: Body
    keep_alive: bool


@dataclass(slots=True)
class Response:
    """An answer: `body`, or `length` bytes of `file` from `offset` on, or `stream`, of unknown length."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    file: BinaryIO | None = None
    offset: int = 0
    length: int = 0
    stream: Iterator[bytes] | None = None


def serve(connection: socket.socket, answer: Callable[[Request], Response]) -> None:
    """Answer the connection's requests, in order, until either side closes it."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, connection.makefile("rb") as reader:
        try:
            while (request := _next_request(reader, connection)) is not None:
                response = answer(request)
                reusable = request.body.drained() and request.keep_alive
                _send(connection, request, response, reusable)
                if not reusable:
                    break
        except (Disconnected, *_READ_FAULTS):
            pass
        except Malformed as error:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n" + str(error).encode())
        except Exception:  # noqa: BLE001  a fault of one connection must not stay silent
            traceback.print_exc()


def _next_request(reader: BufferedReader, connection: socket.socket) -> Request | None:
    line = reader.readline(_LINE_LIMIT)
    if not line:
        return None
    words = line.decode("latin-1").split()
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise Malformed("not an HTTP/1.1 request line")
    path, _, query = words[1].partition("?")
    if not path.startswith("/"):
        raise Malformed("not a path")
    headers = _read_headers(reader)
    invite = None
    if headers.get("expect", "").lower() == "100-continue":
        invite = _invitation(connection)
    keep_alive = words[2] != "HTTP/1.0" and headers.get("connection", "").lower() != "close"
    return Request(words[0], path, query, headers, Body(reader, _body_length(headers), invite), keep_alive)


def _read_headers(reader: BufferedReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    while (line := reader.readline(_LINE_LIMIT)) not in (b"\r\n", b"\n"):
        if not line:
            raise Disconnected
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise Malformed("a header without a colon")
        name, value = name.strip().lower(), value.strip()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _body_length(headers: dict[str, str]) -> int | None:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return None
    try:
        return int(headers.get("content-length", "0"))
    except ValueError as error:
        raise Malformed("a Content-Length that is no number") from error


def _invitation(connection: socket.socket) -> Callable[[], None]:
    return lambda: connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def _send(connection: socket.socket, request: Request, response: Response, reusable: bool) -> None:
    status = response.status
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in response.headers]
    if response.stream is not None:
        lines.append("Transfer-Encoding: chunked")
    elif status not in (204, 304):
        lines.append(f"Content-Length: {response.length if response.file else len(response.body)}")
    if not reusable:
        lines.append("Connection: close")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")
    try:
        if request.method == "HEAD" or status in (204, 304):
            connection.sendall(head)
        elif response.stream is not None:
            _send_stream(connection, head, response.stream)
        elif response.file is not None:
            _send_file(connection, head, response.file, response.offset, response.length)
        else:
            connection.sendall(head + response.body)
    finally:
        if response.file is not None:
            response.file.close()


def _send_file(connection: socket.socket, head: bytes, file: BinaryIO, offset: int, length: int) -> None:
    if length <= _SENT_WITH_HEADERS:
        connection.sendall(head + os.pread(file.fileno(), length, offset))
        return
    connection.sendall(head)
    while length > 0:
        sent = os.sendfile(connection.fileno(), file.fileno(), offset, length)
        if sent == 0:
            raise Disconnected
        offset += sent
        length -= sent


def _send_stream(connection: socket.socket, head: bytes, stream: Iterator[bytes]) -> None:
    connection.sendall(head)
    for piece in stream:
        if piece:
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
    connection.sendall(b"0\r\n\r\n")
