"""Clients that send or receive slowly, or never, hold up nobody, and lose their connections in the end."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from local.api import api_process
from tests.support.api import PROBLEM, Api, new_uuid, now

# More than an API has threads.
MANY = 40
SEARCH = b"POST /v1/search?replica=gcp HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked"
# An answer of more than a megabyte. Many of them are more than all buffers between server and client hold.
LARGE = b"GET /assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def impatient(stack: dict[str, str]) -> Iterator[Api]:
    """An API that gives clients two seconds."""
    with api_process(stack, {"DSS_CLIENT_SECONDS": "2"}) as process:
        yield Api(process.url, stack["DSS_TOKEN"])


@dataclass(frozen=True)
class Silent:
    """Clients that have sent something to the impatient API, and then do nothing."""

    clients: Mapping[str, socket.socket]
    since: float

    def __getitem__(self, name: str) -> socket.socket:
        return self.clients[name]


@pytest.fixture(scope="module")
def silent(impatient: Api) -> Iterator[Silent]:
    """All of them at once: each has to be given up after its two seconds."""
    sent = {
        "body": SEARCH + b'{"es_query": ',
        "head": b"GET /version HTTP/1.1\r\nHost: a\r\nX-Drip: ",
        "nothing": b"",
        "answered body": b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n",
        "never reads": LARGE * 40,
    }
    with contextlib.ExitStack() as open_connections:
        clients = {
            name: open_connections.enter_context(connect(impatient, data)) for name, data in sent.items()
        }
        yield Silent(clients, time.monotonic())


def connect(api: Api, sent: bytes) -> socket.socket:
    """Return a connection over which these bytes have been sent."""
    address = urlsplit(api.url)
    client = socket.create_connection((address.hostname, address.port), timeout=20)
    client.sendall(sent)
    return client


def received(client: socket.socket) -> bytes:
    """Return everything that the server sends until it closes, or drops, the connection."""
    data = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(65536):
            data += piece
    return bytes(data)


def answer_of(client: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of one answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(65536) or pytest.fail(f"closed after {data!r}")
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += client.recv(65536) or pytest.fail(f"closed after {body!r}")
    return int(first.split()[1]), headers, body


def assert_problem_is(client: socket.socket, status: int, code: str) -> None:
    found, headers, body = answer_of(client)
    assert (found, headers["content-type"]) == (status, PROBLEM)
    assert "server" not in headers
    problem = json.loads(body)
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["title"]


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(SEARCH + b'{"es_query": ', id="unfinished bodies"),
        pytest.param(b"GET /version HTTP/1.1\r\nHost: a\r\nX-Drip: ", id="dripped heads"),
        pytest.param(b"", id="silence"),
        pytest.param(LARGE * 20, id="readers that never read"),
    ],
)
def test_many_slow_clients_hold_up_nobody(api: Api, sent: bytes) -> None:
    with contextlib.ExitStack() as open_connections:
        clients = [open_connections.enter_context(connect(api, sent)) for _ in range(MANY)]
        for _ in range(5):
            for client in clients:
                with contextlib.suppress(OSError):
                    client.send(b"x")
            began = time.monotonic()
            assert api.get("/version").status_code == 200
            assert api.get("/v1/bundles/all", replica="gcp").status_code in (200, 206)
            assert time.monotonic() - began < 5


def test_a_body_that_does_not_arrive_is_408(silent: Silent) -> None:
    assert_problem_is(silent["body"], 408, "request_timeout")


def test_a_dripped_body_is_408(impatient: Api) -> None:
    with connect(impatient, SEARCH) as client:
        client.settimeout(0.2)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            client.send(b" ")
            with contextlib.suppress(TimeoutError):
                client.recv(1, socket.MSG_PEEK)
                break
        assert_problem_is(client, 408, "request_timeout")


def test_a_head_that_does_not_arrive_is_408_and_the_connection_ends(silent: Silent) -> None:
    assert_problem_is(silent["head"], 408, "request_timeout")
    assert received(silent["head"]) == b""


def test_a_silent_connection_ends(silent: Silent) -> None:
    assert received(silent["nothing"]) == b""


def test_a_body_that_continues_after_its_answer_does_not_keep_the_connection(silent: Silent) -> None:
    assert answer_of(silent["answered body"])[0] == 404
    assert received(silent["answered body"]) == b""


def test_a_client_that_pipelines_and_reads_slowly_gets_all_answers(impatient: Api) -> None:
    one = len(impatient.get("/assets/swagger-ui-bundle.js").content)
    with connect(impatient, LARGE * 8) as client:
        size = 0
        while size < 8 * one:
            size += len(client.recv(256 * 1024) or pytest.fail(f"closed after {size} bytes"))
            time.sleep(0.05)


def test_a_client_that_never_reads_loses_its_connection(impatient: Api, silent: Silent) -> None:
    one = len(impatient.get("/assets/swagger-ui-bundle.js").content)
    # Longer than the limit of two seconds; then what is still in the buffers arrives, and no more.
    time.sleep(max(0.0, silent.since + 5 - time.monotonic()))
    assert len(received(silent["never reads"])) < 40 * one


def test_a_connection_is_usable_after_a_body_that_nobody_needed(impatient: Api) -> None:
    with connect(impatient, b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n") as client:
        assert answer_of(client)[0] == 404
        client.sendall(b"12345GET /version HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answer_of(client)[0] == 200


@pytest.mark.parametrize(
    ("authorization", "status"), [(b"", 401), (b"Authorization: Bearer x.y.z\r\n", 401), (None, 100)]
)
def test_a_body_is_received_after_sign_in_only(api: Api, authorization: bytes | None, status: int) -> None:
    if authorization is None:
        authorization = f"Authorization: Bearer {api.token}\r\n".encode()
    path = f"/v1/bundles/{new_uuid()}?replica=gcp&version={now()}".encode()
    head = b"PUT " + path + b" HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 32\r\n"
    with connect(api, head + authorization + b"\r\n") as client:
        assert answer_of(client)[0] == status
        if status == 100:
            client.sendall(b'{"files": [], "creator_uid": 12}')
            assert answer_of(client)[0] == 201


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "request_uri_too_long"),
        (b"GET /" + b"a" * 90_000, 414, "request_uri_too_long"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 90_000, 431, "request_header_fields_too_large"),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 20_000, 431, "request_header_fields_too_large"),
        (b"nonsense\r\n\r\n", 400, "illegal_arguments"),
        (b"GET / HTTP/9\r\n\r\n", 400, "illegal_arguments"),
        (b"GET http://[/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "illegal_arguments"),
        (SEARCH.replace(b"5000", b"-1"), 400, "illegal_arguments"),
        (SEARCH.replace(b"5000", b"5\r\n" + CHUNKED), 400, "illegal_arguments"),
        (SEARCH.replace(b"Content-Length: 5000", CHUNKED) + b"x\r\n", 400, "illegal_arguments"),
        (b"GET /v1/bundles/all HTTP/1.1\r\nHost: a\r\n\r\n", 400, "illegal_arguments"),
    ],
)  # fmt: skip
def test_every_error_of_the_server_is_a_problem(api: Api, sent: bytes, status: int, code: str) -> None:
    with connect(api, sent) as client:
        assert_problem_is(client, status, code)


def test_a_header_with_underscores_is_not_taken_for_one_with_dashes(api: Api) -> None:
    sent = f"GET /v1/collections HTTP/1.1\r\nHost: a\r\nAuthorization_: Bearer {api.token}\r\n\r\n".encode()
    with connect(api, sent) as client:
        assert answer_of(client)[0] == 401
