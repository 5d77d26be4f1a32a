"""The drill's subscriber: it believes what is signed with its secret, and nothing else."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from requests_http_signature import HTTPSignatureAuth

from local.supervisor.ports import HOST

SECRET = "a secret of the drill"


class Subscriber(ThreadingHTTPServer):
    """Records which bundle versions it was notified of, by replica; `refused` counts wrong signatures."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((HOST, 0), _Handler)
        self.notified: set[tuple[str, str]] = set()
        self.refused = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """The callback URL."""
        return f"http://{HOST}:{self.server_port}/"

    def receive(self, headers: dict[str, str], body: bytes) -> None:
        """Note what a call says. Raises what the library does if its signature is wrong."""
        call = requests.PreparedRequest()
        call.prepare(method="POST", url=self.url, headers=headers, data=body)
        HTTPSignatureAuth.verify(call, key_resolver=lambda **_: SECRET.encode())
        row: dict[str, Any] = json.loads(body)
        [replica] = parse_qs(urlsplit(row["bundle_url"]).query)["replica"]
        self.notified.add((replica, row["match"]["bundle_version"]))


class _Handler(BaseHTTPRequestHandler):
    server: Subscriber

    def do_POST(self) -> None:  # the name is the library's
        """Answer 204 to what is signed, and 403 to the rest."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            self.server.receive(dict(self.headers), body)
            self.send_response(204)
        except Exception:  # noqa: BLE001 # the library raises AssertionError, ValueError and others
            self.server.refused += 1
            self.send_response(403)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""
