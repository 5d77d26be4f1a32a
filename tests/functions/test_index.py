"""`index`, as a process: events are journalled and published once, despite kills and repetition."""

import json

import pytest
import requests
from google.cloud.firestore import FieldFilter

from shared.faults import FAULT_POINTS
from tests.support.api import Api, Version, now, put_bundle, put_file
from tests.support.clouds import REPLICAS, Clouds
from tests.support.dss import firestore_client
from tests.support.function_process import FunctionProcess, function_process
from tests.support.replication import OTHER, new_bundle, new_file, object_event_attributes
from tests.support.topic_listener import TopicListener

POINTS = [point for point in FAULT_POINTS if point.startswith("index: ")]
REASON = {"reason": "wrong"}


def published(listener: TopicListener, bundle: Version) -> list[tuple[str, str, str, str]]:
    """Return the events of a bundle version that were published so far: replica, type, id and timestamp."""
    listener.drain()
    return [
        (one["replica"], one["eventType"], one["eventId"], one["timestamp"])
        for one in listener.attributes
        if (one["uuid"], one["version"]) == (bundle.uuid, bundle.version)
    ]


def journalled(stack: dict[str, str], bundle: Version, replica: str) -> list[tuple[str, str, str, str]]:
    """Return what the journal has of a bundle version, in order of time: replica, type, id and time."""
    found = [
        snapshot
        for snapshot in firestore_client(stack)
        .collection("events")
        .where(filter=FieldFilter("uuid", "==", bundle.uuid))
        .stream()
        if (snapshot.get("version"), snapshot.get("replica")) == (bundle.version, replica)
    ]
    rows = [(replica, one.get("type"), one.id, one.get("timestamp")) for one in found]
    return sorted(rows, key=lambda row: row[3])


def delete(admin: Api, replica: str, uuid: str, version: str | None = None) -> str:
    """Hide a bundle, and return the key of its tombstone."""
    path = f"/v1/bundles/{uuid}"
    assert admin.delete(path, replica=replica, version=version, json=REASON).status_code == 200
    return f"bundles/{uuid}.{version}.dead" if version else f"bundles/{uuid}.dead"


def test_a_new_bundle_is_one_event_however_often_its_object_event_arrives(
    stack: dict[str, str],
    index: FunctionProcess,
    listener: TopicListener,
    api: Api,
    clouds: Clouds,
    replica: str,
) -> None:
    content = {"smoking": [True, None, 1.5], "Ü": "ß"}
    source = clouds.stage(
        replica, json.dumps(content).encode(), content_type='application/json; dcp-type="metadata/x"'
    )
    file = put_file(api, source)
    bundle = put_bundle(api, replica, [file.named("a_0.json", indexed=True), file.named("b.c_12.json")])

    for _ in range(2):
        answer = index.push(object_event_attributes(clouds, replica, f"bundles/{bundle}"))
        assert answer.status_code == 204, answer.text

    [event] = journalled(stack, bundle, replica)
    assert published(listener, bundle) == [event]
    answer = api.get(f"/v1/events/{bundle.uuid}", replica=replica, version=bundle.version)
    document = answer.json()
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.content == clouds.read(replica, f"documents/{bundle}") + b"\n"
    assert document["files"] == {"a_json": [content], "b_c_json": [content]}
    assert document["manifest"] == json.loads(clouds.read(replica, f"bundles/{bundle}"))
    assert document["bundle_info"] == {"uuid": bundle.uuid, "version": bundle.version}
    assert set(document) == {"event_type", "bundle_info", "manifest", "files"}
    assert document["event_type"] == "CREATE"


@pytest.mark.parametrize("point", POINTS)
def test_an_event_is_published_by_the_next_attempt_after_a_kill_at_any_step(
    stack: dict[str, str],
    index: FunctionProcess,
    listener: TopicListener,
    admin: Api,
    clouds: Clouds,
    point: str,
) -> None:
    replica = REPLICAS[POINTS.index(point) % 2]
    bundle = new_bundle(admin, replica, new_file(admin, clouds, replica, b"content"))
    message = object_event_attributes(clouds, replica, f"bundles/{bundle}")

    with (
        function_process("index", stack, DSS_FAULT_POINT=point) as mortal,
        pytest.raises(requests.ConnectionError),
    ):
        mortal.push(message)
    assert index.push(message).status_code == 204

    [event] = journalled(stack, bundle, replica)
    # What was published before the kill is published again, and is the same.
    assert set(published(listener, bundle)) == {event}
    assert clouds.read(replica, f"documents/{bundle}") != b""


