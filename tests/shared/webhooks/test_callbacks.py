"""Calls of subscribers' URLs: what goes over the wire, what must not, and when a call is over."""

import base64
import contextlib
import email
import email.policy
import hashlib
import hmac
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from requests import PreparedRequest
from requests_http_signature import HTTPSignatureAuth

from local.issuer.keys import Key
from shared.webhooks.callbacks import Callback, Callbacks, CallFailed, check_literal_address, is_public
from tests.support.subscriber import Subscriber, subscriber

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
PAYLOAD = b'{"match": {"bundle_uuid": "x"}, "of": "\\u00fcber"}'
NAME = "subscriber.example.org"


@pytest.fixture(scope="module")
def server() -> Iterator[Subscriber]:
    """A subscriber."""
    with subscriber() as running:
        yield running


@pytest.fixture
def callbacks() -> Callbacks:
    """What may call this machine."""
    return Callbacks(LOOPBACK)


def callback(url: str, **more: Any) -> Callback:
    """Return a call of a URL."""
    return Callback(url=url, method=more.pop("method", "POST"), body=PAYLOAD, **more)


def resolving(*addresses: str) -> Any:
    """Return a name server that answers every question with the next of these, and knows how often."""
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[Any]:
        asked.append(host)
        address = addresses[min(len(asked), len(addresses)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    resolve.asked = asked  # type: ignore[attr-defined]
    return resolve


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_json_is_sent_unchanged(callbacks: Callbacks, server: Subscriber, method: str) -> None:
    path = f"/ok/json/{method}?a=b%20c"
    assert callbacks.call(callback(server.url(path), method=method), seconds=10) == 200
    [call] = server.calls_of(path)
    assert (call.method, call.body) == (method, PAYLOAD)
    assert call.headers["content-type"] == "application/json"
    assert call.headers["host"] == f"127.0.0.1:{server.server_port}"
    assert "authorization" not in call.headers


def test_a_form_has_the_payload_as_its_last_field(callbacks: Callbacks, server: Subscriber) -> None:
    fields = {"key": "über/all", "acl": "private"}
    form = callback(server.url("/ok/form"), form_fields=fields, payload_form_field="file")
    callbacks.call(form, seconds=10)
    [call] = server.calls_of("/ok/form")
    head = f"Content-Type: {call.headers['content-type']}\r\n\r\n".encode()
    parts = list(email.message_from_bytes(head + call.body, policy=email.policy.HTTP).iter_parts())
    named = [part.get_param("name", header="content-disposition") for part in parts]
    assert call.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert named == ["key", "acl", "file"]
    contents = [part.get_payload(decode=True) for part in parts]
    assert contents == ["über/all".encode(), b"private", PAYLOAD]
    assert parts[-1].get_content_type() == "application/json"


@pytest.mark.parametrize("form", [None, {"a": "b"}])
def test_a_signature_is_what_public_libraries_verify(
    callbacks: Callbacks, server: Subscriber, form: dict[str, str] | None
) -> None:
    path = f"/ok/signed/{bool(form)}"
    signed = callback(
        server.url(path), secret="schlüssel", key_id="hca-dss:1", form_fields=form, payload_form_field="file"
    )
    callbacks.call(signed, seconds=10)
    [call] = server.calls_of(path)

    key = "schlüssel".encode()
    digest = base64.b64encode(hashlib.sha256(call.body).digest()).decode()
    assert call.headers["digest"] == f"SHA-256={digest}"
    # What the draft says is to be signed.
    text = f"date: {call.headers['date']}\ndigest: {call.headers['digest']}"
    signature = base64.b64encode(hmac.digest(key, text.encode(), "sha256")).decode()
    said = 'Signature keyId="hca-dss:1",algorithm="hmac-sha256",headers="date digest",'
    assert call.headers["authorization"].startswith(f'{said}signature="{signature}"')
    # As subscribers do it.
    received = PreparedRequest()
    received.prepare(method="POST", url=server.url(path), headers=dict(call.headers), data=call.body)
    HTTPSignatureAuth.verify(received, key_resolver=lambda **_: key)
    with pytest.raises(AssertionError):
        HTTPSignatureAuth.verify(received, key_resolver=lambda **_: b"another")
    received.headers["Digest"] = "SHA-256=x"
    with pytest.raises(AssertionError):
        HTTPSignatureAuth.verify(received, key_resolver=lambda **_: key)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_every_2xx_is_success(callbacks: Callbacks, server: Subscriber, status: int) -> None:
    assert callbacks.call(callback(server.url(f"/{status}")), seconds=10) == status


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/redirect", 302, "redirect"),
        ("/304", 304, "304"),
        ("/404", 404, "404"),
        ("/500", 500, "500"),
        ("/reset", None, "reset"),
    ],
)
def test_every_other_answer_is_a_failure_with_its_status(
    callbacks: Callbacks, server: Subscriber, path: str, status: int | None, words: str
) -> None:
    with pytest.raises(CallFailed, match=words) as failed:
        callbacks.call(callback(server.url(path)), seconds=10)
    assert failed.value.status == status
    assert not server.calls_of("/ok/redirected")


