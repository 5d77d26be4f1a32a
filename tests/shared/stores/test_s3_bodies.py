"""How bodies are sent to S3: small ones at once, large ones after it said that it wants them, by the MiB."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest

from shared.checksums import MIB, checksums_of
from shared.stores import s3
from shared.stores.streams import Sequential
from tests.support.copies import distinct_bytes
from tests.support.server_threads import in_thread


class Recording(BaseHTTPRequestHandler):
    """S3 as far as it takes objects; `seen` has whether each was announced, and its MD5."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    seen: list[tuple[bool, str]]

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
        self.seen.append(("Expect" in self.headers, md5))
        self.send_response(200)
        self.send_header("ETag", f'"{md5}"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


@contextmanager
def recording(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[s3.S3, list[tuple[bool, str]]]]:
    """Yield a store, and what it has sent."""
    seen: list[tuple[bool, str]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Recording,), {"seen": seen}))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with in_thread(server):
        url = f"http://127.0.0.1:{server.server_port}"
        yield s3.S3(s3.open_client(boto3.Session(), region="us-east-1", endpoint_url=url)), seen


@pytest.mark.parametrize(("size", "announced"), [(0, False), (1, False), (MIB, False), (MIB + 1, True)])
def test_a_small_body_is_sent_at_once(monkeypatch: pytest.MonkeyPatch, size: int, *, announced: bool) -> None:
    data = distinct_bytes(size)
    with recording(monkeypatch) as (store, seen):
        store.create("bucket", "key", data, "text/plain")
    assert seen == [(announced, hashlib.md5(data, usedforsecurity=False).hexdigest())]


def test_a_large_object_is_sent_as_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = distinct_bytes(9 * MIB)
    checksums = checksums_of(data)
    with recording(monkeypatch) as (store, seen):
        store.create_from(
            "bucket", "key", io.BytesIO(data), size=len(data), content_type="a/b", checksums=checksums
        )
    assert seen == [(True, checksums.s3_etag)]


def test_a_stream_is_sent_by_the_mebibyte() -> None:
    stream = Sequential(io.BytesIO(distinct_bytes(2 * MIB + 5)), 2 * MIB + 5)
    assert [len(block) for block in stream.blocks()] == [MIB, MIB, 5]
