"""Signed URLs of stores without a server: who may fetch which bytes, and how long."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pytest
import requests
from flask import Flask

from local.supervisor.ports import HOST, reserve
from run.api import signed_objects
from shared.replicas import Replica, Replicas
from shared.stores.posix import PosixDirectory
from shared.stores.signed_urls import SignedUrls
from tests.support.api import PROBLEM
from tests.support.directory_replica import served_objects

TEXT = b"0123456789" * 100_000
KEY = "bundles/some.version/a name with \u00e9, % & #+?.txt"
MINUTE = timedelta(minutes=1)
DISPOSITION = 'attachment; filename="x & y.txt"'


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.moment = datetime(2024, 2, 29, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@pytest.fixture(scope="module")
def clock():
    return Hand()


@pytest.fixture(scope="module")
def store(tmp_path_factory, clock):
    root = tmp_path_factory.mktemp("root")
    for bucket in ("main", "checkout", "private"):
        (root / bucket).mkdir()
    with reserve() as keeper:
        port = keeper.getsockname()[1]
        urls = SignedUrls(base=f"http://{HOST}:{port}/objects", key=b"k" * 32, clock=clock)
        store = PosixDirectory(root, urls)
        for bucket in ("main", "private"):
            store.create(bucket, KEY, TEXT, "text/html")
        replica = Replica(name="file", open_store=lambda: store, bucket="main", checkout_bucket="checkout")
        with served_objects(Replicas(replica), port):
            yield store


@pytest.fixture
def url(store):
    return store.sign_get("main", KEY, lifetime=MINUTE, disposition=DISPOSITION)


def changed(url: str, **query: str | None) -> str:
    parts = urlsplit(url)
    values = {**dict(parse_qsl(parts.query)), **query}
    return urlunsplit(parts._replace(query=urlencode({k: v for k, v in values.items() if v is not None})))


def fetch(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers={"Accept-Encoding": "identity", **headers}, timeout=60)


def test_anybody_with_the_url_gets_the_object(url):
    answer = fetch(url)
    assert (answer.status_code, answer.content) == (200, TEXT)
    assert answer.headers["Content-Disposition"] == DISPOSITION
    assert answer.headers["Content-Type"] == "text/html"
    assert answer.headers["Content-Length"] == str(len(TEXT))
    assert answer.headers["Accept-Ranges"] == "bytes"


def test_an_object_never_acts_as_a_page_of_the_service(url):
    headers = fetch(url).headers
    assert (headers["Content-Security-Policy"], headers["X-Content-Type-Options"]) == ("sandbox", "nosniff")


def test_a_head_has_the_headers_of_a_get(url):
    answer = requests.head(url, headers={"Accept-Encoding": "identity"}, timeout=60)
    assert (answer.status_code, answer.content) == (200, b"")
    wanted = ("Content-Length", "Content-Type", "Content-Disposition", "ETag", "Accept-Ranges")
    assert {n: answer.headers[n] for n in wanted} == {n: fetch(url).headers[n] for n in wanted}


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("0-0", 0, 0),
        ("5-14", 5, 14),
        ("999990-", 999_990, 999_999),
        ("-7", 999_993, 999_999),
        ("999998-5000000", 999_998, 999_999),
    ],
)
def test_a_range_is_that_range(url, asked, first, last):
    answer = fetch(url, Range=f"bytes={asked}")
    assert (answer.status_code, answer.content) == (206, TEXT[first : last + 1])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(TEXT)}"
    assert answer.headers["Content-Length"] == str(last - first + 1)
    assert answer.headers["Content-Disposition"] == DISPOSITION


def test_a_range_beyond_the_end_is_refused(url):
    assert fetch(url, Range=f"bytes={len(TEXT)}-").status_code == 416


def test_a_download_goes_on_only_with_the_same_object(url):
    tag = fetch(url).headers["ETag"]
    assert fetch(url, **{"Range": "bytes=5-", "If-Range": tag}).status_code == 206
    other = fetch(url, **{"Range": "bytes=5-", "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, TEXT)
    assert fetch(url, **{"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize(
    "change",
    [
        {"signature": "0" * 64},
        {"signature": "\u00e9"},
        {"signature": None},
        {"expires": "9999999999"},
        {"expires": None},
        {"disposition": "inline"},
        {"disposition": None},
    ],
    ids=str,
)
def test_a_url_that_was_changed_is_refused(url, change):
    answer = fetch(changed(url, **change))
    assert (answer.status_code, answer.headers["Content-Type"]) == (403, PROBLEM)
    assert answer.json()["code"] == "Forbidden"


@pytest.mark.parametrize("path", ["main/other", "checkout/a", "main/blobs/../a"])
def test_a_signature_is_of_one_object(url, path):
    query = urlsplit(url).query
    assert fetch(f"{url.partition('/main/')[0]}/{path}?{query}").status_code == 403


def test_a_disposition_cannot_be_added_to_a_url(store):
    url = store.sign_get("main", KEY, lifetime=MINUTE)
    assert "Content-Disposition" not in fetch(url).headers
    assert fetch(changed(url, disposition="attachment")).status_code == 403


def test_a_url_of_another_key_is_refused(store, clock):
    other = SignedUrls(base=store.urls.base, key=b"o" * 32, clock=clock)
    assert fetch(other.sign("main", KEY, MINUTE)).status_code == 403


def test_a_url_is_not_signed_with_a_short_key(clock):
    with pytest.raises(ValueError, match="at least 32"):
        SignedUrls(base="http://x", key=b"short", clock=clock)


def test_a_url_expires(store, clock):
    url = store.sign_get("main", KEY, lifetime=MINUTE)
    clock.sleep(59)
    assert fetch(url).status_code == 200
    clock.sleep(1)
    answer = fetch(url)
    assert answer.status_code == 403
    assert "expired" in answer.json()["title"]


def test_a_missing_object_is_404(store):
    assert fetch(store.sign_get("main", "none", lifetime=MINUTE)).status_code == 404


def test_a_directory_that_is_not_a_bucket_of_a_replica_is_not_served(store):
    assert fetch(store.sign_get("private", KEY, lifetime=MINUTE)).status_code == 404


@pytest.mark.parametrize(
    "path", ["..%2f..%2fetc%2fpasswd", "../../etc/passwd", "%2fetc/passwd", ".dss/x", "%00"]
)
def test_no_path_leads_out_of_a_bucket(store, path):
    """Send a path unchanged, which no client library does."""
    host, port = urlsplit(store.urls.base).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"GET /objects/main/{path} HTTP/1.0\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.split()[1] in (b"403", b"404")
    assert b"root:" not in answer


def test_nothing_is_served_if_no_replica_is_a_directory():
    app = Flask(__name__)
    signed_objects.install(app, Replicas())
    assert app.test_client().get("/objects/main/a").status_code == 404
    assert "signed_objects" not in app.view_functions


def test_two_directories_with_buckets_of_one_name_are_refused(store):
    other = PosixDirectory(Path("/elsewhere"), store.urls)
    replicas = Replicas(
        Replica(name="one", open_store=lambda: store, bucket="main", checkout_bucket="checkout"),
        Replica(name="two", open_store=lambda: other, bucket="main", checkout_bucket="other"),
    )
    with pytest.raises(ValueError, match="two"):
        signed_objects.install(Flask(__name__), replicas)
