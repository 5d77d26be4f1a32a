"""Topics of the Pub/Sub emulator, for tests that look at what was published."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from unittest import mock

from google.api_core import exceptions
from google.cloud.pubsub import PublisherClient, SubscriberClient

from tests.support.api import new_uuid
from tests.support.waiting import SLOWNESS, wait_until

_MARKER = "testMarker"
# Seconds for one pull; it returns as soon as there is a message.
_PULL = 5.0


class TopicListener:
    """A subscription of its own: the `attributes` and `data` of the messages that came since it began."""

    def __init__(self, publisher: PublisherClient, client: SubscriberClient, topic: str, path: str) -> None:
        self._publisher = publisher
        self._client = client
        self._topic = topic
        self._path = path
        self._markers: set[str] = set()
        self.attributes: list[dict[str, str]] = []
        self.data: list[bytes] = []

    def wait(self, matches: Callable[[dict[str, str]], bool], seconds: float = 30) -> dict[str, str]:
        """Return the first message that matches, once it is there."""

        def first() -> dict[str, str] | None:
            match = next(filter(matches, self.attributes), None)
            if match is None:
                self.pull()
            return match

        message: dict[str, str] = wait_until(first, lambda: f"only {self.attributes}", seconds)
        return message

    def drain(self) -> None:
        """Take all messages that were published before this call, however long it takes them to come."""
        marker = new_uuid()
        # The emulator delivers in the order of publishing.
        self._publisher.publish(self._topic, b"", **{_MARKER: marker}).result(timeout=SLOWNESS * 30)

        def has_come() -> bool:
            self.pull()
            return marker in self._markers

        wait_until(has_come, f"a marker comes through {self._topic}")

    def pull(self) -> None:
        """Take the messages that are there, or the first that comes within some seconds."""
        try:
            answer = self._client.pull(subscription=self._path, max_messages=500, timeout=_PULL, retry=None)
        except exceptions.DeadlineExceeded:
            return
        received = answer.received_messages
        for message in (one.message for one in received):
            if _MARKER in message.attributes:
                self._markers.add(message.attributes[_MARKER])
            else:
                self.attributes.append(dict(message.attributes))
                self.data.append(message.data)
        if received:
            self._client.acknowledge(subscription=self._path, ack_ids=[one.ack_id for one in received])


@contextmanager
def listen_to(env: Mapping[str, str], topic: str) -> Iterator[TopicListener]:
    """Listen to a topic of a running system; create it if it does not exist."""
    project = env["GOOGLE_CLOUD_PROJECT"]
    with mock.patch.dict(os.environ, {"PUBSUB_EMULATOR_HOST": env["PUBSUB_EMULATOR_HOST"]}):
        publisher, client = PublisherClient(), SubscriberClient()
    topic_path = publisher.topic_path(project, topic)
    with suppress(exceptions.AlreadyExists):
        publisher.create_topic(name=topic_path)
    path = client.subscription_path(project, f"test-{new_uuid()}")
    client.create_subscription(name=path, topic=topic_path)
    try:
        yield TopicListener(publisher, client, topic_path, path)
    finally:
        client.delete_subscription(subscription=path)
        client.close()