@pytest.mark.parametrize("path", ["/hang", "/drip"])
def test_a_call_ends_at_its_deadline_even_if_single_bytes_keep_arriving(
    callbacks: Callbacks, server: Subscriber, path: str
) -> None:
    began = time.monotonic()
    with pytest.raises(CallFailed, match="no answer within 1 s"):
        callbacks.call(callback(server.url(path)), seconds=1)
    # The subscriber would go on for a minute.
    assert time.monotonic() - began < 30


def drip(listener: socket.socket, ending: threading.Event) -> None:
    """Answer one connection with a record of a TLS handshake that never ends, byte by byte."""
    connection, _ = listener.accept()
    with connection, contextlib.suppress(OSError):
        connection.sendall(b"\x16\x03\x03\x40\x00")
        while not ending.wait(0.05):
            connection.sendall(b"x")


def test_a_tls_handshake_that_never_ends_is_cut_off(callbacks: Callbacks) -> None:
    ending = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener, ending))
        thread.start()
        start = time.monotonic()
        with pytest.raises(CallFailed, match="no answer within 1 s"):
            callbacks.call(callback(f"https://127.0.0.1:{listener.getsockname()[1]}/"), seconds=1)
        assert time.monotonic() - start < 30
        ending.set()
        thread.join()


def test_a_literal_ipv6_address_can_be_called(callbacks: Callbacks) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        port, received = listener.getsockname()[1], []

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                received.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert callbacks.call(callback(f"http://[::1]:{port}/ok"), seconds=10) == 204
        thread.join()
    assert f"\r\nHost: [::1]:{port}\r\n".encode() in received[0]


def test_a_name_server_that_hangs_ends_the_call(server: Subscriber) -> None:
    callbacks = Callbacks(LOOPBACK, resolve=lambda *_: server.ending.wait(60) or [])
    with pytest.raises(CallFailed, match="not resolved within"):
        callbacks.call(callback(f"http://{NAME}/"), seconds=0.5)


def test_the_deadline_of_a_call_includes_its_lookup(server: Subscriber) -> None:
    def resolve(_: str, port: int) -> list[Any]:
        server.ending.wait(3.6)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    began = time.monotonic()
    with pytest.raises(CallFailed, match="no answer within 4 s"):
        Callbacks(LOOPBACK, resolve=resolve).call(callback(server.url("/hang", NAME)), seconds=4)
    # A time of its own would make it 7.6 s.
    assert time.monotonic() - began < 7.4


def test_a_closed_port_and_an_unknown_name_are_failures(callbacks: Callbacks) -> None:
    with pytest.raises(CallFailed, match="refused"):
        callbacks.call(callback("http://127.0.0.1:9/"), seconds=5)
    with pytest.raises(CallFailed, match="cannot be resolved"):
        callbacks.call(callback("http://nothing.invalid/"), seconds=5)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "2130706433", "0x7f.1", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]"),
        *("10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "[fd00:ec2::254]"),
        *(
            "[fe80::1]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:7f00:1::]",
            "224.0.0.1",
            "[ff02::1]",
            "255.255.255.255",
            # Not global by the IANA registries, though some releases of Python say so.
            *("192.0.0.9", "192.0.0.192", "192.88.99.1", "[3fff::1]", "[64:ff9b::c000:9]"),
        ),
    ],
)
def test_addresses_that_are_not_public_are_not_called(server: Subscriber, host: str) -> None:
    calls = len(server.calls)
    with pytest.raises(CallFailed, match=r"not public|cannot be resolved"):
        Callbacks().call(callback(f"http://{host}:{server.server_port}/ok/private"), seconds=5)
    assert len(server.calls) == calls


def test_a_name_with_one_address_that_is_not_public_is_not_called() -> None:
    def resolve(_: str, port: int) -> list[Any]:
        found = [(socket.AF_INET, ("8.8.8.8", port)), (socket.AF_INET, ("10.0.0.1", port))]
        return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in found]

    for turn in range(2):
        with pytest.raises(CallFailed, match=r"10\.0\.0\.1 is not public"):
            Callbacks(resolve=resolve).call(callback(f"http://{NAME}/"), seconds=5, turn=turn)


