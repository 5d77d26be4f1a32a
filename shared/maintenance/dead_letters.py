"""Dead letters: messages that failed for good. Operators list, replay, dump and feed them.

A dead letter has the attributes of its message, and those that say which subscription could not deliver it,
why, and when the message was published. Letters that Pub/Sub itself has written have other attributes.
"""

import base64
import binascii
import json
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.errors import IllegalArguments
from shared.messages import Publisher, PulledMessage, PullSubscription

_SUBSCRIPTION = ("deadSubscription", "CloudPubSubDeadLetterSourceSubscription")
# Attributes that a message gets as a dead letter. Pub/Sub refuses to publish any that begin with `goog`.
_OF_THE_DEAD = ("dead", "CloudPubSubDeadLetterSource", "goog")
# Messages that are pulled at once.
_BATCH = 100


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A message that could not be handled."""

    message: PulledMessage

    def _first_of(self, names: tuple[str, ...]) -> str:
        return next((self.message.attributes[name] for name in names if name in self.message.attributes), "")

    @property
    def subscription(self) -> str:
        """The subscription that could not deliver it."""
        return self._first_of(_SUBSCRIPTION)

    @property
    def reason(self) -> str:
        """Why the last attempt failed."""
        return self.message.attributes.get("deadReason") or "Pub/Sub gave up: the function did not answer"

    @property
    def tried_seconds(self) -> float | None:
        """For how long the message was tried, in seconds, if that is known."""
        published = self.message.attributes.get("deadPublished")
        with suppress(ValueError, TypeError):
            if published:
                since = datetime.fromisoformat(published)
                return round((self.message.published - since).total_seconds(), 1)
        return None

    @property
    def attributes(self) -> Mapping[str, str]:
        """The attributes of the original message."""
        return {
            name: value
            for name, value in self.message.attributes.items()
            if not name.startswith(_OF_THE_DEAD)
        }

    def as_json(self, now: datetime) -> dict[str, Any]:
        """Return the letter as operators see it; its age in seconds."""
        return {
            "id": self.message.id,
            "subscription": self.subscription,
            "key": self.attributes.get("objectId", ""),
            "replica": self.attributes.get("replica", ""),
            "reason": self.reason,
            "tried_seconds": self.tried_seconds,
            "age_seconds": round((now - self.message.published).total_seconds(), 1),
            "attributes": dict(self.attributes),
        }

    def as_line(self) -> str:
        """Return all of the letter as a line of JSON, for `Dumped.parse`."""
        return line_of(self.message, self.subscription, self.attributes, reason=self.reason)


def line_of(
    message: PulledMessage, subscription: str, attributes: Mapping[str, str], **said: str | int
) -> str:
    """Return a message of a subscription as a line of JSON, for `Dumped.parse`, with what else is `said`."""
    return json.dumps(
        {
            "id": message.id,
            "subscription": subscription,
            **said,
            "published": message.published.isoformat(),
            "attributes": dict(attributes),
            "data": base64.b64encode(message.data).decode(),
        }
    )


@dataclass(frozen=True, kw_only=True)
class Dumped:
    """A message as a dump has it, of dead letters or of another queue."""

    id: str
    subscription: str
    attributes: Mapping[str, str]
    data: bytes

    @classmethod
    def parse(cls, line: str, where: str) -> "Dumped":
        """Return the message of a line of a dump. Raises IllegalArguments, with `where` the line is."""
        try:
            row = json.loads(line)
            return cls(
                id=str(row["id"]),
                subscription=str(row["subscription"]),
                attributes={str(name): str(value) for name, value in row["attributes"].items()},
                data=base64.b64decode(row["data"], validate=True),
            )
        except (ValueError, TypeError, KeyError, AttributeError, binascii.Error) as error:
            raise IllegalArguments(f"{where}: it is no line of a dump of messages") from error


@dataclass(frozen=True, kw_only=True)
class Fed:
    """The outcome for a line of a dump: published to `topic`, or not, and `left` says why."""

    message: Dumped
    topic: str = ""
    left: str = ""


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The outcome for a dead letter: published again to `topic`, or not, and `left` says why."""

    letter: DeadLetter
    topic: str = ""
    left: str = ""


