"""What is asked of an issuer: without passwords of ~/.netrc or redirects, and with a bound."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dss.errors import CallFailed, SignInFailed
from dss.sign_in.provider import Refused, fetch_json, post
from dss.tokens import fetch_local
from tests.support.server_threads import in_thread

_CHUNK, _CHUNKS = b"x" * 1_000_000, 100


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("Authorization")))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "http://issuer.example.org/there")
        else:
            self.send_response(403 if self.path == "/refuse" else 200)
        self.end_headers()
        try:
            for _ in range(_CHUNKS if self.path == "/long" else 0):
                self.wfile.write(_CHUNK)
                self.server.sent += 1
            self.wfile.write(b'{"access_token": "t"}')
        except OSError:
            pass
        self.server.done.set()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


class _Server(ThreadingHTTPServer):
    """Notes paths and `Authorization` of requests, and how much was sent of `/long`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, str | None]] = []
        self.sent = 0
        self.done = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def server() -> Iterator[_Server]:
    server = _Server()
    with in_thread(server):
        yield server


def local(url: str) -> str:
    return fetch_local(url, email="ada@example.org", group=None, seconds=60)


ASKS = [fetch_json, lambda url: post(url, {"a": "b"}), local]
GIVEN = [{"access_token": "t"}, {"access_token": "t"}, "t"]


@pytest.mark.parametrize(("ask", "given"), [*zip(ASKS, GIVEN, strict=True)])
def test_no_password_of_netrc_is_sent(
    server: _Server, ask: Callable[[str], Any], given: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    assert ask(f"{server.url}/token") == given

    assert server.seen == [("/token", None)]


@pytest.mark.parametrize("ask", ASKS)
def test_a_redirect_is_not_followed(server: _Server, ask: Callable[[str], Any]) -> None:
    with pytest.raises((SignInFailed, CallFailed), match=r"302"):
        ask(f"{server.url}/redirect")

    assert len(server.seen) == 1


def test_where_a_redirect_leads_is_told(server: _Server) -> None:
    with pytest.raises(SignInFailed, match=r"302 Found, a redirect to http://issuer\.example\.org/there"):
        fetch_json(f"{server.url}/redirect")


@pytest.mark.parametrize("ask", ASKS)
def test_an_answer_without_end_is_not_read(server: _Server, ask: Callable[[str], Any]) -> None:
    with pytest.raises(SignInFailed, match="did not answer with a JSON object"):
        ask(f"{server.url}/long")

    assert server.done.wait(60)
    # The system buffers some of it.
    assert server.sent < _CHUNKS / 2


def test_what_refuses_is_quoted(server: _Server) -> None:
    with pytest.raises(CallFailed, match=r"403 Forbidden: .*access_token"):
        local(f"{server.url}/refuse")
    with pytest.raises(Refused, match="refused: 403: Forbidden"):
        post(f"{server.url}/refuse", {})