def test_the_connection_goes_to_the_address_that_was_checked(server: Subscriber) -> None:
    # A name server that gives another address at the second lookup.
    resolve = resolving("127.0.0.1", "127.0.0.2")
    url = server.url("/ok/pinned", NAME)
    Callbacks(LOOPBACK, resolve=resolve).call(callback(url), seconds=10)
    [call] = server.calls_of("/ok/pinned")
    assert resolve.asked == [NAME]
    assert call.headers["host"] == f"{NAME}:{server.server_port}"


def test_a_name_is_checked_at_each_call(server: Subscriber) -> None:
    resolve = resolving("127.0.0.1", "169.254.169.254")
    callbacks = Callbacks(LOOPBACK, resolve=resolve)
    url = server.url("/ok/rebound", NAME)
    callbacks.call(callback(url), seconds=10)
    with pytest.raises(CallFailed, match=r"169\.254\.169\.254"):
        callbacks.call(callback(url), seconds=10)
    assert len(server.calls_of("/ok/rebound")) == 1


def certified(name: str) -> bytes:
    """Return a new key, and its certificate for a host (PEM)."""
    key = Key.new()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key.private, hashes.SHA256())
    )
    return key.pem().encode() + certificate.public_bytes(Encoding.PEM)


def test_tls_verifies_the_name_and_not_the_address(tmp_path: Path) -> None:
    for name in (NAME, "other.example.org"):
        (tmp_path / f"{name}.pem").write_bytes(certified(name))
    authorities = str(tmp_path / f"{NAME}.pem")
    callbacks = Callbacks(LOOPBACK, resolve=resolving("127.0.0.1"), authorities=authorities)

    with subscriber(certificate=authorities) as server:
        assert callbacks.call(callback(server.url("/ok/tls", NAME)), seconds=10) == 200
        assert server.calls_of("/ok/tls")[0].headers["host"] == f"{NAME}:{server.server_port}"
        with pytest.raises(CallFailed, match="TLS"):
            callbacks.call(callback(server.url("/ok/tls", "third.example.org")), seconds=10)
    with (
        subscriber(certificate=str(tmp_path / "other.example.org.pem")) as server,
        pytest.raises(CallFailed, match="TLS"),
    ):
        callbacks.call(callback(server.url("/ok/tls", NAME)), seconds=10)


def test_a_call_over_tls_ends_at_its_deadline_even_if_single_bytes_keep_arriving(tmp_path: Path) -> None:
    (tmp_path / "certificate.pem").write_bytes(certified(NAME))
    authorities = str(tmp_path / "certificate.pem")
    callbacks = Callbacks(LOOPBACK, resolve=resolving("127.0.0.1"), authorities=authorities)
    with subscriber(certificate=authorities) as server:
        threading.Timer(20, server.ending.set).start()
        start = time.monotonic()
        with pytest.raises(CallFailed, match="no answer within 2 s"):
            callbacks.call(callback(server.url("/drip", NAME)), seconds=2)
        assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "2130706433", "0x7f.1", "127.1", "localhost", "LOCALHOST.", "a.localhost", "::1"),
        *(
            "[::ffff:10.0.0.1]",
            "169.254.169.254",
            "fe80::1%eth0",
            "10.0.0.1",
            "192.88.99.1",
            "0",
            "224.0.0.1",
        ),
    ],
)
def test_a_literal_address_that_is_never_called_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="is not public"):
        check_literal_address(host, ())


@pytest.mark.parametrize(
    "host", ["8.8.8.8", "example.org", "10.example.org", "[2a00::1]", "localhost.example"]
)
def test_public_addresses_and_names_are_not_refused(host: str) -> None:
    check_literal_address(host, ())


def test_a_literal_address_of_an_allowed_network_is_not_refused() -> None:
    check_literal_address("127.0.0.1", LOOPBACK)
    with pytest.raises(ValueError, match=r"10\.0\.0\.1"):
        check_literal_address("10.0.0.1", LOOPBACK)


@given(st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address))
def test_an_embedded_address_is_as_public_as_it_is_alone(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    assert not is_public(ipaddress.IPv6Address((0xFFFF << 32) + number)) or is_public(address)
    assert is_public(ipaddress.IPv6Address((0x64FF9B << 96) + number)) == is_public(address)
    assert not is_public(ipaddress.IPv6Address((0x2002 << 112) + (number << 80))) or is_public(address)


@given(
    st.sampled_from(
        [
            "192.0.0.0/24",
            "192.88.99.0/24",
            "3fff::/20",
            "10.0.0.0/8",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "224.0.0.0/4",
            "fc00::/7",
            "fe80::/10",
        ]
    ),
    st.integers(0, 2**128 - 1),
)
def test_no_address_of_a_private_network_is_public(network: str, number: int) -> None:
    block = ipaddress.ip_network(network)
    assert not is_public(block[number % block.num_addresses])
