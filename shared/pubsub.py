"""Pub/Sub: publish messages, and pull those of a subscription; the only module that knows Pub/Sub."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import grpc
from google.api_core import exceptions, retry

from shared.config import pubsub_emulator
from shared.deadlines import limited
from shared.errors import Unavailable
from shared.messages import PulledMessage
from shared.tracing import TRACEPARENT, current_traceparent

if TYPE_CHECKING:
    from google.cloud.pubsub import SubscriberClient
    from google.pubsub_v1 import PublisherClient

_TIMEOUT_SECONDS = 20
# As the client library retries it.
_RETRIED = retry.Retry(
    predicate=retry.if_exception_type(
        *(exceptions.Aborted, exceptions.Cancelled, exceptions.DeadlineExceeded, exceptions.Unknown),
        *(exceptions.InternalServerError, exceptions.ResourceExhausted, exceptions.ServiceUnavailable),
    ),
    initial=0.1,
    maximum=5.0,
)
# Pub/Sub: the topic of a subscription whose topic was deleted.
_DELETED_TOPIC = "_deleted-topic_"


class PubSub:
    """The topics of a project, in the cloud or in the emulator at PUBSUB_EMULATOR_HOST.

    Their names begin with `prefix` there, and without it here.
    """

    def __init__(self, project: str, prefix: str = "") -> None:
        self._project = project
        self._prefix = prefix

    @cached_property
    def _client(self) -> "PublisherClient":
        # Imported and created at the first use: most processes publish nothing, and it is a tenth of a start.
        from google.pubsub_v1 import PublisherClient
        from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

        # This client leaves it to its callers to find the emulator.
        if emulator := pubsub_emulator():
            return PublisherClient(transport=PublisherGrpcTransport(channel=grpc.insecure_channel(emulator)))
        return PublisherClient()

    def publish(self, topic: str, attributes: Mapping[str, str], data: bytes = b"") -> None:
        """Publish a message, and return when Pub/Sub has it. Raises Unavailable if Pub/Sub fails."""
        path = self._client.topic_path(self._project, f"{self._prefix}{topic}")
        if trace := current_traceparent():
            attributes = {**attributes, TRACEPARENT: trace}
        # Not by the client that collects messages: it starts a thread for each, and waits 10 ms for others,
        # which never come: who publishes waits, too.
        request = {"topic": path, "messages": [{"data": data, "attributes": dict(attributes)}]}
        seconds = limited(_TIMEOUT_SECONDS)
        try:
            self._client.publish(request, retry=_RETRIED.with_timeout(seconds), timeout=seconds)
        except (exceptions.GoogleAPICallError, exceptions.RetryError, TimeoutError) as error:
            raise Unavailable(f"topic {topic}: the message could not be published") from error


# Seconds for which nobody else gets a pulled message. If the process is killed, it is delayed by as much.
_ACK_DEADLINE_SECONDS = 120
# Pub/Sub: a request is at most 512 KiB, and a receipt some 200 bytes.
_RECEIPTS = 1000


class PubSubSubscription:
    """A pull subscription of a project, in the cloud or in the emulator at PUBSUB_EMULATOR_HOST.

    Names of subscriptions and topics begin with `prefix` there, and without it here.
    """

    def __init__(self, project: str, name: str, prefix: str = "") -> None:
        self._project = project
        self._name = name
        self._prefix = prefix
        self._path = self._path_of(name)

    def _path_of(self, name: str) -> str:
        return f"projects/{self._project}/subscriptions/{self._prefix}{name}"

    @cached_property
    def _client(self) -> "SubscriberClient":
        from google.cloud.pubsub import SubscriberClient

        return SubscriberClient()

    def pull(self, count: int, *, seconds: float) -> Sequence[PulledMessage]:
        """Return up to `count` messages, for _ACK_DEADLINE_SECONDS; none if none arrives within `seconds`."""
        ends = time.monotonic() + seconds
        rows = self._pull_once(count, seconds)
        # Pub/Sub may answer with no message early, although the subscription has some.
        while not rows and (remaining := ends - time.monotonic()) > 1:
            rows = self._pull_once(count, remaining)
        received = [
            PulledMessage(
                receipt=row.ack_id,
                id=row.message.message_id,
                attributes=dict(row.message.attributes),
                data=row.message.data,
                published=row.message.publish_time,
            )
            for row in rows
        ]
        self._set_deadline(received, _ACK_DEADLINE_SECONDS)
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

    def acknowledge(self, messages: Sequence[PulledMessage]) -> None:
        """Remove messages from the subscription."""
        for receipts in _batches(messages):
            with self._translated():
                self._client.acknowledge(subscription=self._path, ack_ids=receipts, timeout=_TIMEOUT_SECONDS)

    def release(self, messages: Sequence[PulledMessage]) -> None:
        """Make messages available to others, at once."""
        self._set_deadline(messages, 0)

    def _set_deadline(self, messages: Sequence[PulledMessage], seconds: int) -> None:
        for receipts in _batches(messages):
            with self._translated():
                self._client.modify_ack_deadline(
                    subscription=self._path,
                    ack_ids=receipts,
                    ack_deadline_seconds=seconds,
                    timeout=_TIMEOUT_SECONDS,
                )

    def topic_of(self, subscription: str) -> str | None:
        """Return the topic of a subscription of the project, in one request; None if it does not exist."""
        path = self._path_of(subscription)
        with self._translated():
            try:
                existing = self._client.get_subscription(subscription=path, timeout=_TIMEOUT_SECONDS)
            except (exceptions.NotFound, exceptions.InvalidArgument):
                return None
        topic = str(existing.topic).rpartition("/")[2]
        return None if topic == _DELETED_TOPIC else topic.removeprefix(self._prefix)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (exceptions.GoogleAPICallError, exceptions.RetryError) as error:
            raise Unavailable(f"subscription {self._name}: {error}") from error


def _batches(messages: Sequence[PulledMessage]) -> Iterator[list[str]]:
    receipts = [message.receipt for message in messages]
    for start in range(0, len(receipts), _RECEIPTS):
        yield receipts[start : start + _RECEIPTS]
