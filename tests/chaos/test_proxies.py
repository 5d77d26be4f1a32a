"""A line passes everything on, is late, is busy, or breaks off."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from local.supervisor.ports import HOST, reserve
from tests.chaos.proxies import Lines

BODY = b"x" * 2_000_000


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked = threading.Event()
    go_on = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[:1000])
        self.asked.set()
        self.go_on.wait(30)
        self.wfile.write(BODY[1000:])

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def lines() -> Iterator[tuple[Lines, str]]:
    """Lines to one server, and the URL of the first."""
    server = ThreadingHTTPServer((HOST, 0), _Handler)
    server.daemon_threads = True
    # It has nothing to say of a connection that is cut.
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Lines().running() as running, reserve() as reservation:
        port = reservation.getsockname()[1]
        running.add("s3", f"{HOST}:{server.server_port}", port, http=True)
        yield running, f"http://{HOST}:{port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _goes_on() -> None:
    _Handler.asked.clear()
    _Handler.go_on.set()


def test_everything_passes(lines: tuple[Lines, str]) -> None:
    _, url = lines
    assert requests.get(url, timeout=30).content == BODY


def test_a_slow_line_delays_each_request(lines: tuple[Lines, str]) -> None:
    running, url = lines
    running["s3"].delay = 0.2
    began = time.monotonic()
    assert requests.get(url, timeout=30).content == BODY
    running["s3"].delay = 0.0
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize(
    ("status", "code"), [(429, b"TooManyRequests"), (500, b"InternalError"), (503, b"SlowDown")]
)
def test_a_store_refuses_requests(lines: tuple[Lines, str], status: int, code: bytes) -> None:
    running, url = lines
    running["s3"].status = status
    answer = requests.get(url, timeout=30)
    running["s3"].status = 0
    assert (answer.status_code, answer.content) == (status, b"<Error><Code>%b</Code></Error>" % code)
    assert requests.get(url, timeout=30).status_code == 200


def test_a_line_is_cut_within_a_body(lines: tuple[Lines, str]) -> None:
    running, url = lines
    _Handler.go_on.clear()
    with requests.get(url, timeout=30, stream=True) as answer:
        assert _Handler.asked.wait(30)
        running.cut("s3")
        _Handler.go_on.set()
        with pytest.raises(requests.RequestException):
            _ = answer.content
