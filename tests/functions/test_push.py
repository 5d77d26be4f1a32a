"""A push is acknowledged when it is processed, or durable as a dead letter; otherwise it is retried."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import structlog
from flask import Request
from structlog.testing import capture_logs
from werkzeug.test import EnvironBuilder

from functions.push import Answer, Message, PushHandler, handle
from shared.catalog import Switches
from shared.errors import NoRoom, NotYetThere, Stopped, Unavailable
from shared.messages import DEAD_LETTERS
from shared.tracing import Tracer, current_fields, current_traceparent
from tests.support.replication import RecordingPublisher

PUBLISHED = datetime(2026, 1, 12, 9, 30, 0, 123456, tzinfo=UTC)
DAY, WEEK = timedelta(days=1), timedelta(days=7)
SECOND = timedelta(seconds=1)
SUBSCRIPTIONS = json.loads((Path(__file__).parents[2] / "functions" / "subscriptions.json").read_text())


class Handler(PushHandler):
    """Keeps the messages that it processes and gives up; with an `error`, processing raises it."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.processed: list[Message] = []
        self.given_up: list[tuple[Message, str]] = []
        self.last_error: Exception | None = None
        self.logged: dict[str, Any] = {}

    def process(self, message: Message) -> None:
        self.processed.append(message)
        self.logged = {**structlog.contextvars.get_contextvars(), **current_fields()}
        if self.error:
            raise self.error

    def give_up(self, message: Message, reason: str, error: Exception | None) -> None:
        self.given_up.append((message, reason))
        self.last_error = error


class LastAttempts:
    """What is known of last attempts; the catalog may fail."""

    def __init__(self, error: Unavailable | None = None) -> None:
        self.error = error
        self.began: dict[str, datetime] = {}

    def begin(self, subscription: str, message_id: str, now: datetime) -> datetime | None:
        if self.error:
            raise self.error
        known = self.began.get(f"{subscription} {message_id}")
        self.began.setdefault(f"{subscription} {message_id}", now)
        return known

    def withdraw(self, subscription: str, message_id: str) -> None:
        if self.error:
            raise self.error
        del self.began[f"{subscription} {message_id}"]


def push(
    publisher: RecordingPublisher,
    handler: PushHandler,
    *,
    now: datetime = PUBLISHED,
    headers: dict[str, str] | None = None,
    stopped: Stopped | None = None,
    started: datetime | None = None,
    attempts: LastAttempts | None = None,
    **body: Any,
) -> Answer:
    """Return the answer to a push of one message."""
    message = {
        "attributes": {"replica": "gcp"},
        "messageId": "7",
        "data": "Ynl0ZXM=",
        "publishTime": "2026-01-12T09:30:00.123456789Z",
    }
    sent = {"message": message, "subscription": "projects/p/subscriptions/sync", **body}
    request = Request(EnvironBuilder(method="POST", data=json.dumps(sent), headers=headers).get_environ())
    last_attempts = attempts or LastAttempts()
    switches = Switches(started=started)
    dss: Any = SimpleNamespace(
        settings=SimpleNamespace(project="p", pubsub_prefix="dss-dev-"),
        catalog=SimpleNamespace(
            last_attempts=SimpleNamespace(
                begin=lambda *names: last_attempts.begin(*names, now), withdraw=last_attempts.withdraw
            )
        ),
        publisher=publisher,
        clock=SimpleNamespace(now=lambda: now),
        switches=Mock(check_running=Mock(side_effect=stopped), current=lambda: switches),
        tracer=Tracer("p"),
    )
    # Traces of errors would be printed, at length.
    with capture_logs():
        return handle(dss, request, handler)


def test_a_message_arrives_as_it_was_published() -> None:
    handler = Handler()
    assert push(RecordingPublisher(), handler) == ("", 204)
    assert handler.processed == [
        Message(
            id="7",
            subscription="sync",
            attributes={"replica": "gcp"},
            data=b"bytes",
            published=PUBLISHED,
        )
    ]


