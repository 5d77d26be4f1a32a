"""A system in which nothing happens by itself: tests replicate, publish, and damage clouds and catalog."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests

from local.api import api_process
from local.components import API_TABLE
from local.components.events import topics
from local.stack import Stack
from shared.events.publishing import publish_event
from shared.messages import BundleEvent, ObjectEvent
from shared.replication import replicate
from shared.system import Dss
from tests.support.apart import set_apart
from tests.support.api import Api, Version, put_bundle, put_collection, put_file
from tests.support.clouds import Clouds
from tests.support.dss import open_dss_for_threads

REASON = {"reason": "withdrawn"}


@dataclass(frozen=True, kw_only=True)
class ManualSystem:
    """A system for the tests of one file or folder."""

    env: Mapping[str, str]
    api: Api
    admin: Api
    clouds: Clouds
    dss: Dss

    def remove(self, replica: str, key: str) -> None:
        """Remove an object from a replica's main bucket."""
        if replica == "gcp":
            self.clouds.gcs.bucket(self.clouds.main[replica]).blob(key).delete()
        else:
            self.clouds.s3.delete_object(Bucket=self.clouds.main[replica], Key=key)

    def overwrite(self, replica: str, key: str, data: bytes) -> None:
        """Put an object into a replica's main bucket, over any that is there."""
        bucket = self.clouds.main[replica]
        self.clouds.stage(replica, data, bucket=bucket, key=key, metadata={})

    def delete_document(self, collection: str, name: str) -> None:
        """Remove a document and its subcollections from the catalog."""
        client = self.dss.catalog.database.client
        client.recursive_delete(client.collection(collection).document(name))

    def delete_catalog(self) -> None:
        """Remove all documents of the catalog."""
        host, project = self.env["FIRESTORE_EMULATOR_HOST"], self.env["GOOGLE_CLOUD_PROJECT"]
        url = f"http://{host}/emulator/v1/projects/{project}/databases/(default)/documents"
        requests.delete(url, timeout=60).raise_for_status()

    def replicate(self, replica: str, *keys: str) -> None:
        """Replicate objects of a replica, as the function `sync` does."""
        bucket = self.dss.replicas.named(replica).bucket
        for key in keys:
            replicate(self.dss, ObjectEvent(replica=replica, bucket=bucket, key=key))

    def publish_event(self, replica: str, *keys: str) -> list[BundleEvent]:
        """Publish the events of objects of a replica, as the function `index` does; return them."""
        published: list[BundleEvent] = []
        bucket = self.dss.replicas.named(replica).bucket
        for key in keys:
            publish_event(self.dss, ObjectEvent(replica=replica, bucket=bucket, key=key), published.append)
        return published

    def replicated_world(self, replica: str, content: bytes) -> "World":
        """Make a world on one replica and replicate it."""
        world = self.world(replica, content)
        self.replicate(replica, *world.documents)
        return world

    def world(self, replica: str, content: bytes) -> "World":
        """Make a file, and bundles and collections with and without tombstones."""
        file = put_file(self.api, self.clouds.stage(replica, content, content_type="text/plain"))
        seen, one_hidden, all_hidden = (put_bundle(self.api, replica, [file.named("name")]) for _ in range(3))
        # The last bundle gets two tombstones: one of its version, one of its UUID.
        hidden = ((one_hidden, one_hidden.version), (all_hidden, all_hidden.version), (all_hidden, None))
        for bundle, version in hidden:
            path = f"/v1/bundles/{bundle.uuid}"
            answer = self.admin.delete(path, replica=replica, version=version, json=REASON)
            assert answer.status_code == 200, answer.text
        collection = put_collection(
            self.api, replica, [file.linked(), seen.linked("bundle")], details={"é": [1.5, None]}
        )
        all_gone = put_collection(self.api, replica, [])
        answer = self.admin.delete(f"/v1/collections/{all_gone.uuid}", replica=replica)
        assert answer.status_code == 200, answer.text
        record = self.dss.catalog.scan.files
        [blob] = {one.checksums.blob_key for one in record() if one.fqid.uuid == file.uuid}
        return World(
            file=file,
            seen=seen,
            one_hidden=one_hidden,
            all_hidden=all_hidden,
            collection=collection,
            all_gone=all_gone,
            blob=blob,
        )


@dataclass(frozen=True, kw_only=True)
class World:
    """A file, and bundles and collections of it."""

    file: Version
    seen: Version
    one_hidden: Version
    all_hidden: Version
    collection: Version
    all_gone: Version
    blob: str

    @property
    def documents(self) -> tuple[str, ...]:
        """The keys of all manifests and tombstones, each after those that it requires."""
        bundles = [f"bundles/{bundle}" for bundle in (self.seen, self.one_hidden, self.all_hidden)]
        gone = f"collections/{self.all_gone.uuid}.dead"
        collections = (f"collections/{self.collection}", f"collections/{self.all_gone}", gone)
        return (f"files/{self.file}", *bundles, *self.tombstones, *collections)

    @property
    def tombstones(self) -> tuple[str, str, str]:
        """The keys of the tombstones: of a version, of another one, and of that one's UUID."""
        hidden = (self.one_hidden, self.all_hidden, self.all_hidden.uuid)
        one, other, whole = (f"bundles/{name}.dead" for name in hidden)
        return one, other, whole

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all objects."""
        return (self.blob, *self.documents)


@contextlib.contextmanager
def manual_system(**settings: str) -> Iterator[ManualSystem]:
    """Run the API and what it needs, with other settings."""
    with Stack(port=0, table=(*API_TABLE, topics), caller={**os.environ, **settings}).running() as env:
        yield ManualSystem(**opened(env))


@contextlib.contextmanager
def manual_system_on(stack: Mapping[str, str]) -> Iterator[ManualSystem]:
    """Run such a system on the servers of a running one, at a tenth of the cost; it shares nothing else."""
    env = set_apart(stack)
    # As many as a stack has.
    with api_process(env, workers=2) as process:
        yield ManualSystem(**opened({**env, "DSS_URL": process.url}))
        process.kill()


def opened(env: Mapping[str, str]) -> dict[str, Any]:
    """Return the attributes of a running system, by name."""
    return {
        "env": env,
        "api": Api(env["DSS_URL"], env["DSS_TOKEN"]),
        "admin": Api(env["DSS_URL"], env["DSS_ADMIN_TOKEN"]),
        "clouds": Clouds(env),
        "dss": open_dss_for_threads(env),
    }