def test_a_tombstone_of_a_uuid_is_an_event_for_each_version_that_was_visible(
    stack: dict[str, str],
    index: FunctionProcess,
    listener: TopicListener,
    admin: Api,
    clouds: Clouds,
    replica: str,
) -> None:
    file = new_file(admin, clouds, replica, b"content")
    first = new_bundle(admin, replica, file)
    second, third, late = (Version(first.uuid, now()) for _ in range(3))
    for version in (second, third):
        put_bundle(admin, replica, [file.named("name")], bundle=version)
    assert index.push(object_event_attributes(clouds, replica, f"bundles/{first}")).status_code == 204
    one = delete(admin, replica, first.uuid, second.version)
    assert index.push(object_event_attributes(clouds, replica, one)).status_code == 204

    # A version that reaches the replica after the tombstone was never visible there.
    put_bundle(admin, OTHER[replica], [], bundle=late)
    whole = delete(admin, replica, first.uuid)
    with function_process("sync", stack) as sync:
        late_event = object_event_attributes(clouds, OTHER[replica], f"bundles/{late}")
        assert sync.push(late_event).status_code == 204
    for key in (whole, f"bundles/{late}", f"bundles/{third}", whole, one):
        assert index.push(object_event_attributes(clouds, replica, key)).status_code == 204

    for version in (first, second, third):
        events = journalled(stack, version, replica)
        # The creation comes first, also of a version that was hidden before anybody heard of it.
        assert [event[1] for event in events] == ["CREATE", "TOMBSTONE"]
        assert published(listener, version) == events
        answer = admin.get(f"/v1/events/{version.uuid}", replica=replica, version=version.version)
        assert answer.content == clouds.read(replica, f"documents/{version}.dead") + b"\n"
        assert answer.json() == {
            "event_type": "TOMBSTONE",
            "bundle_info": {"uuid": version.uuid, "version": version.version},
            "email": "admin@example.org",
            "reason": "wrong",
            "admin_deleted": True,
        }
    assert journalled(stack, late, replica) == published(listener, late) == []
    path = f"/v1/events/{late.uuid}"
    assert admin.get(path, replica=replica, version=late.version).status_code == 404


def test_events_of_a_uuid_are_not_published_again_with_the_rest(
    stack: dict[str, str], index: FunctionProcess, listener: TopicListener, admin: Api, clouds: Clouds
) -> None:
    file = new_file(admin, clouds, "gcp", b"content")
    first = new_bundle(admin, "gcp", file)
    second = Version(first.uuid, now())
    put_bundle(admin, "gcp", [file.named("name")], bundle=second)
    for bundle in (first, second):
        assert index.push(object_event_attributes(clouds, "gcp", f"bundles/{bundle}")).status_code == 204
    whole = object_event_attributes(clouds, "gcp", delete(admin, "gcp", first.uuid))
    assert index.push(whole).status_code == 204
    # As if it had been killed before it published the tombstone of the second version.
    [(_, _, ended, _)] = [row for row in journalled(stack, second, "gcp") if row[1] == "TOMBSTONE"]
    clouds.gcs.bucket(clouds.main["gcp"]).blob(f"events/{ended}").delete()
    tombstone = firestore_client(stack).collection("bundle_tombstones").document(first.uuid)
    tombstone.update({"unpublished": ["gcp"]})

    assert index.push(whole).status_code == 204

    assert len(published(listener, first)) == 2
    events = journalled(stack, second, "gcp")
    assert published(listener, second) == [*events, events[-1]]
    assert tombstone.get().get("unpublished") == []


def test_an_event_of_an_object_that_is_not_available_yet_is_retried(
    index: FunctionProcess, api: Api, clouds: Clouds, replica: str
) -> None:
    nowhere = Version(new_bundle(api, replica).uuid, now())
    for key in (f"bundles/{nowhere}", f"bundles/{nowhere}.dead", f"bundles/{nowhere.uuid}.dead"):
        assert index.push(object_event_attributes(clouds, replica, key)).status_code == 503
    for key in (f"files/{nowhere}", f"documents/{nowhere}", "blobs/x"):
        assert index.push(object_event_attributes(clouds, replica, key)).status_code == 204


def test_files_that_are_not_json_are_left_out_with_a_reason(
    index: FunctionProcess, api: Api, clouds: Clouds, replica: str
) -> None:
    contents = {
        "fine.json": b" [1] ",
        "no.json": b"{",
        "nan.json": b"[NaN]",
        "vast.json": b"1e999",
        "deep.json": b"[" * 101 + b"]" * 101,
        "large.json": b"1" + b" " * 4 * 1024 * 1024,
        "dots.json": json.dumps({"." * 48_000: 1}).encode(),
        "lists.json": b"[" + b",".join([b"[]"] * 1_300_000) + b"]",
        "text.txt": b"1",
    }
    files = {
        name: put_file(
            api,
            clouds.stage(
                replica, data, content_type="text/plain" if name == "text.txt" else "application/json"
            ),
        )
        for name, data in contents.items()
    }
    bundle = put_bundle(api, replica, [file.named(name) for name, file in files.items()])
    # Made for who asks first, and the same when it is kept.
    asked = api.get(f"/v1/events/{bundle.uuid}", replica=replica, version=bundle.version).content

    assert index.push(object_event_attributes(clouds, replica, f"bundles/{bundle}")).status_code == 204

    kept = clouds.read(replica, f"documents/{bundle}")
    assert kept + b"\n" == asked
    document = json.loads(kept)
    assert document["files"] == {"fine_json": [[1]]}
    assert {row["name"]: row["reason"] for row in document["left_out"]} == {
        "deep.json": "deeper than 100 levels",
        "dots.json": "a path in it has over 2000 characters or 200 steps",
        "lists.json": "with it, the files hold more than 400000 values, objects and lists",
        "large.json": "larger than 4194304 bytes",
        "nan.json": "no JSON",
        "no.json": "no JSON",
        "vast.json": "no JSON",
    }