def look_through(letters: PullSubscription, *, at_most: int, seconds: float) -> Iterator[DeadLetter]:
    """Yield dead letters, each once, until none comes for so many seconds. Removes none.

    Holds all of them while this runs, so that none comes twice, and releases them at the end, even if it
    fails.
    """
    with closing(messages_of(letters, at_most=at_most, seconds=seconds)) as messages:
        for message in messages:
            yield DeadLetter(message=message)


def messages_of(
    queue: PullSubscription, *, at_most: int, seconds: float
) -> Generator[PulledMessage, None, None]:
    """Yield the messages of a queue, as `look_through` does its letters."""
    held: dict[str, PulledMessage] = {}
    try:
        while len(held) < at_most:
            pulled = queue.pull(min(_BATCH, at_most - len(held)), seconds=seconds)
            new = [message for message in pulled if message.id not in held]
            # A later receipt of the same message counts, an earlier one no longer does.
            held |= {message.id: message for message in pulled}
            yield from new
            if not new:
                return
    finally:
        queue.release(list(held.values()))


def drain(queue: PullSubscription, *, seconds: float) -> Generator[Sequence[PulledMessage], None, None]:
    """Yield the messages of a queue in batches until none comes for so many seconds, and remove them.

    A batch is removed when the next one is asked for; released if that never happens.
    """
    while batch := queue.pull(_BATCH, seconds=seconds):
        handled = False
        try:
            yield batch
            handled = True
        finally:
            (queue.acknowledge if handled else queue.release)(batch)


def replay(
    letters: PullSubscription,
    publisher: Publisher,
    *,
    ids: Collection[str] = (),
    at_most: int,
    seconds: float,
) -> Iterator[Replay]:
    """Publish dead letters again, those with `ids` or all, `at_most` so many; yield the outcome for each.

    They go unchanged to the topic of the subscription that could not deliver them. Every subscription of that
    topic gets them; handling a message twice does no harm. A letter is removed after its message is
    published: a kill in between leaves both. Raises Unavailable if Pub/Sub fails.
    """
    held: dict[str, PulledMessage] = {}
    gone: set[str] = set()
    topics: dict[str, str | None] = {}
    replayed = 0
    try:
        while replayed < at_most and not (ids and gone >= set(ids)):
            pulled = letters.pull(_BATCH, seconds=seconds)
            new = [message for message in pulled if message.id not in held and message.id not in gone]
            held |= {message.id: message for message in pulled if message.id not in gone}
            for message in new:
                if replayed >= at_most or (ids and message.id not in ids):
                    continue
                outcome = _replayed(letters, publisher, DeadLetter(message=message), topics)
                if outcome.topic:
                    gone.add(message.id)
                    del held[message.id]
                    replayed += 1
                yield outcome
            if not new:
                return
    finally:
        letters.release(list(held.values()))


def feed(letters: PullSubscription, publisher: Publisher, messages: Iterable[Dumped]) -> Iterator[Fed]:
    """Publish the messages of a dump, as `replay` does; yield the outcome for each. Raises Unavailable."""
    topics: dict[str, str | None] = {}
    for message in messages:
        topic, left = _topic(letters, message.subscription, topics)
        if topic:
            publisher.publish(topic, message.attributes, message.data)
        yield Fed(message=message, topic=topic, left=left)


def _topic(letters: PullSubscription, name: str, topics: dict[str, str | None]) -> tuple[str, str]:
    """Return the topic of a subscription, or why there is none."""
    if not name:
        return "", "it does not say which subscription could not deliver it"
    if name not in topics:
        topics[name] = letters.topic_of(name)
    topic = topics[name]
    return (topic, "") if topic else ("", f"subscription {name!r} does not exist any more, or has no topic")


def _replayed(
    letters: PullSubscription, publisher: Publisher, letter: DeadLetter, topics: dict[str, str | None]
) -> Replay:
    topic, left = _topic(letters, letter.subscription, topics)
    if not topic:
        return Replay(letter=letter, left=left)
    publisher.publish(topic, letter.attributes, letter.message.data)
    letters.acknowledge([letter.message])
    return Replay(letter=letter, topic=topic)
