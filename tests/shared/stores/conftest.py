"""The stores that the contract suite runs on: the emulated ones, and the live clouds where asked for.

`DSS_TEST_LIVE_BUCKETS="gs://one s3://other"` adds live buckets, reached with the machine's own credentials.
A new store is one more row of OPENERS. The one in memory is no replica of any system, and is made here.
"""

import dataclasses
import json
import os
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import boto3
import google.auth
import pytest

from local.supervisor.ports import HOST, reserve
from shared.clock import SystemClock
from shared.config import Settings
from shared.replicas import Replica, Replicas
from shared.stores import gcs, s3
from shared.stores.base import ObjectStore, StoredObject
from shared.stores.signed_urls import SignedUrls
from shared.wiring import gcs_signer, open_replicas, open_system
from tests.support.directory_replica import directory_replica, served_objects
from tests.support.memory_store import MemoryStore

LIVE = os.environ.get("DSS_TEST_LIVE_BUCKETS", "").split()

OPENERS: dict[str, Callable[[Settings], ObjectStore]] = {
    "gs": lambda settings: gcs.GoogleCloudStorage(gcs.open_client(settings.project), gcs_signer(settings)),
    "s3": lambda _: s3.S3(s3.open_client(boto3.Session())),
    "file": lambda settings: open_replicas(settings).of_scheme("file").store,
}


@dataclass(frozen=True)
class Place:
    """A store under test, a bucket of it, and where the objects of this test go."""

    store: ObjectStore
    bucket: str
    prefix: str

    def key(self, name: str) -> str:
        """Return the key of an object of this test."""
        return f"{self.prefix}/{name}"

    def put(self, name: str, data: bytes, content_type: str = "text/plain") -> StoredObject:
        """Create an object, and return what the store knows of it."""
        self.store.create(self.bucket, self.key(name), data, content_type)
        return self.store.stat(self.bucket, self.key(name))

    def content(self, name: str) -> bytes:
        """Return the content of an object."""
        found = self.store.stat(self.bucket, self.key(name))
        reader = self.store.read(found, 0, found.size)
        chunks = []
        while chunk := reader.read(1024 * 1024):
            chunks.append(chunk)
        return b"".join(chunks)

    def names(self) -> list[str]:
        """Return the names of the objects of this test."""
        listed = self.store.list(self.bucket, self.prefix + "/")
        return [found.key.removeprefix(self.prefix + "/") for found in listed]


@pytest.fixture(scope="session")
def system(stack, tmp_path_factory):
    """The system's own dependencies, against the local stack, with a directory as a third replica."""
    kept = dict(os.environ)
    os.environ.update(stack)
    try:
        with reserve() as keeper:
            port = keeper.getsockname()[1]
            directory = directory_replica(tmp_path_factory.mktemp("directory"), f"http://{HOST}:{port}")
            setting = {"DSS_EXTRA_REPLICAS": json.dumps([directory])}
            dss = open_system(Settings.from_environment({**stack, **setting}))
            replicas = Replicas(*dss.replicas, memory_replica(f"http://{HOST}:{port}"))
            with served_objects(replicas, port):
                yield dataclasses.replace(dss, replicas=replicas)
    finally:
        os.environ.clear()
        os.environ.update(kept)


def memory_replica(url: str) -> Replica:
    """Return a replica that proves what `PlainStore` makes of next to nothing."""
    urls = SignedUrls(base=f"{url}/objects", key=secrets.token_bytes(32), clock=SystemClock())
    store = MemoryStore(urls, "memory-main", "memory-checkout")
    return Replica(
        name="memory", open_store=lambda: store, bucket="memory-main", checkout_bucket="memory-checkout"
    )


@pytest.fixture(params=["gs", "s3", "file", "memory", *LIVE])
def place(request, system):
    """Every store in turn."""
    scheme, _, bucket = request.param.partition("://")
    prefix = f"dss-test/{uuid.uuid4()}"
    if bucket:
        _, project = google.auth.default()
        settings = Settings.from_environment(
            {**os.environ, "GOOGLE_CLOUD_PROJECT": project or "", "DSS_GS_SIGNING_KEY_FILE": ""}
        )
        yield Place(OPENERS[scheme](settings), bucket, prefix)
        return
    replica = system.replicas.of_scheme(scheme)
    yield Place(replica.store, replica.checkout_bucket, prefix)
    if scheme == "memory":
        for found in replica.store.list(replica.checkout_bucket, ""):
            replica.store.delete(found.bucket, found.key)
