"""Replication step by step: tests deliver the events themselves, in any order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.errors import NotYetThere
from shared.messages import ObjectEvent
from shared.replication import Replicated, replicate
from shared.system import Dss
from tests.support.api import Api, Version, put_bundle, put_file
from tests.support.checkouts import remove_object
from tests.support.clouds import REPLICAS, Clouds

OTHER = {"gcp": "aws", "aws": "gcp"}
DIRECTIONS = [("gcp", "aws"), ("aws", "gcp")]
# More than any order of the events of these tests needs.
_ROUNDS = 20


@dataclass
class RecordingPublisher:
    """A publisher that records messages, or raises `error`."""

    messages: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    error: Exception | None = None

    def publish(self, topic: str, attributes: Mapping[str, str], data: bytes = b"") -> None:
        if self.error:
            raise self.error
        self.messages.append((topic, dict(attributes)))


def object_event(dss: Dss, replica: str, key: str) -> ObjectEvent:
    """Return the event of an object in a replica's main bucket."""
    return ObjectEvent(replica=replica, bucket=dss.replicas.named(replica).bucket, key=key)


def replicate_keys(dss: Dss, replica: str, *keys: str) -> list[Replicated]:
    """Replicate objects of a replica, in this order."""
    return [done for key in keys for done in replicate(dss, object_event(dss, replica, key))]


def deliver_events(dss: Dss, events: Iterable[ObjectEvent]) -> None:
    """Deliver events in this order, and again those that have to wait, as Pub/Sub does."""
    waiting = list(events)
    for _ in range(_ROUNDS):
        again = []
        for event in waiting:
            try:
                replicate(dss, event)
            except NotYetThere:
                again.append(event)
        if not again:
            return
        waiting = again
    raise AssertionError(f"these wait for ever: {waiting}")


def new_file(api: Api, clouds: Clouds, replica: str, data: bytes) -> Version:
    """Return a new file on one replica."""
    return put_file(api, clouds.stage(replica, data))


def remove_relayed(clouds: Clouds, replica: str, key: str) -> None:
    """Remove a blob that a PUT on another replica may have written here, too."""
    if clouds.keys(replica, key):
        remove_object(clouds, replica, clouds.main[replica], key)


def new_bundle(api: Api, replica: str, *files: Version) -> Version:
    """Return a new bundle on one replica, its files named 0, 1, 2."""
    return put_bundle(api, replica, [file.named(str(number)) for number, file in enumerate(files)])


def read_status(api: Api, kind: str, name: Version, replica: str) -> int:
    """Return the status of a read of this version on a replica."""
    if kind == "files":
        return api.head(f"/v1/files/{name.uuid}", replica=replica, version=name.version).status_code
    return api.get(f"/v1/{kind}/{name.uuid}", replica=replica, version=name.version).status_code


def head_states(dss: Dss, kind: str, *names: str) -> dict[str, Any]:
    """Return for each name where the catalog has it as available and missing, and whether it is hidden."""
    collection = dss.catalog.database.client.collection(kind)
    found = {}
    for name in names:
        head = collection.document(name).get().to_dict()
        found[name] = (sorted(head["available"]), sorted(head["missing"]), head.get("hidden"))
    return found


def read_manifests(clouds: Clouds, *uuids: str) -> dict[str, dict[str, bytes]]:
    """Return all manifests and tombstones of these UUIDs, by replica and key."""
    return {
        replica: {
            key: clouds.read(replica, key)
            for uuid in uuids
            for kind in ("files", "bundles", "collections")
            for key in clouds.keys(replica, f"{kind}/{uuid}")
        }
        for replica in REPLICAS
    }


def object_event_attributes(clouds: Clouds, replica: str, key: str) -> dict[str, str]:
    """Return the attributes of the message that announces an object in a replica's bucket."""
    return {
        "replica": replica,
        "bucketId": clouds.main[replica],
        "objectId": key,
        "eventType": "OBJECT_FINALIZE",
        "objectGeneration": "1",
    }
