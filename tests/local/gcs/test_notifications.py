import base64
import json
import signal
import uuid
from collections.abc import Callable

import pytest
import requests
from google.api_core.exceptions import BadRequest, MethodNotImplemented, NotFound


@pytest.fixture(scope="module")
def publishing(tmp_path_factory, server_class, pubsub):
    running = server_class(tmp_path_factory.mktemp("gcs"), "--pubsub-emulator", pubsub.host)
    yield running
    running.end()


@pytest.fixture
def watched(publishing, pubsub):
    """A bucket, and makes notification configurations of it: the function gives what they deliver."""
    bucket = publishing.client().create_bucket(f"bucket-{uuid.uuid4()}")

    def watch(**options) -> Callable[[], list[dict]]:
        topic, subscription = pubsub.subscribed_topic()
        options = {"payload_format": "JSON_API_V1", **options}
        name = topic.rpartition("/")[2]
        bucket.notification(topic_name=name, topic_project="dss-local", **options).create()
        received: list[dict] = []

        def delivered():
            received.extend(pubsub.pull(subscription))
            return received

        return delivered

    return bucket, watch


def test_a_created_object_is_notified_as_the_real_service_tells_it(watched, eventually):
    bucket, watch = watched
    delivered = watch()
    blob = bucket.blob("a/é")
    blob.upload_from_string(b"x", content_type="text/x")
    [message] = eventually(delivered)
    attributes = message["attributes"]
    assert attributes.pop("eventTime").endswith("Z")
    assert attributes == {
        "notificationConfig": f"projects/_/buckets/{bucket.name}/notificationConfigs/1",
        "eventType": "OBJECT_FINALIZE",
        "payloadFormat": "JSON_API_V1",
        "bucketId": bucket.name,
        "objectId": "a/é",
        "objectGeneration": str(blob.generation),
    }
    payload = json.loads(base64.b64decode(message["data"]))
    assert payload == requests.get(blob.self_link, timeout=60).json()


def test_replacing_changing_and_deleting_are_notified(watched, eventually):
    bucket, watch = watched
    delivered = watch()
    first = bucket.blob("x")
    first.upload_from_string(b"1")
    second = bucket.blob("x")
    second.upload_from_string(b"2")
    second.metadata = {"one": "1"}
    second.patch()
    second.delete()
    eventually(lambda: len(delivered()) >= 5)
    old, new = str(first.generation), str(second.generation)
    notified = [
        (
            attributes["eventType"],
            attributes["objectGeneration"],
            attributes.get("overwroteGeneration") or attributes.get("overwrittenByGeneration"),
        )
        for attributes in (message["attributes"] for message in delivered())
    ]
    assert sorted(notified, key=str) == sorted(
        [
            ("OBJECT_FINALIZE", old, None),
            ("OBJECT_DELETE", old, new),
            ("OBJECT_FINALIZE", new, old),
            ("OBJECT_METADATA_UPDATE", new, None),
            ("OBJECT_DELETE", new, None),
        ],
        key=str,
    )


def test_only_what_was_asked_for_is_notified(watched, eventually):
    bucket, watch = watched
    options = {"blob_name_prefix": "kept/", "event_types": ["OBJECT_DELETE"], "payload_format": "NONE"}
    delivered = watch(custom_attributes={"replica": "gcp"}, **options)
    everything = watch()
    for name in ("kept/x", "other/x"):
        blob = bucket.blob(name)
        blob.upload_from_string(b"x")
        blob.delete()
    eventually(lambda: len(everything()) == 4)
    [message] = eventually(delivered)
    attributes = message["attributes"]
    assert (attributes["objectId"], attributes["eventType"]) == ("kept/x", "OBJECT_DELETE")
    assert (attributes["replica"], attributes["payloadFormat"]) == ("gcp", "NONE")
    assert "data" not in message


def test_every_way_to_create_an_object_is_notified(watched, eventually):
    bucket, watch = watched
    delivered = watch(payload_format="NONE")
    resumable = bucket.blob("resumable", chunk_size=256 * 1024)
    resumable.upload_from_string(b"x")
    bucket.blob("composed").compose([resumable])
    bucket.blob("rewritten").rewrite(resumable)
    bucket.copy_blob(resumable, bucket, "copied")
    eventually(lambda: len(delivered()) >= 4)
    names = {message["attributes"]["objectId"] for message in delivered()}
    assert names == {"resumable", "composed", "rewritten", "copied"}


def test_configurations_can_be_listed_found_and_removed(watched, eventually):
    bucket, watch = watched
    silent, notified = watch(), watch()
    first, second = bucket.list_notifications()
    assert first.topic_name != second.topic_name
    found = bucket.get_notification(first.notification_id)
    assert (found.etag, found.payload_format) == (first.etag, "JSON_API_V1")
    first.delete()
    with pytest.raises(NotFound):
        bucket.get_notification(first.notification_id)
    bucket.blob("x").upload_from_string(b"x")
    eventually(notified)
    assert silent() == []


def test_a_topic_that_is_missing_delays_no_other(watched, pubsub, eventually):
    bucket, watch = watched
    late = f"t{uuid.uuid4().hex}"
    bucket.notification(topic_name=late, topic_project="dss-local", payload_format="NONE").create()
    delivered = watch()
    bucket.blob("x").upload_from_string(b"x")
    eventually(delivered)
    topic = f"projects/dss-local/topics/{late}"
    subscription = f"projects/dss-local/subscriptions/{late}"
    requests.put(f"{pubsub.address}/{topic}", timeout=60).raise_for_status()
    requests.put(f"{pubsub.address}/{subscription}", json={"topic": topic}, timeout=60).raise_for_status()
    # Pub/Sub keeps nothing for a subscription that comes after the message.
    bucket.blob("y").upload_from_string(b"y")
    [message, *_] = eventually(lambda: pubsub.pull(subscription))
    assert message["attributes"]["objectId"] in ("x", "y")


def test_events_outlive_a_kill_before_they_were_published(start_server, free_port, pubsub, eventually):
    topic, subscription = pubsub.subscribed_topic()
    unreachable = start_server("--pubsub-emulator", f"127.0.0.1:{free_port}")
    bucket = unreachable.client().create_bucket("some-bucket")
    name = topic.rpartition("/")[2]
    bucket.notification(topic_name=name, topic_project="dss-local", payload_format="NONE").create()
    for number in range(300):
        bucket.blob(f"object-{number}").upload_from_string(b"x")
    unreachable.end(signal.SIGKILL)
    start_server("--pubsub-emulator", pubsub.host)
    names: set[str] = set()

    def all_notified():
        names.update(message["attributes"]["objectId"] for message in pubsub.pull(subscription))
        return len(names) == 300

    eventually(all_notified)
    assert names == {f"object-{number}" for number in range(300)}


def test_a_configuration_that_makes_no_sense_is_refused(watched, publishing):
    bucket, _ = watched
    for options in ({"event_types": ["OBJECT_RENAME"]}, {"payload_format": "XML"}):
        options = {"payload_format": "NONE", **options}
        with pytest.raises(BadRequest):
            bucket.notification(topic_name="some", topic_project="dss-local", **options).create()
    path = f"{publishing.address}/storage/v1/b/{bucket.name}/notificationConfigs"
    body = {"topic": "some", "payload_format": "NONE"}
    assert requests.post(path, json=body, timeout=60).status_code == 400


def test_without_pubsub_a_configuration_is_refused_since_nothing_would_come_of_it(bucket):
    with pytest.raises(MethodNotImplemented, match="--pubsub-emulator"):
        bucket.notification(topic_name="some", topic_project="p", payload_format="NONE").create()
