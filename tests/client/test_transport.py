"""Calls are repeated while that makes sense, and not for longer."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dss.api.transport import Call, retry_after_seconds
from dss.client import Client
from dss.errors import CallFailed, InvalidInput, Unreachable
from tests.support.fake_dss import BUNDLE, FakeDss, Fault, HeldClock

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
PATH = f"/bundles/{BUNDLE}"


@given(st.integers(0, 10**30))
def test_retry_after_may_be_seconds(seconds: int) -> None:
    assert retry_after_seconds(str(seconds), NOW) == min(seconds, 3600)


@given(st.integers(-100_000, 100_000))
def test_retry_after_may_be_a_date(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)

    assert retry_after_seconds(date, NOW) == min(max(seconds, 0), 3600)


@given(st.text())
def test_retry_after_of_any_text_is_bounded_or_nothing(text: str) -> None:
    pause = retry_after_seconds(text, NOW)

    assert pause is None or 0 <= pause <= 3600


def test_5xx_is_retried_as_the_server_asks(client: Client, fake: FakeDss, clock: HeldClock) -> None:
    fake.fault(
        "GET", PATH, Fault(status=503, headers={"Retry-After": "7"}), Fault(status=500), Fault(status=429)
    )

    client.bundle(BUNDLE)

    assert clock.slept[0] == 7
    assert len(clock.slept) == 3


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_a_caller_who_is_limited_waits_as_the_server_asks_and_no_longer_than_its_patience(
    client: Client, fake: FakeDss, clock: HeldClock, method: str
) -> None:
    body = {"status": 429, "code": "too_many_requests", "title": "wait"}
    limited = Fault(status=429, headers={"Retry-After": "3"}, body=body)
    call = Call(method=method, url=client.url + PATH)
    fake.fault(method, PATH, limited, limited, Fault(status=200))

    # Nothing was done, so that every request may be repeated.
    assert client.transport.send(call).status_code == 200
    assert clock.slept == [3, 3]

    fake.fault(method, PATH, *[limited] * 1000)
    with pytest.raises(CallFailed, match="429"):
        client.transport.send(call)
    assert sum(clock.slept) <= client.transport.patience + 6


def test_a_retried_subscription_has_the_same_idempotency_key(client: Client, fake: FakeDss) -> None:
    made = Fault(status=201, body={"uuid": BUNDLE})
    fake.fault("PUT", "/subscriptions", Fault(status=503), made, made)

    client.subscribe("https://example.org")
    client.subscribe("https://example.org")

    first, again, another = (one.headers["Idempotency-Key"] for one in fake.requests("PUT", "/subscriptions"))
    assert first == again != another


def test_a_wait_beyond_the_patience_fails_at_once(client: Client, fake: FakeDss, clock: HeldClock) -> None:
    body = {"status": 503, "code": "read_only", "title": "no writes now"}
    fake.fault("GET", PATH, Fault(status=503, headers={"Retry-After": "600"}, body=body))

    with pytest.raises(CallFailed) as failure:
        client.bundle(BUNDLE)

    assert (failure.value.status, failure.value.code) == (503, "read_only")
    assert "600 s" in failure.value.title
    assert clock.slept == []


def test_retries_end(client: Client, fake: FakeDss, clock: HeldClock) -> None:
    fake.fault("GET", PATH, *[Fault(status=502)] * 100)

    with pytest.raises(CallFailed, match="502"):
        client.bundle(BUNDLE)

    assert sum(clock.slept) <= 60


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 501])
def test_a_permanent_error_is_not_retried(
    client: Client, fake: FakeDss, clock: HeldClock, status: int
) -> None:
    fake.fault("GET", PATH, Fault(status=status, body={"code": "some_code", "title": "some title"}))

    with pytest.raises(CallFailed, match=f"{status} some_code: some title"):
        client.bundle(BUNDLE)

    assert clock.slept == []


def test_retry_later_redirects_are_followed_and_bounded(
    client: Client, fake: FakeDss, clock: HeldClock
) -> None:
    later = Fault(status=301, headers={"Retry-After": "10", "Location": f"/v1{PATH}?token=t"})
    fake.fault("GET", PATH, later, later)

    assert client.bundle(BUNDLE)["uuid"] == BUNDLE
    assert clock.slept == [10, 10]
    assert fake.seen[-1].query == {"token": "t"}

    fake.fault("GET", PATH, *[later] * 1000)
    with pytest.raises(CallFailed, match="not ready"):
        client.bundle(BUNDLE)


def test_an_unreachable_host_is_reported_after_retries(clock: HeldClock) -> None:
    lines: list[str] = []
    client = Client("http://127.0.0.1:1", clock=clock, patience=5, notify=lines.append)

    with pytest.raises(Unreachable, match="refused"):
        client.bundle(BUNDLE)

    assert lines


def test_pages_are_followed_on_the_host_of_the_url(client: Client, fake: FakeDss) -> None:
    fake.names = {f"f{number}": b"x" for number in range(25)}
    fake.page = 10

    bundle = client.bundle(BUNDLE)

    assert [file["name"] for file in bundle["files"]] == list(fake.names)
    assert len(fake.requests("GET", "/bundles/")) == 3


def test_the_token_goes_to_the_dss_alone(
    client: Client, fake: FakeDss, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    fake.names = {"a": b"content"}

    client.download(BUNDLE, to=tmp_path / "out")

    assert all("Authorization" in one.headers for one in fake.requests("GET", "/bundles"))
    assert all("Authorization" not in one.headers for one in fake.requests("GET", "/blob"))


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://x", "http://"])
def test_a_malformed_url_is_rejected(url: str) -> None:
    with pytest.raises(InvalidInput):
        Client(url)


def test_the_url_may_end_with_v1() -> None:
    assert Client("https://x/v1/").url == Client("https://x").url == "https://x/v1"
