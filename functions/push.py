"""Messages as Pub/Sub pushes them, and what becomes of one that cannot be handled.

A push that is answered with 2xx is done with; everything else is tried again, with growing delays. A message
whose last attempt fails goes to the dead-letter topic, with the reason, and counts as done with. Which one is
the last is decided by their number, or, where `subscriptions.json` says `give_up_after_seconds`, by the time
since it was published.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from flask import Request

from shared.errors import DssError, IllegalArguments, NotYetThere
from shared.messages import DEAD_LETTERS
from shared.system import Dss

_log = structlog.get_logger()

Answer = tuple[str, int]
GiveUp = Callable[["Message", str], None]

# How long messages of a subscription are tried for, where that is not a matter of attempts. Terraform and the
# local stack read the same file.
_GIVE_UP_AFTER = {
    row["name"]: timedelta(seconds=row["give_up_after_seconds"])
    for row in json.loads(Path(__file__).with_name("subscriptions.json").read_text())
    if "give_up_after_seconds" in row
}
# Pub/Sub: a value of an attribute is at most 1,024 bytes.
_MAX_ATTRIBUTE_BYTES = 1024


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message of Pub/Sub; `attempt` counts from 1, where Pub/Sub counts, else it is 1."""

    id: str
    subscription: str
    attributes: Mapping[str, str]
    data: bytes
    attempt: int
    published: datetime

    @classmethod
    def parse(cls, body: Any) -> "Message":
        """Return the message that a push request's body holds. Raises IllegalArguments where it is none."""
        try:
            message = body["message"]
            return cls(
                id=message.get("messageId", ""),
                subscription=body.get("subscription", "").rpartition("/")[2],
                attributes=dict(message.get("attributes") or {}),
                data=base64.b64decode(message.get("data") or "", validate=True),
                attempt=int(body.get("deliveryAttempt", 1)),
                published=_moment(message.get("publishTime")),
            )
        except (TypeError, KeyError, AttributeError, ValueError, binascii.Error) as error:
            raise IllegalArguments("this is no push request of Pub/Sub") from error


def _moment(text: str | None) -> datetime:
    # RFC 3339. Pub/Sub may write nanoseconds, of which Python leaves out the last three digits.
    return datetime.fromisoformat(text) if text else datetime.now(UTC)


def _gives_nothing_up(message: Message, reason: str) -> None:
    del message, reason


def handle(
    dss: Dss, request: Request, work: Callable[[Message], None], *, give_up: GiveUp = _gives_nothing_up
) -> Answer:
    """Do the work that a push request asks for, and answer so that Pub/Sub does what is right.

    Every error is another attempt's business until the last one; then the message is a dead letter, and
    `give_up` is told. Nothing is acknowledged before it is done, or durable as a dead letter.
    """
    try:
        message = Message.parse(json.loads(request.get_data()))
    except IllegalArguments as error:
        return error.title, 400
    except (ValueError, RecursionError):
        return "this is not JSON", 400
    with structlog.contextvars.bound_contextvars(event_id=message.id, attempt=message.attempt):
        try:
            work(message)
        except Exception as error:  # noqa: BLE001 # whatever it is, another attempt may succeed
            return _failed(dss, message, error, give_up)
    return "", 204


def _may_be_tried_again(dss: Dss, message: Message) -> bool:
    if message.subscription in _GIVE_UP_AFTER:
        return dss.clock.now() < message.published + _GIVE_UP_AFTER[message.subscription]
    return message.attempt < dss.settings.delivery_attempts


def _failed(dss: Dss, message: Message, error: Exception, give_up: GiveUp) -> Answer:
    reason = error.title if isinstance(error, DssError) else f"{type(error).__name__}: {error}"
    if _may_be_tried_again(dss, message):
        # To wait for what is on its way is no failure.
        level = _log.info if isinstance(error, NotYetThere) else _log.warning
        level("to be tried again", reason=reason, exc_info=None if isinstance(error, DssError) else error)
        return reason, 503
    _log.error("dead letter", reason=reason, attributes=dict(message.attributes))
    dss.publisher.publish(
        DEAD_LETTERS,
        {
            **message.attributes,
            "deadSubscription": message.subscription,
            "deadReason": _cut(reason),
            "deadAttempts": str(message.attempt),
        },
        message.data,
    )
    give_up(message, reason)
    return json.dumps({"dead": reason}), 200


def _cut(text: str) -> str:
    return text.encode("utf-8", "replace")[:_MAX_ATTRIBUTE_BYTES].decode("utf-8", "ignore")
