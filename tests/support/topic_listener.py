"""Topics of the emulator, for tests that look at what was published."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from unittest import mock

from google.api_core import exceptions
from google.cloud.pubsub import PublisherClient, SubscriberClient

from tests.support.api import new_uuid


class TopicListener:
    """A subscription of its own: `attributes` are those of the messages that came since it began."""

    def __init__(self, client: SubscriberClient, path: str) -> None:
        self._client = client
        self._path = path
        self.attributes: list[dict[str, str]] = []

    def wait(self, wanted: Callable[[dict[str, str]], bool], seconds: float = 30) -> dict[str, str]:
        """Return the first message that is wanted; fail after `seconds`."""
        deadline = time.monotonic() + seconds
        while not (found := [one for one in self.attributes if wanted(one)]):
            assert time.monotonic() < deadline, f"not within {seconds} s, only {self.attributes}"
            self.pull(2.0)
        return found[0]

    def pull(self, seconds: float) -> None:
        """Take what comes within so many seconds, and return at the first."""
        try:
            answer = self._client.pull(subscription=self._path, max_messages=500, timeout=seconds, retry=None)
        except exceptions.DeadlineExceeded:
            return
        received = answer.received_messages
        self.attributes += [dict(one.message.attributes) for one in received]
        if received:
            self._client.acknowledge(subscription=self._path, ack_ids=[one.ack_id for one in received])


@contextmanager
def listen_to(env: Mapping[str, str], topic: str) -> Iterator[TopicListener]:
    """Listen to a topic of a running system; it is made where it is not there yet."""
    project = env["GOOGLE_CLOUD_PROJECT"]
    with mock.patch.dict(os.environ, {"PUBSUB_EMULATOR_HOST": env["PUBSUB_EMULATOR_HOST"]}):
        publisher, client = PublisherClient(), SubscriberClient()
    topic_path = publisher.topic_path(project, topic)
    with suppress(exceptions.AlreadyExists):
        publisher.create_topic(name=topic_path)
    path = client.subscription_path(project, f"test-{new_uuid()}")
    client.create_subscription(name=path, topic=topic_path)
    try:
        yield TopicListener(client, path)
    finally:
        client.delete_subscription(subscription=path)
        client.close()
