"""The demo's subscriber: an HTTP server in this process."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.supervisor.ports import HOST


class Listener(ThreadingHTTPServer):
    """A subscriber: records every notification, and answers 204."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((HOST, 0), _Handler)
        self.notifications: list[dict[str, Any]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """The callback URL."""
        return f"http://{HOST}:{self.server_port}/"

    def events(self, event_type: str) -> set[tuple[str, str]]:
        """Return the received events of a type, as replica and version."""
        return {
            (_replica_of(row["bundle_url"]), row["match"]["bundle_version"])
            for row in list(self.notifications)
            if row["event_type"] == event_type
        }


def _replica_of(url: str) -> str:
    [replica] = parse_qs(urlsplit(url).query)["replica"]
    return replica


class _Handler(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:  # the name is the library's
        """Record the notification."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.notifications.append(json.loads(body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""
