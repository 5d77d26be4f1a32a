"""A reverse proxy for HTTP that records exchanges and injects the faults that tests ask for.

It stands between the API and an object store. Bodies are streamed, connections kept, the Host header left as
it is: signatures hold.
"""

import http.client
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_CHUNK = 64 * 1024
# Seconds: the longest call of a test, a server-side copy of a gigabyte, takes less.
_TIMEOUT = 120
# RFC 9110, 7.6.1: these are of one connection, not of the message. Expect has been answered by then.
_OF_THE_CONNECTION = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "expect"}


@dataclass(kw_only=True)
class Exchange:
    """A request and its answer: status 0 before there is one; bytes are those of the bodies."""

    method: str
    path: str
    query: dict[str, str]
    status: int = 0
    sent: int = 0
    received: int = 0

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.query or ''} -> {self.status}"


@dataclass(kw_only=True)
class Fault:
    """A fault of the next `times` requests of a method (any) whose path and query contain `text`.

    Delayed by `delay` seconds; answered `status` (and `content`) without being forwarded; its connection
    reset; forwarded with a body that ends after `send_until` bytes, or has a bit of the byte at `spoil_at`
    flipped; forwarded and never answered; or answered with a body that ends after `cut_at` bytes, or has a
    bit of the byte at `corrupt_at` flipped.
    """

    method: str = ""
    text: str = ""
    times: int = 1
    delay: float = 0.0
    status: int = 0
    content: bytes = b""
    reset: bool = False
    send_until: int | None = None
    spoil_at: int | None = None
    lose_answer: bool = False
    cut_at: int | None = None
    corrupt_at: int | None = None

    def befalls(self, method: str, target: str) -> bool:
        """Return whether the fault applies to a request."""
        return self.times > 0 and self.method in ("", method) and self.text in target


@dataclass
class HttpProxy:
    """`with HttpProxy(url) as proxy:` serves the server at `url` under `proxy.url`, from threads.

    Without a URL it serves nothing: everything is recorded, and answered 502.
    """

    target: str = ""
    exchanges: list[Exchange] = field(default_factory=list)
    _harms: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> "HttpProxy":
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def inflict(self, harm: Fault) -> None:
        """Inject a fault into requests to come."""
        with self._lock:
            self._harms.append(harm)

    def forget(self) -> None:
        """Forget all exchanges and faults."""
        with self._lock:
            self.exchanges.clear()
            self._harms.clear()

    def begin(self, method: str, target: str) -> tuple[Exchange, Fault]:
        """Record a request, and return its fault, if any."""
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        exchange = Exchange(method=method, path=parts.path, query=query)
        with self._lock:
            self.exchanges.append(exchange)
            for harm in self._harms:
                if harm.befalls(method, target):
                    harm.times -= 1
                    return exchange, harm
        return exchange, Fault()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: a killed client has closed its connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    proxy: HttpProxy

    def __getattr__(self, name: str) -> Any:
        """Relay every method: the base class looks for `do_GET`, `do_PUT` and so on."""
        if name.startswith("do_"):
            return self._relay
        raise AttributeError(name)

    def log_message(self, *_: Any) -> None:
        """Log nothing: the exchanges are recorded."""

    def _relay(self) -> None:
        exchange, harm = self.proxy.begin(self.command, self.path)
        time.sleep(harm.delay)
        if harm.status or not self.proxy.target:
            self._refuse(exchange, harm.status or 502, harm.content)
            return
        if harm.reset:
            # Closing without lingering resets the connection for the other side.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        parts = urlsplit(self.proxy.target)
        upstream = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT)
        try:
            self._forward(upstream, exchange, harm)
            answer = upstream.getresponse()
            exchange.status = answer.status
            if harm.lose_answer:
                answer.read()
                self.close_connection = True
            else:
                self._answer(answer, exchange, harm)
        finally:
            upstream.close()

    def _refuse(self, exchange: Exchange, status: int, content: bytes) -> None:
        for data in self._body():
            exchange.sent += len(data)
        exchange.status = status
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _forward(self, upstream: http.client.HTTPConnection, exchange: Exchange, harm: Fault) -> None:
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() == "content-length" and harm.send_until is not None:
                value = str(min(harm.send_until, int(value)))
            if name.lower() not in _OF_THE_CONNECTION:
                upstream.putheader(name, value)
        chunked = self._is_chunked()
        if chunked:
            upstream.putheader("Transfer-Encoding", "chunked")
        upstream.endheaders()
        for data in self._body():
            harmed = _harmed(data, exchange.sent, cut_at=harm.send_until, corrupt_at=harm.spoil_at)
            exchange.sent += len(data)
            if harmed:
                upstream.send(_as_chunk(harmed) if chunked else harmed)
        if chunked:
            upstream.send(b"0\r\n\r\n")

    def _is_chunked(self) -> bool:
        return "chunked" in (self.headers.get("Transfer-Encoding") or "").lower()

    def _body(self) -> Iterator[bytes]:
        if not self._is_chunked():
            yield from self._exactly(int(self.headers.get("Content-Length") or 0))
            return
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield from self._exactly(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size > 0:
            data = self.rfile.read(min(size, _CHUNK))
            if not data:
                raise ConnectionError("the client has gone")
            size -= len(data)
            yield data

    def _answer(self, answer: http.client.HTTPResponse, exchange: Exchange, harm: Fault) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _OF_THE_CONNECTION:
                self.send_header(name, value)
        chunked = answer.chunked
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif answer.length is None and self.command != "HEAD":
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        while data := answer.read1(_CHUNK):
            harmed = _harmed(data, exchange.received, cut_at=harm.cut_at, corrupt_at=harm.corrupt_at)
            exchange.received += len(data)
            self.wfile.write(_as_chunk(harmed) if chunked and harmed else harmed)
            if len(harmed) < len(data):
                self.close_connection = True
                return
        if chunked:
            self.wfile.write(b"0\r\n\r\n")


def _as_chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _harmed(data: bytes, position: int, *, cut_at: int | None, corrupt_at: int | None) -> bytes:
    """Return the part to pass on of the bytes of a body that begin at `position`."""
    if corrupt_at is not None and 0 <= (at := corrupt_at - position) < len(data):
        data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    if cut_at is not None:
        data = data[: max(0, cut_at - position)]
    return data
