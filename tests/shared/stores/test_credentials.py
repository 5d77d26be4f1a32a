"""Credentials without keys: AWS by a Google identity, GCS signatures by IAM."""

import base64
import inspect
import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import botocore.session
import google.auth.credentials
import jwt
import pytest
import requests
from botocore.credentials import RefreshableCredentials
from google.auth import iam
from google.oauth2 import service_account

from shared.stores import gcs
from shared.stores.gcs.signing import AccountSigner
from shared.stores.s3.session import open_session
from shared.wiring import IamSigningCredentials
from tests.support.server_threads import in_thread

ROLE = "arn:aws:iam::123456789012:role/dss-api"


class Metadata(BaseHTTPRequestHandler):
    """Google's metadata server, as far as identities go."""

    audiences: list[str]

    def do_GET(self) -> None:
        """Answer a ping, or an identity token."""
        parts = urlsplit(self.path)
        kind = "application/json"
        if parts.path.endswith("/identity"):
            kind = "text/html"
            audience = parse_qs(parts.query)["audience"][0]
            self.audiences.append(audience)
            claims = {"aud": audience, "sub": "1", "iat": time.time(), "exp": int(time.time()) + 3600}
            body = jwt.encode(claims, "k" * 32).encode()
        else:
            body = json.dumps({"email": "dss-api@example.iam.gserviceaccount.com", "scopes": []}).encode()
        self.send_response(200)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def metadata():
    handler = type("Handler", (Metadata,), {"audiences": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    with in_thread(server):
        yield SimpleNamespace(address=f"127.0.0.1:{server.server_port}", audiences=handler.audiences)


# google-auth reads the address of the metadata server when it is imported: hence a process of its own.
AS_THE_SERVICE = """
import json, os, sys
from datetime import timedelta
from shared.stores import s3
from shared.stores.s3.session import open_session

asked = json.loads(sys.argv[1])
session = open_session(
    role_arn=asked["role"], audience="sts.amazonaws.com", signed_url_seconds=asked["seconds"]
)
store = s3.S3(s3.open_client(session))
store.create(asked["bucket"], asked["key"], b"x", "text/plain")
credentials = session.get_credentials()
print(json.dumps({
    "tokens": [credentials.get_frozen_credentials().token for _ in range(2)],
    "url": store.sign_get(asked["bucket"], asked["key"], lifetime=timedelta(hours=1)),
}))
"""


def as_the_service(stack, metadata, seconds):
    """Run what a service with a Google identity, and no keys of AWS, does with S3."""
    asked = {
        "role": ROLE,
        "seconds": seconds,
        "bucket": stack["DSS_S3_CHECKOUT_BUCKET"],
        "key": f"by-role/{time.time_ns()}",
    }
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "GOOGLE_")) and name != "NO_GCE_CHECK"
    }
    environment = kept | {
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "GCE_METADATA_HOST": metadata.address,
        "GCE_METADATA_IP": metadata.address,
        **{name: stack[name] for name in ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION")},
    }
    answer = subprocess.run(
        [sys.executable, "-c", AS_THE_SERVICE, json.dumps(asked)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def test_the_role_is_assumed_with_this_services_identity(stack, metadata):
    said = as_the_service(stack, metadata, seconds=3600)
    assert metadata.audiences == ["sts.amazonaws.com"]
    assert said["tokens"][0]
    assert said["tokens"][0] == said["tokens"][1]
    assert parse_qs(urlsplit(said["url"]).query)["X-Amz-Security-Token"] == [said["tokens"][0]]


def test_credentials_are_renewed_before_a_url_signed_with_them_could_die_early(stack, metadata):
    # Longer than the role's session lasts, so it has to be renewed whenever it is used.
    as_the_service(stack, metadata, seconds=13 * 3600)
    assert len(metadata.audiences) >= 3


def test_botocore_still_has_the_private_attributes_that_we_set(monkeypatch):
    for name, value in {"AWS_ACCESS_KEY_ID": "one", "AWS_SECRET_ACCESS_KEY": "two"}.items():
        monkeypatch.setenv(name, value)
    own = botocore.session.get_session()
    assert own._credentials is None
    own.get_credentials()
    assert own._credentials.access_key == "one"
    for name in ("_advisory_refresh_timeout", "_mandatory_refresh_timeout"):
        assert isinstance(getattr(RefreshableCredentials, name), int)
        # Read by the method that decides about a refresh.
        assert name in inspect.getsource(RefreshableCredentials)


def test_without_a_role_credentials_are_found_as_boto3_finds_them(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "one")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "two")
    session = open_session(role_arn="", audience="", signed_url_seconds=3600)
    assert session.get_credentials().access_key == "one"


def test_a_url_that_iam_signed_is_served(stack, monkeypatch):
    for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.setenv(name, stack[name])
    key = service_account.Credentials.from_service_account_file(stack["DSS_GS_SIGNING_KEY_FILE"])
    asked = []

    def iam_endpoint(url, body, **_):
        asked.append(url)
        signature = key.sign_bytes(base64.b64decode(json.loads(body)["payload"]))
        answer = {"keyId": "1", "signedBlob": base64.b64encode(signature).decode()}
        return SimpleNamespace(status=200, data=json.dumps(answer).encode(), headers={})

    own = google.auth.credentials.AnonymousCredentials()
    held_by_iam = iam.Signer(iam_endpoint, own, key.signer_email)
    signer = AccountSigner(IamSigningCredentials(held_by_iam, key.signer_email))
    store = gcs.GoogleCloudStorage(gcs.open_client("dss-local"), signer)
    name = f"by-iam/{time.time_ns()}"
    store.create(stack["DSS_GS_CHECKOUT_BUCKET"], name, b"content", "text/plain")
    url = store.sign_get(stack["DSS_GS_CHECKOUT_BUCKET"], name, lifetime=timedelta(hours=1))
    assert requests.get(url, timeout=60).content == b"content"
    assert len(asked) == 1
    assert key.signer_email in asked[0]
