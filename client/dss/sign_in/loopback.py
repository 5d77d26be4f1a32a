"""A port of the loopback address that waits for the browser to return (RFC 8252, 7.3)."""

import errno
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from dss.errors import InvalidInput, SignInFailed

# Seconds that a connection may take to send its request.
_REQUEST_SECONDS = 5.0
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title></head><body><h1>{title}</h1><p>{text}</p></body></html>
"""


class Loopback:
    """Listens on a port of this machine; `redirect_uri` is its address. A context manager."""

    def __init__(self, host: str, port: int, path: str) -> None:
        """Listen on `port`, 0 for a free one. Raises InvalidInput if it is taken."""
        try:
            self._server = _Server(("127.0.0.1", port), _Handler)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise InvalidInput(
                f"port {port} is not to be had ({error.strerror}), and the browser has to return to it; end "
                "the program that uses it, give --port, or use --no-browser"
            ) from error
        self._server.path = path
        self.redirect_uri = f"http://{host}:{self._server.server_address[1]}{path}"

    def __enter__(self) -> "Loopback":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    def wait(self, accepts: Callable[[Mapping[str, str]], bool], seconds: float) -> dict[str, str]:
        """Return the query of the first redirect that `accepts` returns true for; others get an error page.

        Raises SignInFailed if none comes within so many seconds.
        """
        self._server.accepts = accepts
        ends = time.monotonic() + seconds
        while self._server.found is None:
            left = ends - time.monotonic()
            if left <= 0:
                raise SignInFailed(f"nobody signed in within {seconds:.0f} s; nothing was stored")
            self._server.timeout = min(left, 1.0)
            self._server.handle_request()
        return self._server.found


class _Server(HTTPServer):
    # Two of these must not share a port.
    allow_reuse_address = False
    path = "/"
    found: dict[str, str] | None = None
    accepts: Callable[[Mapping[str, str]], bool]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore connections that break: the browser may come again."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _REQUEST_SECONDS
    server: _Server

    def do_GET(self) -> None:
        """Take the redirect, and show what became of it."""
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        if parts.path != self.server.path or not query:
            self._show(404, "Not found", "This address is for the browser to return to after sign-in.")
        elif not self.server.accepts(query):
            self._show(400, "Not accepted", "This belongs to another sign-in. Start again in the terminal.")
        else:
            self.server.found = query
            if "error" in query:
                self._show(200, "Not signed in", "You can close this window; the terminal says why.")
            else:
                self._show(200, "Back to the terminal", "You can close this window.")

    def _show(self, status: int, title: str, text: str) -> None:
        body = _PAGE.format(title=title, text=text).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", "default-src 'none'")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing: the query has the code."""
