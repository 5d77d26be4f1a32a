"""Signed URLs are fetched over few connections, and by requests if they need more of HTTP."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pytest
import requests

from dss.api.direct_gets import DirectGets, NotUnderstood
from dss.api.signed_get import SignedGets
from local.issuer.keys import Key

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Any: a:b\r\n\r\nabc"


class Server:
    """Sends one of the given answers to each request; `None` closes the connection without one."""

    def __init__(self, *answers: bytes | None) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self._answers = list(answers)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.tls: ssl.SSLContext | None = None
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def run(self) -> None:
        with self._socket:
            while self._answers:
                connection, _ = self._socket.accept()
                self.connections += 1
                # A client that does not trust the certificate ends the connection.
                with suppress(ssl.SSLError), self._secured(connection) as connection:
                    self._answer(connection)

    def _secured(self, connection: socket.socket) -> socket.socket:
        return self.tls.wrap_socket(connection, server_side=True) if self.tls else connection

    def _answer(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as reader:
            while self._answers and (head := _head(reader)):
                self.requests.append(head)
                answer = self._answers.pop(0)
                if answer is None:
                    break
                connection.sendall(answer)
                if b"close" in answer:
                    break


def _head(reader: BinaryIO) -> bytes:
    """Return the head of the next request, nothing if there is none."""
    return b"".join(iter(lambda: reader.readline().removesuffix(b"\r\n"), b""))


@contextmanager
def serving(*answers: bytes | None) -> Iterator[Server]:
    server = Server(*answers)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield server
    thread.join(60)
    assert not thread.is_alive()


def fetched(gets: SignedGets | DirectGets, url: str) -> tuple[int, bytes]:
    if isinstance(gets, SignedGets):
        with gets.open(url, {}) as answer:
            return answer.status, b"".join(answer.stream(2))
    one = gets.open(url, {})
    try:
        return one.status, b"".join(one.stream(2))
    finally:
        one.close()


def direct(server: Server) -> DirectGets:
    return DirectGets(server.url, "")


def test_one_connection_serves_many_gets() -> None:
    with serving(PLAIN, PLAIN, PLAIN) as server:
        gets = direct(server)
        for _ in range(3):
            assert fetched(gets, server.url + "/a?b=c%2F#d") == (200, b"abc")

    assert server.connections == 1
    assert all(one.startswith(b"GET /a?b=c%2F HTTP/1.1Host: 127.0.0.1:") for one in server.requests)


def test_a_connection_that_was_closed_while_nobody_used_it_is_replaced() -> None:
    with serving(PLAIN, None, PLAIN) as server:
        gets = direct(server)

        assert [fetched(gets, server.url + "/") for _ in range(2)] == [(200, b"abc")] * 2


@pytest.mark.parametrize("rest", [b"", b"\r\nConnection: Close"])
def test_a_connection_is_not_used_again_after_half_an_answer_or_if_the_server_closes_it(rest: bytes) -> None:
    answer = PLAIN.replace(b": a:b", b": close" + rest)
    with serving(answer, PLAIN) as server:
        gets = direct(server)
        first = gets.open(server.url + "/", {})
        if rest:
            list(first.stream(10))
        first.close()

        assert fetched(gets, server.url + "/") == (200, b"abc")

    assert server.connections == 2


def test_a_server_that_closes_each_connection_is_an_error() -> None:
    with serving(None) as server, pytest.raises(requests.ConnectionError):
        fetched(direct(server), server.url + "/")


def test_an_answer_that_ends_too_early_yields_what_came() -> None:
    with serving(PLAIN.replace(b": 3", b": 4") + b"", None) as server:
        gets = direct(server)
        answer = gets.open(server.url + "/", {})
        pieces = answer.stream(3)
        assert next(pieces) == b"abc"
        answer.close()
        with pytest.raises(requests.ConnectionError):
            gets.open(server.url + "/", {})


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Any: close\r\n\r\nabc",
    ],
)
def test_answers_of_unknown_length_are_read_by_requests(answer: bytes) -> None:
    with serving(answer) as server, pytest.raises(NotUnderstood):
        fetched(direct(server), server.url + "/")
    with serving(answer, answer, answer) as server:
        gets = SignedGets("test")

        assert [fetched(gets, server.url + "/") for _ in range(2)] == [(200, b"abc")] * 2


def test_a_url_that_is_not_quoted_never_reaches_the_wire_as_it_is() -> None:
    for target in ("/a b", "/a\r\nX: y", "/é"):
        with pytest.raises(NotUnderstood):
            DirectGets("http://127.0.0.1:1", "").open("http://127.0.0.1:1" + target, {})


def test_redirects_are_followed_and_an_error_says_what_its_body_says() -> None:
    problem = b'{"code": "gone", "title": "it is gone"}'
    refused = b"HTTP/1.1 410 Gone\r\nContent-Length: %d\r\n\r\n%b" % (len(problem), problem)
    moved = b"HTTP/1.1 302 Found\r\nLocation: /b?c\r\nContent-Length: 0\r\n\r\n"
    with serving(moved, refused) as server, SignedGets("test").open(server.url + "/a", {}) as answer:
        failure = answer.failure(" (a note)")

    assert (failure.status, failure.code, failure.title) == (410, "gone", "it is gone (a note)")
    assert b"GET /b?c" in server.requests[1]


def test_a_head_may_come_in_pieces_and_with_bare_newlines() -> None:
    with serving(b"HTTP/1.1 200\nContent-Length: 3\n\nabc", PLAIN) as server:
        gets = direct(server)

        assert [fetched(gets, server.url + "/") for _ in range(2)] == [(200, b"abc")] * 2


def test_a_host_has_to_prove_its_name_by_a_certificate_that_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = Key.new(), tmp_path / "certificate.pem"
    certificate.write_text(key.certificate("localhost"))
    (tmp_path / "key.pem").write_text(key.pem())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, tmp_path / "key.pem")
    with serving(PLAIN, PLAIN) as server:
        server.tls = tls
        numeric = server.url.replace("http:", "https:") + "/"
        named = numeric.replace("127.0.0.1", "localhost")
        with pytest.raises(requests.exceptions.SSLError):
            fetched(SignedGets("test"), named)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        with pytest.raises(requests.exceptions.SSLError):
            fetched(SignedGets("test"), numeric)

        gets = SignedGets("test")
        assert [fetched(gets, named) for _ in range(2)] == [(200, b"abc")] * 2

    assert server.connections == 3


def test_no_more_of_an_error_is_read_than_its_beginning() -> None:
    sent = bytes(100_000)
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 5000000000000\r\n\r\n" + sent
    with serving(endless) as server, SignedGets("test").open(server.url + "/", {}) as answer:
        assert answer.failure(" (not the range)").status == 200
        assert sum(map(len, answer.stream(len(sent)))) == len(sent) - 64 * 1024
