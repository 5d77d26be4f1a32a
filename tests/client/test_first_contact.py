"""A wrong address fails at once and says what is wrong; what worked before is tried again."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests

from dss.api import first_contact, transport
from dss.api.first_contact import CONNECT_SECONDS, FirstContact
from dss.client import Client
from dss.errors import ClientError, NotADss, Unreachable
from tests.client.test_transport import PATH
from tests.support.fake_dss import BUNDLE, FakeDss, Fault, HeldClock

JSON, HTML = {"Content-Type": "application/json"}, {"Content-Type": "text/html; charset=utf-8"}


@contextmanager
def serving(answer: bytes) -> Iterator[str]:
    """Accept connections, answer each with these bytes, and give the address; hold them open without any."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                held.append(connection)
                if answer:
                    connection.recv(65536)
                    connection.sendall(answer)
                    connection.close()

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    for connection in held:
        connection.close()


def refusal(url: str, clock: HeldClock) -> str:
    with pytest.raises(ClientError) as caught:
        Client(url, "a.token", clock=clock, patience=60).bundle(BUNDLE)
    assert isinstance(caught.value, Unreachable)
    return str(caught.value)


def test_a_host_that_does_not_exist_is_not_tried_again(clock: HeldClock) -> None:
    text = refusal("https://dss.invalid", clock)

    assert "there is no host dss.invalid; check --url, or DSS_URL" in text
    assert clock.slept == []


def test_a_name_server_that_never_answers_is_not_waited_for(
    clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, ended = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> None:
        asked.set()
        ended.wait(30)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(first_contact, "CONNECT_SECONDS", 0.1)
    try:
        text = refusal("https://dss.example.org", clock)
    finally:
        ended.set()

    assert (
        "no name server answers within 0.1 s where dss.example.org is; check this machine's network" in text
    )
    assert asked.is_set()
    assert clock.slept == []


def test_a_proxy_looks_hosts_up_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setattr(socket, "getaddrinfo", None)

    FirstContact("https://dss.example.org").look_up()


def test_a_server_without_tls_is_not_tried_again(fake: FakeDss, clock: HeldClock) -> None:
    address = fake.url.removeprefix("http://")

    text = refusal(f"https://{address}", clock)

    assert f"{address} does not speak TLS; check --url, or DSS_URL, or try http://{address}" in text
    assert clock.slept == []


def test_a_server_that_answers_no_tls_handshake_fails_within_5_seconds(
    clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CONNECT_SECONDS < 5
    monkeypatch.setattr(transport, "CONNECT_SECONDS", 1.0)
    with serving(b"") as address:
        text = refusal(f"https://{address}", clock)

    assert f"{address} does not speak TLS" in text
    assert clock.slept == []


def test_a_server_that_speaks_only_tls_is_not_tried_again(clock: HeldClock) -> None:
    # What OpenSSL answers to a request without TLS.
    with serving(b"\x15\x03\x01\x00\x02\x02\x46") as address:
        text = refusal(f"http://{address}", clock)

    assert f"{address} does not speak HTTP; check --url, or DSS_URL, or try https://{address}" in text
    assert clock.slept == []


def test_a_server_that_is_down_is_tried_again(clock: HeldClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"

    assert "refused" in refusal(f"http://{address}", clock)
    assert sum(clock.slept) > 30


def test_after_the_first_answer_only_an_untrusted_certificate_is_hopeless() -> None:
    from ssl import SSLCertVerificationError, SSLError

    from urllib3.exceptions import NameResolutionError

    gone = requests.ConnectionError(NameResolutionError("h", None, socket.gaierror(-2, "x")))  # type: ignore[arg-type]
    cut, untrusted = (
        requests.ConnectionError(SSLError("eof")),
        requests.ConnectionError(SSLCertVerificationError()),
    )
    contact = FirstContact("https://h")

    assert all(contact.hopeless(error, seconds=1) for error in (gone, cut, untrusted, requests.ReadTimeout()))
    assert not contact.hopeless(requests.ReadTimeout(), seconds=120)
    contact.made = True
    assert not any(contact.hopeless(error, seconds=1) for error in (gone, cut, requests.ReadTimeout()))
    assert "does not trust the certificate of h" in contact.hopeless(untrusted, seconds=1)


CALLS: dict[str, Callable[[Client], object]] = {
    "bundle": lambda client: client.bundle(BUNDLE),
    "list": lambda client: list(client.bundles()),
    "search": lambda client: list(client.search({})),
    "events": lambda client: list(client.events()),
    "collections": lambda client: list(client.collections()),
    "collection": lambda client: client.collection(BUNDLE),
    "subscriptions": lambda client: client.subscriptions(),
    "subscribe": lambda client: client.subscribe("https://example.org"),
    "checkout": lambda client: client.checkout(BUNDLE),
    "status": lambda client: client.find_checkout(BUNDLE).status,
    "has": lambda client: client.has_bundle(BUNDLE, "2026-01-12T093000.000000Z"),
    "file": lambda client: client.get_file(BUNDLE),
    "put": lambda client: client.put_file(BUNDLE, "2026-01-12T093000.000000Z", "gs://b/k"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_another_server_is_asked_whether_it_is_a_dss(
    client: Client, fake: FakeDss, call: Callable[[Client], object]
) -> None:
    for method in ("GET", "PUT", "POST"):
        fake.broken[method, "/"] = Fault(status=404, headers=HTML)

    with pytest.raises(NotADss, match=rf"the answer is an HTML page. Is {fake.url} a DSS\? Check --url"):
        call(client)


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (Fault(status=200, headers=HTML), "an HTML page"),
        (Fault(status=200, headers=JSON, body={"error": "no"}), "JSON of another service, without 'bundle'"),
        (Fault(status=404, headers=JSON, body={"detail": "Not Found"}), "JSON of another service"),
        (Fault(status=405, headers={"Content-Type": "text/plain"}), "of type text/plain"),
        (
            Fault(status=301, headers={"Location": "https://login.example.org/?next=x"}),
            "a redirect to https://login.example.org/.",
        ),
    ],
)
def test_an_answer_that_no_dss_gives_is_recognized(
    client: Client, fake: FakeDss, fault: Fault, what: str
) -> None:
    fake.broken["GET", PATH] = fault

    with pytest.raises(NotADss) as caught:
        client.bundle(BUNDLE)

    assert f"the answer is {what}" in str(caught.value)
    assert (caught.value.status, caught.value.code) == (fault.status, "not_a_dss")


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_what_a_load_balancer_answers_is_no_other_server(client: Client, fake: FakeDss, status: int) -> None:
    fake.broken["GET", PATH] = Fault(status=status, headers=HTML)

    with pytest.raises(ClientError) as caught:
        client.bundle(BUNDLE)

    assert not isinstance(caught.value, NotADss)
    assert str(status) in str(caught.value)
