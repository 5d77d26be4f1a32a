"""A subscriber: an HTTP server that records every request, and misbehaves if the path says so.

The first word of the path decides the answer: `/ok`, `/500`, `/redirect`, `/reset`, `/hang`, `/drip`; the
rest of the path is free, for instance to name a subscription.
"""

import contextlib
import json
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.server_threads import in_thread


@dataclass(frozen=True, kw_only=True)
class RecordedRequest:
    """A recorded request; `came` is by the monotonic clock."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    came: float

    @property
    def json(self) -> dict[str, Any]:
        """The parsed JSON body."""
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


class Subscriber(ThreadingHTTPServer):
    """Records `calls`; `answers` gives the status for a path, before its first word does."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), _Handler)
        self.host = host
        self.calls: list[RecordedRequest] = []
        self.answers: dict[str, int] = {}
        self.ending = threading.Event()
        self.scheme = "http"

    def url(self, path: str, host: str | None = None) -> str:
        """Return the URL of a path."""
        return f"{self.scheme}://{host or self.host}:{self.server_port}{path}"

    def calls_of(self, path: str) -> list[RecordedRequest]:
        """Return the recorded calls of a path, in order."""
        return [call for call in list(self.calls) if call.path == path]

    def wait(self, condition: Callable[[], Any], seconds: float = 120) -> Any:
        """Wait for a true result of `condition`, and return it; fail after `seconds`."""
        deadline = time.monotonic() + seconds
        while not (result := condition()):
            came = [(call.path, call.body[:300]) for call in self.calls[-20:]]
            assert time.monotonic() < deadline, f"not within {seconds} s; what came last: {came}"
            time.sleep(0.05)
        return result

    def wait_for(self, path: str, count: int = 1, seconds: float = 120) -> list[RecordedRequest]:
        """Wait for `count` calls of a path, and return them; fail after `seconds`."""
        calls: list[RecordedRequest] = self.wait(
            lambda: len(got := self.calls_of(path)) >= count and got, seconds
        )
        return calls

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: connections that end early are intended here."""


class _Handler(BaseHTTPRequestHandler):
    server: Subscriber
    protocol_version = "HTTP/1.1"
    # Header and body are two packets: the second would wait for the client to acknowledge the first.
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.calls.append(
            RecordedRequest(
                method=self.command, path=self.path, headers=headers, body=body, came=time.monotonic()
            )
        )
        word = str(self.server.answers.get(self.path, "")) or self.path.strip("/").partition("/")[0]
        if word == "hang":
            self.server.ending.wait(60)
        elif word == "drip":
            self._drip()
        elif word == "reset":
            # Makes the close a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())
        else:
            status = {"ok": 200, "redirect": 302}.get(word) or int(word)
            self.send_response(status)
            if word == "redirect":
                self.send_header("Location", self.server.url("/ok/redirected"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.close_connection = True

    do_POST = do_PUT = do_GET = _answer  # noqa: N815

    def _drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not self.server.ending.wait(0.05):
            self.wfile.write(b"x")

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextlib.contextmanager
def subscriber(host: str = "127.0.0.1", *, certificate: str = "") -> Iterator[Subscriber]:
    """Run a subscriber; over TLS if `certificate` names a PEM file with key and certificate."""
    server = Subscriber(host)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.scheme = "https"
    with in_thread(server):
        try:
            yield server
        finally:
            server.ending.set()
