"""Messages between the parts of the system: who publishes them, and what an object event says."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.errors import IllegalArguments

OBJECT_EVENTS = "object-events"
BUNDLE_EVENTS = "bundle-events"
DELIVERIES = "deliveries"
DELIVERY_RETRIES = "delivery-retries"
REPLAYS = "replays"
DEAD_LETTERS = "dead-letters"
# GCS's name for "an object is there, whole"; S3's are turned into it.
FINALIZED = "OBJECT_FINALIZE"


class Publisher(Protocol):
    """Where messages go."""

    def publish(self, topic: str, attributes: Mapping[str, str], data: bytes = b"") -> None:
        """Hand over a message; it is durable when this returns. Raises Unavailable where it cannot be."""
        ...


@dataclass(frozen=True, kw_only=True)
class Received:
    """A message that a subscription has handed out, and keeps until it is acknowledged by `receipt`."""

    receipt: str
    id: str
    attributes: Mapping[str, str]
    data: bytes
    published: datetime


class PullSubscription(Protocol):
    """Where messages of a topic wait until they are acknowledged. All methods raise Unavailable."""

    def pull(self, count: int, *, seconds: float) -> Sequence[Received]:
        """Return up to so many messages; none where none came within so many seconds.

        They are handed out to nobody else for some minutes, unless they are released.
        """
        ...

    def acknowledge(self, messages: Sequence[Received]) -> None:
        """Remove messages for good."""
        ...

    def release(self, messages: Sequence[Received]) -> None:
        """Let messages be handed out again, at once."""
        ...

    def topic_of(self, subscription: str) -> str | None:
        """Return the topic of a subscription of the same project; None where there is none."""
        ...


@contextmanager
def all_attributes_wanted() -> Iterator[None]:
    """Raise IllegalArguments, naming it, where a message is found to lack an attribute."""
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
        """The attributes of a message that tells of it."""
        return {
            "replica": self.replica,
            "bucketId": self.bucket,
            "objectId": self.key,
            "eventType": self.event_type,
            "objectGeneration": self.generation,
        }

    @classmethod
    def parse(cls, attributes: Mapping[str, str]) -> "ObjectEvent":
        """Return the event that a message's attributes tell of.

        Raises IllegalArguments, naming it, where one is missing.
        """
        with all_attributes_wanted():
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

    `id` is the same whenever it is told of; `timestamp`, a version, is the time at which it was journalled.
    """

    id: str
    replica: str
    type: str
    uuid: str
    version: str
    timestamp: str

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes of a message that tells of it."""
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
        """Return the event that a message's attributes tell of.

        Raises IllegalArguments, naming it, where one is missing.
        """
        with all_attributes_wanted():
            return cls(
                id=attributes["eventId"],
                replica=attributes["replica"],
                type=attributes["eventType"],
                uuid=attributes["uuid"],
                version=attributes["version"],
                timestamp=attributes["timestamp"],
            )
