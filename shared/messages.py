"""The messages on the topics of the system, and the protocols to publish and pull them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.errors import IllegalArguments

OBJECT_EVENTS = "object-events"
BUNDLE_EVENTS = "bundle-events"
# That catalogues are to look at a bundle version again.
BUNDLE_CHANGES = "bundle-changes"
DELIVERIES = "deliveries"
DELIVERY_RETRIES = "delivery-retries"
REPLAYS = "replays"
DEAD_LETTERS = "dead-letters"
# Those whose subscriptions push to functions.
PUSHED_TOPICS = (OBJECT_EVENTS, BUNDLE_EVENTS, BUNDLE_CHANGES, DELIVERIES, DELIVERY_RETRIES, REPLAYS)
# GCS's event type for a complete new object; events of S3 are translated to it.
FINALIZED = "OBJECT_FINALIZE"


class Publisher(Protocol):
    """Publishes messages."""

    def publish(self, topic: str, attributes: Mapping[str, str], data: bytes = b"") -> None:
        """Publish a message; it is durable when this returns. Raises Unavailable if Pub/Sub fails."""
        ...


@dataclass(frozen=True, kw_only=True)
class PulledMessage:
    """A message that was pulled from a subscription, which keeps it until `receipt` is acknowledged."""

    receipt: str
    id: str
    attributes: Mapping[str, str]
    data: bytes
    published: datetime


class PullSubscription(Protocol):
    """A pull subscription of a topic. All methods raise Unavailable."""

    def pull(self, count: int, *, seconds: float) -> Sequence[PulledMessage]:
        """Return up to `count` messages; none if none arrives within so many seconds.

        Nobody else gets them for some minutes, unless they are released.
        """
        ...

    def acknowledge(self, messages: Sequence[PulledMessage]) -> None:
        """Remove messages from the subscription."""
        ...

    def release(self, messages: Sequence[PulledMessage]) -> None:
        """Make messages available to others, at once."""
        ...

    def topic_of(self, subscription: str) -> str | None:
        """Return the topic of a subscription of the same project; None if it does not exist."""
        ...


@contextmanager
def attributes_required() -> Iterator[None]:
    """Raise IllegalArguments, naming the attribute, if the block finds that a message lacks one."""
    try:
        yield
    except KeyError as error:
        raise IllegalArguments(f"{error.args[0]}: the message has no such attribute") from error


@dataclass(frozen=True, kw_only=True)
class ObjectEvent:
    """An object appeared in a replica's bucket."""

    replica: str
    bucket: str
    key: str
    event_type: str = FINALIZED
    generation: str = ""

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes of its message."""
        return {
            "replica": self.replica,
            "bucketId": self.bucket,
            "objectId": self.key,
            "eventType": self.event_type,
            "objectGeneration": self.generation,
        }

    @classmethod
    def parse(cls, attributes: Mapping[str, str]) -> "ObjectEvent":
        """Return the event of a message's attributes.

        Raises IllegalArguments, naming it, if one is missing.
        """
        with attributes_required():
            return cls(
                replica=attributes["replica"],
                bucket=attributes["bucketId"],
                key=attributes["objectId"],
                event_type=attributes["eventType"],
                generation=attributes.get("objectGeneration", ""),
            )


@dataclass(frozen=True, kw_only=True)
class BundleEvent:
    """A bundle version, or its tombstone, became available on a replica: `type` is `CREATE` or `TOMBSTONE`.

    `id` is the same each time it is published; `timestamp`, a version, is when it was journalled.
    """

    id: str
    replica: str
    type: str
    uuid: str
    version: str
    timestamp: str

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes of its message."""
        return {
            "eventId": self.id,
            "replica": self.replica,
            "eventType": self.type,
            "uuid": self.uuid,
            "version": self.version,
            "timestamp": self.timestamp,
        }

    @classmethod
    def parse(cls, attributes: Mapping[str, str]) -> "BundleEvent":
        """Return the event of a message's attributes.

        Raises IllegalArguments, naming it, if one is missing.
        """
        with attributes_required():
            return cls(
                id=attributes["eventId"],
                replica=attributes["replica"],
                type=attributes["eventType"],
                uuid=attributes["uuid"],
                version=attributes["version"],
                timestamp=attributes["timestamp"],
            )


@dataclass(frozen=True, kw_only=True)
class BundleChange:
    """Catalogues are to look at a bundle version of a replica again.

    Its readers or its document have changed, it is withheld, or the sweep asks for it.
    """

    replica: str
    uuid: str
    version: str

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes of its message."""
        return {"replica": self.replica, "uuid": self.uuid, "version": self.version}

    @classmethod
    def parse(cls, attributes: Mapping[str, str]) -> "BundleChange":
        """Return the change of a message's attributes, which may be those of a BundleEvent.

        Raises IllegalArguments, naming it, if one is missing.
        """
        with attributes_required():
            return cls(replica=attributes["replica"], uuid=attributes["uuid"], version=attributes["version"])
