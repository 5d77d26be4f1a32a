"""Lines of messages lose, double and delay what they are to, and nothing else."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from local.supervisor.ports import HOST, reserve
from tests.chaos import pushes
from tests.chaos.proxies import Lines
from tests.chaos.pushes import PushLine
from tests.support.server_threads import in_thread
from tests.support.waiting import wait_until


class _Function(BaseHTTPRequestHandler):
    """Takes messages, and answers that it has."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    got: list[bytes] = []  # of all connections
    lock = threading.Lock()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock:
            self.got.append(body)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def line() -> Iterator[tuple[PushLine, str]]:
    """A line to a function, and the URL of its beginning."""
    server = ThreadingHTTPServer((HOST, 0), _Function)
    with in_thread(server), Lines().running() as lines, reserve() as reservation:
        port = reservation.getsockname()[1]
        line = PushLine(f"{HOST}:{server.server_port}", port)
        lines.listen(line)
        yield line, f"http://{HOST}:{port}/"


@pytest.mark.parametrize(
    ("mode", "arrives", "is_answered"),
    [
        ("", 1, True),
        (pushes.LOST, 0, True),
        (pushes.DOUBLED, 2, True),
        (pushes.UNANSWERED, 1, False),
        (pushes.LATE, 1, True),
    ],
)
def test_a_message_arrives_so_often(
    line: tuple[PushLine, str], mode: str, arrives: int, is_answered: bool
) -> None:
    push, url = line
    body = f"message {mode}" + "x" * 100_000
    push.mode = mode
    if is_answered:
        assert requests.post(url, data=body, timeout=60).status_code == 204
    else:
        with pytest.raises(requests.ConnectionError):
            requests.post(url, data=body, timeout=60)
    wait_until(lambda: _Function.got.count(body.encode()) == arrives, "it arrives")
