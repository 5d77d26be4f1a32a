"""The subscriber of the demo: an HTTP server of this process."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.supervisor.ports import HOST


class Listener(ThreadingHTTPServer):
    """A subscriber: keeps every notification that it is sent, and answers 204."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((HOST, 0), _Handler)
        self.notifications: list[dict[str, Any]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where notifications are to be sent."""
        return f"http://{HOST}:{self.server_port}/"

    def events(self, event_type: str) -> set[tuple[str, str]]:
        """Return the events of a type that came: the replica and the version of each."""
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

    def do_POST(self) -> None:  # the name that the library looks for
        """Keep what is sent."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.notifications.append(json.loads(body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
