"""A web server with objects, over TLS, as labs and archives run them, with what goes wrong there."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from local.issuer.keys import Key
from local.supervisor.ports import HOST
from tests.support.server_threads import in_thread

NAME = "localhost"


@dataclass(frozen=True)
class WebObject:
    """Content at a path; `takes_ranges`, and `tells_time` and `tells_etag` are what its server does."""

    content: bytes
    written: float = 1_700_000_000.0
    takes_ranges: bool = True
    tells_time: bool = True
    tells_etag: bool = True

    @property
    def headers(self) -> dict[str, str]:
        """What the server says of it."""
        said = {"Content-Type": "application/x-bam"}
        if self.tells_time:
            said["Last-Modified"] = formatdate(self.written, usegmt=True)
        if self.tells_etag:
            said["ETag"] = f'"{sha256(self.content).hexdigest()[:16]}"'
        return said


class WebObjects:
    """Objects and redirects by path; `asked` are the requests: method, path and range."""

    def __init__(self, port: int, certificate: Path) -> None:
        self.url = f"https://{NAME}:{port}"
        self.certificate = str(certificate)
        self.objects: dict[str, WebObject] = {}
        self.redirects: dict[str, str] = {}
        self.refused: dict[str, int] = {}
        self.asked: list[tuple[str, str, str]] = []

    def put(self, path: str, content: bytes, **more: Any) -> str:
        """Put an object at a path; return its URL."""
        self.objects[path] = WebObject(content, **more)
        return f"{self.url}{path}"


class _Handler(BaseHTTPRequestHandler):
    web: WebObjects

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        wanted = self.headers.get("Range", "")
        self.web.asked.append((self.command, self.path, wanted))
        path = self.path.partition("?")[0]
        if path in self.web.refused or path not in self.web.objects | self.web.redirects:
            return self._send(self.web.refused.get(path, 404), {}, b"")
        if path in self.web.redirects:
            return self._send(302, {"Location": self.web.redirects[path]}, b"")
        found = self.web.objects[path]
        for name, said in (("If-Match", "ETag"), ("If-Unmodified-Since", "Last-Modified")):
            if name in self.headers and self.headers[name] != found.headers.get(said):
                return self._send(412, {}, b"")
        if not wanted or not found.takes_ranges:
            return self._send(200, found.headers, found.content, with_body=with_body)
        first, last = map(int, wanted.removeprefix("bytes=").split("-"))
        content = found.content[first : last + 1]
        span = f"bytes {first}-{first + len(content) - 1}/{len(found.content)}"
        return self._send(206, {**found.headers, "Content-Range": span}, content, with_body=with_body)

    def _send(self, status: int, headers: dict[str, str], content: bytes, *, with_body: bool = True) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        return


@contextmanager
def web_objects(directory: Path) -> Iterator[WebObjects]:
    """Run a server; `directory` gets its certificate."""
    key = Key.new()
    private, certificate = directory / "key.pem", directory / "certificate.pem"
    private.write_text(key.pem())
    certificate.write_text(key.certificate(NAME))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private)

    class Handler(_Handler):
        pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Handler.web = WebObjects(server.server_port, certificate)
    with in_thread(server):
        yield Handler.web
