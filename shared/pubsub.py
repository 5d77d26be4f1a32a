"""Pub/Sub as the system publishes to it, and as operators look into it; the only place that knows it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from google.api_core import exceptions
from google.cloud.pubsub import PublisherClient, SubscriberClient

from shared.errors import Unavailable
from shared.messages import Received

_TIMEOUT_SECONDS = 20
# Pub/Sub's name for the topic of a subscription that has outlived it.
_DELETED_TOPIC = "_deleted-topic_"


class PubSub:
    """Topics of a project, or of the emulator that PUBSUB_EMULATOR_HOST names."""

    def __init__(self, project: str) -> None:
        self._project = project

    @cached_property
    def _client(self) -> PublisherClient:
        # At the first use: most requests of the API publish nothing.
        return PublisherClient()

    def publish(self, topic: str, attributes: Mapping[str, str], data: bytes = b"") -> None:
        """Publish a message, and return when Pub/Sub has it. Raises Unavailable where it does not answer."""
        path = self._client.topic_path(self._project, topic)
        try:
            self._client.publish(path, data, **attributes).result(timeout=_TIMEOUT_SECONDS)
        except (exceptions.GoogleAPICallError, exceptions.RetryError, TimeoutError) as error:
            raise Unavailable(f"topic {topic}: the message could not be published") from error


# Seconds for which a message is handed out to nobody else. Who is killed with it in hand costs that much.
_HELD_SECONDS = 120
# Pub/Sub: a request is at most 512 KiB, and a receipt some 200 bytes.
_RECEIPTS = 1000


class PubSubSubscription:
    """A subscription of a project, or of the emulator that PUBSUB_EMULATOR_HOST names."""

    def __init__(self, project: str, name: str) -> None:
        self._project = project
        self._name = name
        self._path = f"projects/{project}/subscriptions/{name}"

    @cached_property
    def _client(self) -> SubscriberClient:
        return SubscriberClient()

    def pull(self, count: int, *, seconds: float) -> Sequence[Received]:
        """Return up to so many messages, held for _HELD_SECONDS; none where none came within `seconds`."""
        ends = time.monotonic() + seconds
        rows = self._pull_once(count, seconds)
        # Pub/Sub may say "none" long before, of a subscription that has some.
        while not rows and (remaining := ends - time.monotonic()) > 1:
            rows = self._pull_once(count, remaining)
        received = [
            Received(
                receipt=row.ack_id,
                id=row.message.message_id,
                attributes=dict(row.message.attributes),
                data=row.message.data,
                published=row.message.publish_time,
            )
            for row in rows
        ]
        self._set_deadline(received, _HELD_SECONDS)
        return received

    def _pull_once(self, count: int, seconds: float) -> Sequence[Any]:
        with self._translated():
            try:
                answer = self._client.pull(
                    subscription=self._path, max_messages=count, timeout=seconds, retry=None
                )
            except exceptions.DeadlineExceeded:
                return []
        return list(answer.received_messages)

    def acknowledge(self, messages: Sequence[Received]) -> None:
        """Remove messages for good."""
        for receipts in _batches(messages):
            with self._translated():
                self._client.acknowledge(subscription=self._path, ack_ids=receipts, timeout=_TIMEOUT_SECONDS)

    def release(self, messages: Sequence[Received]) -> None:
        """Let messages be handed out again, at once."""
        self._set_deadline(messages, 0)

    def _set_deadline(self, messages: Sequence[Received], seconds: int) -> None:
        for receipts in _batches(messages):
            with self._translated():
                self._client.modify_ack_deadline(
                    subscription=self._path,
                    ack_ids=receipts,
                    ack_deadline_seconds=seconds,
                    timeout=_TIMEOUT_SECONDS,
                )

    def topic_of(self, subscription: str) -> str | None:
        """Return the topic of a subscription of the project, in one request; None where there is none."""
        path = f"projects/{self._project}/subscriptions/{subscription}"
        with self._translated():
            try:
                found = self._client.get_subscription(subscription=path, timeout=_TIMEOUT_SECONDS)
            except (exceptions.NotFound, exceptions.InvalidArgument):
                return None
        topic = str(found.topic).rpartition("/")[2]
        return None if topic == _DELETED_TOPIC else topic

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (exceptions.GoogleAPICallError, exceptions.RetryError) as error:
            raise Unavailable(f"subscription {self._name}: {error}") from error


def _batches(messages: Sequence[Received]) -> Iterator[list[str]]:
    receipts = [message.receipt for message in messages]
    for start in range(0, len(receipts), _RECEIPTS):
        yield receipts[start : start + _RECEIPTS]
