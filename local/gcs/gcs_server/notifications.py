"""Notifications for Pub/Sub: their configurations, and the outbox.

An event is recorded in the transaction that changes the object, and leaves the outbox when Pub/Sub has it. A
kill in between publishes it late or twice, but never loses it.
"""

import base64
import json
import re
import sqlite3
import threading
from datetime import UTC, datetime

from gcs_server.buckets import find_bucket
from gcs_server.database import Database
from gcs_server.errors import BadRequest, NotFound, Unsupported
from gcs_server.resources import Json, ObjectRecord

FINALIZED, UPDATED, DELETED = "OBJECT_FINALIZE", "OBJECT_METADATA_UPDATE", "OBJECT_DELETE"
_EVENTS = (FINALIZED, UPDATED, DELETED, "OBJECT_ARCHIVE")
_PAYLOADS = ("JSON_API_V1", "NONE")
_TOPIC = re.compile(r"//pubsub\.googleapis\.com/(projects/[^/]+/topics/[^/]+)")
_KNOWN = {"topic", "event_types", "payload_format", "object_name_prefix", "custom_attributes"}
_OUTPUT_ONLY = {"id", "kind", "etag", "selfLink"}


class Notifications:
    """Notification configurations of buckets, and the events that match them."""

    def __init__(self, database: Database, wakeup: threading.Event, *, publishing: bool) -> None:
        self._database = database
        self._publishing = publishing
        self._wakeup = wakeup

    def create(self, bucket: str, resource: Json) -> Json:
        """Create a configuration. Raises BadRequest, BucketNotFound, Unsupported."""
        if not self._publishing:
            raise Unsupported("notifications are not served without --pubsub-emulator")
        config = _checked(resource)
        with self._database.write() as connection:
            find_bucket(connection, bucket)
            query = "SELECT COALESCE(MAX(id), 0) + 1 FROM notifications WHERE bucket = ?"
            number = connection.execute(query, (bucket,)).fetchone()[0]
            row = (bucket, number, json.dumps(config))
            connection.execute("INSERT INTO notifications VALUES (?, ?, ?)", row)
        return _shown(number, config)

    def of_bucket(self, bucket: str) -> list[Json]:
        """Return the bucket's configurations. Raises BucketNotFound."""
        with self._database.read() as connection:
            find_bucket(connection, bucket)
            return [_shown(number, config) for number, config in _configs(connection, bucket)]

    def get(self, bucket: str, identifier: str) -> Json:
        """Return the configuration. Raises BucketNotFound, NotFound."""
        for config in self.of_bucket(bucket):
            if config["id"] == identifier:
                return config
        raise NotFound(f"Notification {identifier} not found in bucket {bucket}.")

    def delete(self, bucket: str, identifier: str) -> None:
        """Delete the configuration. Raises BucketNotFound, NotFound."""
        self.get(bucket, identifier)
        with self._database.write() as connection:
            query = "DELETE FROM notifications WHERE bucket = ? AND id = ?"
            connection.execute(query, (bucket, int(identifier)))

    def record(
        self,
        connection: sqlite3.Connection,
        event: str,
        stored: ObjectRecord,
        address: str,
        more: dict[str, str] | None = None,
    ) -> None:
        """Put the event into the outbox, within the transaction, for each configuration that matches."""
        for number, config in _configs(connection, stored.bucket):
            if _wants(config, event, stored.name):
                message = _message(number, config, event, stored, address, more or {})
                row = (config["topic"], json.dumps(message))
                connection.execute("INSERT INTO outbox (topic, message) VALUES (?, ?)", row)

    def wake(self) -> None:
        """Wake the publisher: there may be events."""
        self._wakeup.set()


def _configs(connection: sqlite3.Connection, bucket: str) -> list[tuple[int, Json]]:
    query = "SELECT id, config FROM notifications WHERE bucket = ? ORDER BY id"
    return [(number, json.loads(config)) for number, config in connection.execute(query, (bucket,))]


def _wants(config: Json, event: str, name: str) -> bool:
    events = config.get("event_types") or _EVENTS
    return event in events and name.startswith(config.get("object_name_prefix", ""))


def _message(
    number: int, config: Json, event: str, stored: ObjectRecord, address: str, more: dict[str, str]
) -> Json:
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    attributes = {
        **config.get("custom_attributes", {}),
        "notificationConfig": f"projects/_/buckets/{stored.bucket}/notificationConfigs/{number}",
        "eventType": event,
        "payloadFormat": config["payload_format"],
        "bucketId": stored.bucket,
        "objectId": stored.name,
        "objectGeneration": str(stored.generation),
        "eventTime": moment,
        **more,
    }
    if config["payload_format"] == "NONE":
        return {"attributes": attributes}
    payload = json.dumps(stored.resource(address), indent=2).encode()
    return {"attributes": attributes, "data": base64.b64encode(payload).decode()}


def _checked(resource: Json) -> Json:
    for name in resource:
        if name not in _KNOWN | _OUTPUT_ONLY:
            raise Unsupported(f"notification property not served: {name}")
    topic = _TOPIC.fullmatch(str(resource.get("topic")))
    if not topic:
        raise BadRequest(f"Invalid Google Cloud Pub/Sub topic: '{resource.get('topic')}'.")
    if resource.get("payload_format") not in _PAYLOADS:
        raise BadRequest(f"Invalid payload format: '{resource.get('payload_format')}'.")
    for event in resource.get("event_types") or ():
        if event not in _EVENTS:
            raise BadRequest(f"Invalid event type: '{event}'.")
    config = {name: value for name, value in resource.items() if name in _KNOWN and value is not None}
    return {**config, "topic": topic[1]}


def _shown(number: int, config: Json) -> Json:
    topic = f"//pubsub.googleapis.com/{config['topic']}"
    return {"kind": "storage#notification", "id": str(number), "etag": str(number), **config, "topic": topic}