@pytest.mark.parametrize("error", [NotYetThere("later"), Unavailable("busy"), RuntimeError("odd"), OSError()])
@pytest.mark.parametrize("row", SUBSCRIPTIONS, ids=lambda row: row["name"])
def test_every_error_is_retried_until_the_message_is_past_its_time(
    row: dict[str, Any], error: Exception
) -> None:
    published, handler = RecordingPublisher(), Handler(error)
    name = {"subscription": f"projects/p/subscriptions/{row['name']}"}
    tried_for = timedelta(seconds=row["give_up_after_seconds"])
    assert tried_for == (WEEK if row["name"] == "delivery-retries" else DAY)

    # However often Pub/Sub has tried to push it.
    for now in (PUBLISHED, PUBLISHED + tried_for - SECOND):
        for _ in range(3):
            assert push(published, handler, now=now, deliveryAttempt=100, **name)[1] == 503
    assert (published.messages, handler.given_up) == ([], [])

    # The first attempt after that is the last one, though it may be the first of all.
    assert push(published, handler, now=PUBLISHED + tried_for, **name)[1] == 200
    [(topic, attributes)] = published.messages
    assert (topic, attributes["deadSubscription"]) == (DEAD_LETTERS, row["name"])
    assert datetime.fromisoformat(attributes["deadPublished"]) == PUBLISHED
    [(message, reason)] = handler.given_up
    assert (message.id, reason, handler.last_error) == ("7", attributes["deadReason"], error)


def test_a_message_of_a_long_backlog_is_processed_at_its_first_attempt() -> None:
    published, handler = RecordingPublisher(), Handler()
    assert push(published, handler, now=PUBLISHED + 6 * DAY) == ("", 204)
    assert (len(handler.processed), published.messages) == (1, [])


def test_a_message_that_kills_the_function_is_a_dead_letter_after_its_last_attempt() -> None:
    published, handler, attempts = RecordingPublisher(), Handler(KeyboardInterrupt()), LastAttempts()
    for now in (PUBLISHED, PUBLISHED + DAY - SECOND, PUBLISHED + DAY):
        with pytest.raises(KeyboardInterrupt):
            push(published, handler, now=now, attempts=attempts)

    # Pub/Sub may deliver a message twice: the other attempt may still be under way.
    late = PUBLISHED + DAY + timedelta(seconds=599)
    assert push(published, handler, now=late, attempts=attempts)[1] == 503
    assert published.messages == []
    assert push(published, handler, now=late + SECOND, attempts=attempts)[1] == 200

    # Nothing was tried at the end.
    assert (len(handler.processed), len(handler.given_up), handler.last_error) == (3, 1, None)
    [(topic, attributes)] = published.messages
    assert topic == DEAD_LETTERS
    assert "was killed at its last attempt" in attributes["deadReason"]


def test_a_push_that_finds_no_room_is_no_attempt_however_late_it_comes() -> None:
    published, handler, attempts = RecordingPublisher(), Handler(NoRoom("too many")), LastAttempts()

    for now in (PUBLISHED, PUBLISHED + DAY, PUBLISHED + WEEK):
        assert push(published, handler, now=now, attempts=attempts) == ("too many", 429)
    assert (published.messages, handler.given_up, attempts.began) == ([], [], {})

    handler.error = None
    assert push(published, handler, now=PUBLISHED + WEEK, attempts=attempts) == ("", 204)


def test_a_message_past_its_time_is_not_tried_without_the_catalog() -> None:
    published, handler = RecordingPublisher(), Handler()
    away = LastAttempts(Unavailable("the catalog is away"))
    assert push(published, handler, now=PUBLISHED + DAY, attempts=away) == ("the catalog is away", 503)
    assert push(published, handler, now=PUBLISHED, attempts=away) == ("", 204)
    assert (len(handler.processed), published.messages) == (1, [])


def test_the_time_of_a_message_begins_again_when_a_stopped_system_is_started() -> None:
    published, handler = RecordingPublisher(), Handler(NotYetThere("later"))
    started = PUBLISHED + 3 * DAY
    assert push(published, handler, now=started + DAY - SECOND, started=started)[1] == 503
    assert push(published, handler, now=started + DAY, started=started)[1] == 200
    # It was published after that.
    assert push(published, handler, now=PUBLISHED + DAY - SECOND, started=PUBLISHED - DAY)[1] == 503
    assert len(published.messages) == 1


