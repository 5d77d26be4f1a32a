"""A push is acknowledged when it is done, or durable as a dead letter; everything else comes again."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from functions.push import Answer, GiveUp, Message, handle
from shared.errors import NotYetThere, Unavailable
from shared.messages import DEAD_LETTERS
from tests.support.replication import RecordingPublisher

ATTEMPTS = 5
PUBLISHED = datetime(2026, 1, 12, 9, 30, 0, 123456, tzinfo=UTC)
WEEK = timedelta(days=7)


def push(
    publisher: RecordingPublisher,
    work: Callable[[Message], None],
    *,
    now: datetime = PUBLISHED,
    give_up: GiveUp = lambda *_: None,
    **body: Any,
) -> Answer:
    """Return the answer to a message that one function handles."""
    message = {
        "attributes": {"replica": "gcp"},
        "messageId": "7",
        "data": "Ynl0ZXM=",
        "publishTime": "2026-01-12T09:30:00.123456789Z",
    }
    sent = {"message": message, "subscription": "projects/p/subscriptions/sync", **body}
    request = Request(EnvironBuilder(method="POST", data=json.dumps(sent)).get_environ())
    dss: Any = SimpleNamespace(
        settings=SimpleNamespace(delivery_attempts=ATTEMPTS),
        publisher=publisher,
        clock=SimpleNamespace(now=lambda: now),
    )
    return handle(dss, request, work, give_up=give_up)


def failing(error: Exception) -> Callable[[Message], None]:
    """Return work that fails."""

    def work(_: Message) -> None:
        raise error

    return work


def test_a_message_arrives_as_it_was_published() -> None:
    seen: list[Message] = []
    assert push(RecordingPublisher(), seen.append, deliveryAttempt=3) == ("", 204)
    assert seen == [
        Message(
            id="7",
            subscription="sync",
            attributes={"replica": "gcp"},
            data=b"bytes",
            attempt=3,
            published=PUBLISHED,
        )
    ]


@pytest.mark.parametrize("error", [NotYetThere("later"), Unavailable("busy"), RuntimeError("odd"), OSError()])
def test_whatever_goes_wrong_it_comes_again_until_the_last_attempt(error: Exception) -> None:
    published = RecordingPublisher()
    for attempt in range(1, ATTEMPTS):
        assert push(published, failing(error), deliveryAttempt=attempt)[1] == 503
    assert published.messages == []
    assert push(published, failing(error), deliveryAttempt=ATTEMPTS)[1] == 200
    assert [topic for topic, _ in published.messages] == [DEAD_LETTERS]


def test_where_the_rule_is_an_age_attempts_do_not_count() -> None:
    published, given_up = RecordingPublisher(), []
    retries: Any = {
        "subscription": "projects/p/subscriptions/delivery-retries",
        "give_up": lambda *said: given_up.append(said),
    }
    error = Unavailable("busy")

    for now in (PUBLISHED, PUBLISHED + WEEK - timedelta(seconds=1)):
        assert push(published, failing(error), now=now, deliveryAttempt=100 * ATTEMPTS, **retries)[1] == 503
    assert (published.messages, given_up) == ([], [])

    # The first attempt after a week is the last one, though it may be the first of all.
    assert push(published, failing(error), now=PUBLISHED + WEEK, **retries)[1] == 200
    [(topic, attributes)] = published.messages
    assert (topic, attributes["deadReason"]) == (DEAD_LETTERS, "busy")
    [(message, reason)] = given_up
    assert (message.id, reason) == ("7", "busy")


def test_nobody_is_told_of_a_dead_letter_that_is_not_durable() -> None:
    told: list[Any] = []
    published = RecordingPublisher(error=Unavailable("the topic is not there"))
    with pytest.raises(Unavailable):
        push(published, failing(OSError()), deliveryAttempt=ATTEMPTS, give_up=lambda *said: told.append(said))
    assert told == []


def test_an_attempt_that_is_not_counted_is_the_first() -> None:
    assert push(RecordingPublisher(), failing(Unavailable("busy")))[1] == 503


@pytest.mark.parametrize("reason", ["plain", "é" * 2000, "x" + "漢" * 2000, "\ud800 alone"])
def test_a_reason_fits_into_an_attribute(reason: str) -> None:
    published = RecordingPublisher()
    assert push(published, failing(Unavailable(reason)), deliveryAttempt=ATTEMPTS)[1] == 200
    said = published.messages[0][1]["deadReason"]
    # Pub/Sub: a value of an attribute is at most 1,024 bytes.
    assert 0 < len(said.encode()) <= 1024
    assert said[:5] == reason[:5].replace("\ud800", "?")


def test_nothing_is_acknowledged_that_is_not_durable() -> None:
    published = RecordingPublisher(error=Unavailable("the topic is not there"))
    with pytest.raises(Unavailable):
        push(published, failing(RuntimeError("odd")), deliveryAttempt=ATTEMPTS)


def test_a_kill_of_the_process_is_no_failure_of_the_message() -> None:
    published = RecordingPublisher()
    with pytest.raises(KeyboardInterrupt):
        push(published, failing(KeyboardInterrupt()), deliveryAttempt=ATTEMPTS)  # type: ignore[arg-type]
    assert published.messages == []
