"""A queue is drained in batches: a message is out of it only once somebody has dealt with it."""

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime

import pytest

from shared.maintenance.dead_letters import drain
from shared.messages import PulledMessage


class Queue:
    """A subscription with some batches of messages, and what became of them."""

    def __init__(self, *batches: Sequence[PulledMessage]) -> None:
        self.batches = list(batches)
        self.removed: list[str] = []
        self.released: list[str] = []

    def pull(self, count: int, *, seconds: float) -> Sequence[PulledMessage]:
        return self.batches.pop(0) if self.batches else []

    def acknowledge(self, messages: Sequence[PulledMessage]) -> None:
        self.removed += [message.id for message in messages]

    def release(self, messages: Sequence[PulledMessage]) -> None:
        self.released += [message.id for message in messages]

    def topic_of(self, subscription: str) -> str | None:
        return None


def message(name: str) -> PulledMessage:
    return PulledMessage(
        id=name, receipt=name, attributes={}, data=b"", published=datetime(2026, 1, 12, tzinfo=UTC)
    )


def test_a_batch_is_removed_once_the_next_is_asked_for() -> None:
    queue = Queue([message("a"), message("b")], [message("c")])

    seen = [(len(batch), list(queue.removed)) for batch in drain(queue, seconds=1)]

    assert seen == [(2, []), (1, ["a", "b"])]
    assert (queue.removed, queue.released) == (["a", "b", "c"], [])


def test_a_batch_that_could_not_be_written_stays_in_the_queue() -> None:
    queue = Queue([message("a")], [message("b")], [message("c")])

    with pytest.raises(OSError, match="full"), closing(drain(queue, seconds=1)) as batches:
        for batch in batches:
            if batch[0].id == "b":
                raise OSError("the disk is full")

    assert (queue.removed, queue.released) == (["a"], ["b"])
