"""Dead letters: messages that no attempt could handle, seen and replayed by operators.

A dead letter has the attributes of the message that it was, and besides says which subscription could not
deliver it, why, and after how many attempts. Pub/Sub writes such letters as well, in its own words, where a
function never answered.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.messages import Publisher, PulledMessage, PullSubscription

_SUBSCRIPTION = ("deadSubscription", "CloudPubSubDeadLetterSourceSubscription")
_ATTEMPTS = ("deadAttempts", "CloudPubSubDeadLetterSourceDeliveryCount")
# What a message does not have before it is dead. Pub/Sub takes no attributes that begin with `goog`.
_OF_THE_DEAD = ("dead", "CloudPubSubDeadLetterSource", "goog")
# Messages that are taken in hand at once.
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
        """What the last attempt failed of."""
        return self.message.attributes.get("deadReason") or "Pub/Sub gave up: the function did not answer"

    @property
    def attempts(self) -> int:
        """How many attempts there were; zero where nobody knows."""
        text = self._first_of(_ATTEMPTS)
        return int(text) if text.isdigit() else 0

    @property
    def attributes(self) -> Mapping[str, str]:
        """The attributes of the message as it was."""
        return {
            name: value
            for name, value in self.message.attributes.items()
            if not name.startswith(_OF_THE_DEAD)
        }

    def as_json(self, now: datetime) -> dict[str, Any]:
        """Return what there is to know of it; its age in seconds."""
        return {
            "id": self.message.id,
            "subscription": self.subscription,
            "key": self.attributes.get("objectId", ""),
            "replica": self.attributes.get("replica", ""),
            "reason": self.reason,
            "attempts": self.attempts,
            "age_seconds": round((now - self.message.published).total_seconds(), 1),
            "attributes": dict(self.attributes),
        }


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What became of a dead letter: published again to `topic`, or left, and `left` says why."""

    letter: DeadLetter
    topic: str = ""
    left: str = ""


def look_through(letters: PullSubscription, *, at_most: int, seconds: float) -> Iterator[DeadLetter]:
    """Yield dead letters, each once, until none comes for so many seconds. None of them is removed.

    All are held while this runs, so that none comes twice, and released at its end, also where it fails.
    """
    held: dict[str, PulledMessage] = {}
    try:
        while len(held) < at_most:
            pulled = letters.pull(min(_BATCH, at_most - len(held)), seconds=seconds)
            new = [message for message in pulled if message.id not in held]
            # A later receipt of the same message counts, an earlier one no longer does.
            held |= {message.id: message for message in pulled}
            yield from (DeadLetter(message=message) for message in new)
            if not new:
                return
    finally:
        letters.release(list(held.values()))


def replay(
    letters: PullSubscription,
    publisher: Publisher,
    *,
    ids: Collection[str] = (),
    at_most: int,
    seconds: float,
) -> Iterator[Replay]:
    """Publish dead letters again, those with `ids` or all, `at_most` so many; yield what became of each.

    They go to the topic of the subscription that could not deliver them, as they were; every subscription of
    that topic gets them, and handles them twice without harm. A letter is removed only once Pub/Sub has the
    message that takes its place: a kill in between leaves both. Raises Unavailable where Pub/Sub fails.
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


def _replayed(
    letters: PullSubscription, publisher: Publisher, letter: DeadLetter, topics: dict[str, str | None]
) -> Replay:
    name = letter.subscription
    if not name:
        return Replay(letter=letter, left="it does not say which subscription could not deliver it")
    if name not in topics:
        topics[name] = letters.topic_of(name)
    topic = topics[name]
    if not topic:
        return Replay(letter=letter, left=f"subscription {name!r} is not there any more, or has no topic")
    publisher.publish(topic, letter.attributes, letter.message.data)
    letters.acknowledge([letter.message])
    return Replay(letter=letter, topic=topic)
