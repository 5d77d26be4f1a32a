"""Requests are offered at their rate, whether they are answered or not."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from local.supervisor.ports import HOST
from tests.chaos.capacity import Served
from tests.chaos.offered import Offer, offer
from tests.support.server_threads import in_thread


class _Server(BaseHTTPRequestHandler):
    """Answers as the path says; `/hang` until all ends."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    ending = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/hang":
            self.ending.wait(60)
        status, _, seconds = self.path.strip("/").partition("-")
        self.send_response(int(status) if status.isdigit() else 200)
        if seconds:
            self.send_header("Retry-After", seconds)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a server that answers as paths say."""
    server = ThreadingHTTPServer((HOST, 0), _Server)
    # Clients at the end of their time are gone.
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    with in_thread(server):
        yield server.server_port
        _Server.ending.set()


def plan(port: int, *targets: str, **more: Any) -> Offer:
    return Offer(host=HOST, port=port, targets=list(targets), headers={"X-Any": "x"}, **more)


def test_answers_are_counted_by_status(port: int) -> None:
    answers = asyncio.run(offer(plan(port, "/200", "/503", "/429-1", seconds=1, clients=3)))
    assert answers.statuses.keys() == {200, 429, 503}
    assert sum(answers.statuses.values()) <= answers.offered
    assert answers.without_retry_after == answers.statuses[503]


def test_who_is_not_answered_does_not_keep_others_from_asking(port: int) -> None:
    answers = asyncio.run(offer(plan(port, "/hang", "/200", seconds=1, rate=60)))
    assert 50 <= answers.offered <= 61
    assert answers.statuses.keys() == {200}
    assert 20 <= answers.statuses[200] <= 31


def test_the_program_reads_a_plan_and_writes_what_was_served(port: int) -> None:
    text = json.dumps(asdict(plan(port, "/200", seconds=0.5, clients=1)))
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos.offered"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found = json.loads(done.stdout)
    rate = found["statuses"]["200"]
    served = Served(found["offered"], found["statuses"], found["latencies"], found["without_retry_after"])
    assert served.rate == rate > 0
    assert served.row("name").startswith("| name |")
