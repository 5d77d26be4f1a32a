"""The steps of the demo for search, notifications, collections and checkouts."""

import json
import time
from typing import Any
from uuid import uuid4

from dss.errors import CallFailed
from local.demo.listener import Listener
from local.demo.steps import REPLICAS, Scene, check, patience, wait_until
from shared.clock import new_version

# Matches the sample; the query is from the README of the Human Cell Atlas's DSS.
_THREE_CLAUSES = {
    "query": {
        "bool": {
            "must": [
                {"match": {"files.donor_organism_json.medical_history.smoking_history": "yes"}},
                {"match": {"files.specimen_from_organism_json.genus_species.text": "Homo sapiens"}},
                {"match": {"files.specimen_from_organism_json.organ.text": "brain"}},
            ]
        }
    }
}


def subscribe(scene: Scene) -> str:
    """Subscribe to all events of both clouds."""
    scene.listener = Listener()
    query = "event_type=='CREATE' || event_type=='TOMBSTONE'"
    for replica in REPLICAS:
        scene.client(replica).subscribe(scene.listener.url, jmespath_query=query)
    return "to both clouds, by JMESPath"


def be_notified(scene: Scene) -> str:
    """Wait until the subscriber is notified of the bundle, by each cloud."""
    expected = {(replica, scene.version) for replica in REPLICAS}
    waited = _wait_for_events(scene, "CREATE", expected)
    return f"CREATE came from gcp and from aws, {waited:.1f} s later"


def _wait_for_events(scene: Scene, event_type: str, expected: set[tuple[str, str]]) -> float:
    def arrived() -> bool:
        return expected <= scene.subscriber.events(event_type)

    return wait_until(scene, arrived, f"{event_type} of {sorted(expected)} was not notified")


def find(scene: Scene) -> str:
    """Search for the bundle in both clouds, by its JSON files, or its UUID if other bundles may match."""
    by_uuid = scene.data or scene.shared
    query = {"query": {"term": {"uuid": scene.uuid}}} if by_uuid else _THREE_CLAUSES
    for replica in REPLICAS:
        _wait_until_found(scene, replica, query)
    clauses = "its UUID" if by_uuid else "three clauses on the content of its JSON files"
    return f"by {clauses}, in both clouds"


def _wait_until_found(scene: Scene, replica: str, query: Any) -> None:
    def is_found() -> bool:
        hits = [row["bundle_fqid"] for row in scene.client(replica).search(query)]
        return hits == [f"{scene.uuid}.{scene.version}"]

    wait_until(scene, is_found, f"{scene.uuid} is not the result of the search in {replica}")


def link(scene: Scene) -> str:
    """PUT a collection with a link to the bundle, and wait for it in the other cloud."""
    uuid, version = str(uuid4()), new_version(scene.client("gcp").clock)
    contents = [{"type": "bundle", "uuid": scene.uuid, "version": scene.version}]
    scene.client("gcp").put_collection(uuid, version, contents, name="demo", description="made by the demo")

    def has_arrived() -> bool:
        try:
            found = scene.client("aws").collection(uuid)
        except CallFailed as error:
            if error.status == 404:
                return False
            raise
        check(found["contents"] == contents, f"collection {uuid} has other contents in aws")
        return True

    waited = wait_until(scene, has_arrived, f"collection {uuid} has not arrived in aws")
    return f"a collection with a link to it, {waited:.1f} s later in aws"


def check_out(scene: Scene) -> str:
    """Check the bundle out in both clouds in parallel; checksums verify every copy."""
    began = time.monotonic()
    clients = [scene.client(replica) for replica in REPLICAS]
    jobs = [client.checkout(scene.uuid, scene.version) for client in clients]
    for client, job in zip(clients, jobs, strict=True):
        done = job.wait(seconds=patience(scene)).details
        check(done["files_done"] == len(scene.sent), f"{client.replica}: {done}")
    seconds = time.monotonic() - began
    return f"{len(scene.sent)} files to each cloud's checkout bucket in {seconds:.1f} s"


def receive_all(scene: Scene) -> str:
    """Compare the subscriber's notifications with the events, and with the journals of both clouds."""
    versions = {scene.version, scene.newest}
    expected = {(replica, version) for replica in REPLICAS for version in versions}
    for event_type in ("CREATE", "TOMBSTONE"):
        _wait_for_events(scene, event_type, expected)
    received = {row["event_id"] for row in scene.subscriber.notifications}
    in_journals = {
        event.event_id
        for replica in REPLICAS
        for event in scene.client(replica).events()
        if json.loads(event.document)["bundle_info"]["uuid"] == scene.uuid
    }
    scene.subscriber.shutdown()
    scene.subscriber.server_close()
    check(
        received == in_journals,
        f"{len(received)} events were received, {len(in_journals)} are in the journals",
    )
    return f"{len(received)} events received, the same {len(in_journals)} in the journals of both clouds"
