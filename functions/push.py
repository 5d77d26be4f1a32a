"""Push requests of Pub/Sub: process a message, and answer so that Pub/Sub acknowledges or retries it.

2xx acknowledges a message; any other answer makes Pub/Sub retry it, with growing delays. The first attempt
that begins so many seconds after the message was published (`give_up_after_seconds` in `subscriptions.json`),
or after an operator has started a stopped system, is the last one. If it fails, the message goes to the topic
`dead-letters`, with the reason, and is acknowledged. So does a message whose last attempt has killed the
function: a document says that it began (shared/catalog/last_attempts.py).

Attempts are not counted: Pub/Sub counts what it pushes in vain while all instances are busy, and a message
may have to wait for others. What a process has no memory for now is answered by 429, and was no attempt.
"""

import base64
import binascii
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from flask import Request

from functions.runtime import traced
from shared.errors import DssError, IllegalArguments, NoRoom, NotYetThere, Stopped, Unavailable
from shared.messages import DEAD_LETTERS
from shared.system import Dss
from shared.tracing import TRACEPARENT

_log = structlog.get_logger()

Answer = tuple[str, int]

# How long messages of a subscription are retried. Terraform and the local stack read the same file.
GIVE_UP_AFTER = {
    row["name"]: timedelta(seconds=row["give_up_after_seconds"])
    for row in json.loads(Path(__file__).with_name("subscriptions.json").read_text())
}
# For a consumer that is not in the file.
_DEFAULT_GIVE_UP_AFTER = timedelta(days=1)
# Pub/Sub: an attempt that has not been answered for 600 s is over. If the last one began so long ago, it has
# killed the function, or was not answered in time.
_LONGEST_ATTEMPT = timedelta(seconds=600)
# Pub/Sub: a value of an attribute is at most 1,024 bytes.
_MAX_ATTRIBUTE_BYTES = 1024


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message of Pub/Sub."""

    id: str
    subscription: str
    attributes: Mapping[str, str]
    data: bytes
    published: datetime

    @classmethod
    def parse(cls, body: Any, prefix: str = "") -> "Message":
        """Return the message in a push request's body. Raises IllegalArguments if there is none.

        `prefix` is what names of subscriptions begin with in the project (DSS_PUBSUB_PREFIX), and not here.
        """
        try:
            message = body["message"]
            return cls(
                id=message.get("messageId", ""),
                subscription=body.get("subscription", "").rpartition("/")[2].removeprefix(prefix),
                attributes=dict(message.get("attributes") or {}),
                data=base64.b64decode(message.get("data") or "", validate=True),
                published=_moment(message.get("publishTime")),
            )
        except (TypeError, KeyError, AttributeError, ValueError, binascii.Error) as error:
            raise IllegalArguments("this is not a push request of Pub/Sub") from error


def _moment(text: str | None) -> datetime:
    # RFC 3339. Pub/Sub may send nanoseconds, of which Python ignores the last three digits.
    moment = datetime.fromisoformat(text) if text else datetime.now(UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class PushHandler(ABC):
    """What a function does with the messages that Pub/Sub pushes to it."""

    # Whether it handles events of objects: their trace is that of who wrote the object, which its head keeps.
    traced_by_object = False

    @abstractmethod
    def process(self, message: Message) -> None:
        """Do the work of a message. If this raises, Pub/Sub retries the message."""

    def give_up(self, message: Message, reason: str, error: Exception | None) -> None:  # noqa: B027 # optional
        """Record that a message is a dead letter, after it was published as one.

        `error` is that of the last attempt; None if the function was killed, or did not answer in time.
        """


def handle(dss: Dss, request: Request, handler: PushHandler) -> Answer:
    """Have `handler` process the message of a push request, and answer Pub/Sub.

    Every error is retried until the last attempt. A message is acknowledged only after it is processed, or
    durable as a dead letter.
    """
    try:
        message = Message.parse(json.loads(request.get_data()), dss.settings.pubsub_prefix)
    except IllegalArguments as error:
        return error.title, 400
    except (ValueError, RecursionError):
        return "this is not JSON", 400
    try:
        dss.switches.check_running()
    except Stopped as error:
        # It stays in its queue, and is no dead letter: attempts made meanwhile are none.
        return error.title, 503
    with (
        structlog.contextvars.bound_contextvars(event_id=message.id),
        traced(
            dss,
            request,
            message.subscription or type(handler).__name__,
            caller=message.attributes.get(TRACEPARENT, ""),
            adopts=handler.traced_by_object,
        ) as work,
    ):
        work.note(event_id=message.id)
        is_last = _is_past_its_time(dss, message)
        if is_last and (answer := _after_last_attempt(dss, message, handler)):
            return answer
        try:
            handler.process(message)
        except NoRoom as error:
            work.fail(type(error).__name__)
            return _no_room(dss, message, error, is_last=is_last)
        except Exception as error:  # noqa: BLE001 # any error may be gone at the next attempt
            work.fail(type(error).__name__)
            reason = error.title if isinstance(error, DssError) else f"{type(error).__name__}: {error}"
            return _dead_letter(dss, message, reason, handler, error) if is_last else _again(error, reason)
    return "", 204


def _no_room(dss: Dss, message: Message, error: NoRoom, *, is_last: bool) -> Answer:
    """Answer as Cloud Run does if all instances are busy. This was no attempt: not the last one either."""
    if is_last:
        try:
            dss.catalog.last_attempts.withdraw(message.subscription, message.id)
        except Unavailable as failure:
            return failure.title, 503
    _log.info("no room", reason=error.title)
    return error.title, 429


def _again(error: Exception, reason: str) -> Answer:
    # NotYetThere is no failure: the message has come before the objects that it depends on.
    level = _log.info if isinstance(error, NotYetThere) else _log.warning
    level("to be tried again", reason=reason, exc_info=None if isinstance(error, DssError) else error)
    return reason, 503


_KILLED = "the function was killed at its last attempt, or did not answer in time"


def _is_past_its_time(dss: Dss, message: Message) -> bool:
    # While the system was stopped, nobody could try.
    since = max(filter(None, (message.published, dss.switches.current().started)))
    return dss.clock.now() >= since + GIVE_UP_AFTER.get(message.subscription, _DEFAULT_GIVE_UP_AFTER)


def _after_last_attempt(dss: Dss, message: Message, handler: PushHandler) -> Answer | None:
    """Note that the last attempt begins, and return None; or the answer if it has begun before."""
    try:
        began = dss.catalog.last_attempts.begin(message.subscription, message.id)
    except Unavailable as error:
        return error.title, 503
    if began is None:
        return None
    if dss.clock.now() < began + _LONGEST_ATTEMPT:
        return "its last attempt may be under way", 503
    return _dead_letter(dss, message, _KILLED, handler, None)


def _dead_letter(
    dss: Dss, message: Message, reason: str, handler: PushHandler, error: Exception | None
) -> Answer:
    _log.error("dead letter", reason=reason, attributes=dict(message.attributes))
    dss.publisher.publish(
        DEAD_LETTERS,
        {
            **message.attributes,
            "deadSubscription": message.subscription,
            "deadReason": _cut(reason),
            "deadPublished": message.published.isoformat(),
        },
        message.data,
    )
    handler.give_up(message, reason, error)
    return json.dumps({"dead": reason}), 200


def _cut(text: str) -> str:
    return text.encode("utf-8", "replace")[:_MAX_ATTRIBUTE_BYTES].decode("utf-8", "ignore")