def test_a_stopped_system_keeps_messages_however_often_they_are_pushed() -> None:
    published, handler = RecordingPublisher(), Handler()
    retries = {"subscription": "projects/p/subscriptions/delivery-retries"}

    for body in ({}, retries):
        answer = push(published, handler, now=PUBLISHED + WEEK, stopped=Stopped("a bad release"), **body)
        assert answer == ("a bad release", 503)

    assert (handler.processed, handler.given_up, published.messages) == ([], [], [])


def test_a_message_is_given_up_only_when_its_dead_letter_is_durable() -> None:
    published, handler = RecordingPublisher(error=Unavailable("the topic does not exist")), Handler(OSError())
    with pytest.raises(Unavailable):
        push(published, handler, now=PUBLISHED + DAY)
    assert (len(handler.processed), handler.given_up) == (1, [])


@pytest.mark.parametrize("reason", ["plain", "é" * 2000, "x" + "漢" * 2000, "\ud800 alone"])
def test_a_reason_fits_into_an_attribute(reason: str) -> None:
    published = RecordingPublisher()
    assert push(published, Handler(Unavailable(reason)), now=PUBLISHED + DAY)[1] == 200
    said = published.messages[0][1]["deadReason"]
    # Pub/Sub: a value of an attribute is at most 1,024 bytes.
    assert 0 < len(said.encode()) <= 1024
    assert said[:5] == reason[:5].replace("\ud800", "?")


def test_a_message_is_not_acknowledged_before_its_dead_letter_is_durable() -> None:
    published = RecordingPublisher(error=Unavailable("the topic is not there"))
    with pytest.raises(Unavailable):
        push(published, Handler(RuntimeError("odd")), now=PUBLISHED + DAY)


def test_a_kill_of_the_process_is_not_a_failure_of_the_message() -> None:
    published = RecordingPublisher()
    with pytest.raises(KeyboardInterrupt):
        push(published, Handler(KeyboardInterrupt()), now=PUBLISHED + DAY)
    assert published.messages == []


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Cloud-Trace-Context": f"{'ab' * 16}/17;o=1"},
        {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"},
    ],
)
def test_what_a_push_logs_has_its_trace_as_cloud_logging_wants_it(headers: dict[str, str]) -> None:
    handler = Handler()

    push(RecordingPublisher(), handler, headers=headers)

    assert handler.logged["logging.googleapis.com/trace"] == f"projects/p/traces/{'ab' * 16}"
    assert handler.logged["event_id"] == "7"
    assert "event_id" not in structlog.contextvars.get_contextvars()


def test_work_is_part_of_the_trace_that_its_message_names() -> None:
    seen: list[str] = []
    handler = Handler()
    handler.process = lambda _: seen.append(current_traceparent())  # type: ignore[method-assign]
    named = f"00-{'12' * 16}-{'34' * 8}-01"
    message = {"attributes": {"traceparent": named}, "messageId": "7", "publishTime": "2026-01-12T09:30:00Z"}

    push(
        RecordingPublisher(),
        handler,
        headers={"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"},
        message=message,
    )

    assert seen == [named]


@pytest.mark.parametrize("headers", [{}, {"traceparent": "00-of-nobody"}])
def test_what_has_no_trace_is_logged_without(headers: dict[str, str]) -> None:
    handler = Handler()

    push(RecordingPublisher(), handler, headers=headers)

    assert "logging.googleapis.com/trace" not in handler.logged


def test_the_name_of_a_stage_is_not_in_what_a_dead_letter_says() -> None:
    publisher = RecordingPublisher()
    stages = "projects/p/subscriptions/dss-dev-sync"

    push(publisher, Handler(Unavailable("away")), subscription=stages, now=PUBLISHED + DAY)

    [(topic, attributes)] = publisher.messages
    assert (topic, attributes["deadSubscription"]) == (DEAD_LETTERS, "sync")
