"""A GCS server may leave `size` out of the JSON of an empty object, as Google's storage-testbench does."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client

from shared.checksums import Checksums
from shared.stores.gcs import GoogleCloudStorage
from shared.stores.gcs.signing import HmacSigner
from tests.support.server_threads import in_thread

OBJECT = {
    "kind": "storage#object",
    "bucket": "bucket",
    "name": "empty",
    "generation": "7",
    "metageneration": "1",
    "crc32c": "AAAAAA==",
    "md5Hash": "1B2M2Y8AsgTpgAmY7PhCfg==",
    "timeCreated": "2026-01-01T00:00:00.000Z",
}
EMPTY = Checksums(crc32c="00000000", s3_etag="d41d8cd98f00b204e9800998ecf8427e", sha1="", sha256="")


class Handler(BaseHTTPRequestHandler):
    """Answers every request with the empty object, or a list of it."""

    protocol_version = "HTTP/1.1"
    # Header and body are two packets: the second would wait for the client to acknowledge the first.
    disable_nagle_algorithm = True

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        listed = self.command == "GET" and self.path.partition("?")[0].endswith("/o")
        body = json.dumps({"items": [OBJECT]} if listed else OBJECT).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer  # noqa: N815

    def log_message(self, *_):
        """Log nothing."""


@pytest.fixture
def store():
    """GCS, as a store of the DSS, at that server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    client = Client(
        project="test",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": f"http://127.0.0.1:{server.server_port}"},
    )
    with in_thread(server):
        yield GoogleCloudStorage(client, HmacSigner("nobody", "nothing"))


def test_an_object_without_a_size_is_empty(store):
    assert store.stat("bucket", "empty").size == 0
    assert [found.size for found in store.list("bucket", "")] == [0]


def test_an_empty_object_can_be_created_from_a_stream(store):
    class Nothing:
        def read(self, size=-1):
            return b""

        def close(self):
            pass

    store.create_from("bucket", "empty", Nothing(), size=0, content_type="text/plain", checksums=EMPTY)
