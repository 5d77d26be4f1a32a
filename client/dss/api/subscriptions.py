"""Calls about subscriptions: a user's standing requests to be notified of a replica's events."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from dss.api.session import Session

QUERY_LANGUAGES = ("jmespath", "elasticsearch")


def subscriptions(session: Session) -> list[dict[str, Any]]:
    """Return all subscriptions of the user, by query language, the oldest first."""
    calls = [session.call("GET", "subscriptions", subscription_type=name) for name in QUERY_LANGUAGES]
    return [row for call in calls for row in session.answer_json(call, has="subscriptions")["subscriptions"]]


def subscription(session: Session, uuid: str, language: str) -> dict[str, Any]:
    """Return a subscription, without its secret."""
    call = session.call("GET", f"subscriptions/{quote(uuid)}", subscription_type=language)
    answer: dict[str, Any] = session.answer_json(call)
    return answer


def subscribe(session: Session, definition: Mapping[str, Any]) -> str:
    """Make a subscription and return its UUID; a retry of the same call makes no second one."""
    call = session.call("PUT", "subscriptions", dict(definition))
    call = replace(call, headers={"Idempotency-Key": str(uuid4())})
    return str(session.answer_json(call, 201, has="uuid")["uuid"])


def unsubscribe(session: Session, uuid: str, language: str) -> None:
    """End a subscription."""
    session.answer_json(session.call("DELETE", f"subscriptions/{quote(uuid)}", subscription_type=language))


def deliveries(session: Session, uuid: str) -> Iterator[Mapping[str, Any]]:
    """Yield the last days' notifications of a subscription, the newest first."""
    for page in session.pages(
        session.call("GET", f"subscriptions/{quote(uuid)}/deliveries", per_page=500), has="deliveries"
    ):
        yield from page["deliveries"]


def send_sample(session: Session, uuid: str) -> str:
    """Send a sample notification, and return the id of its delivery."""
    call = session.call("POST", f"subscriptions/{quote(uuid)}/test")
    return str(session.answer_json(call, 202, has="delivery_id")["delivery_id"])


def replay(session: Session, uuid: str, from_date: str) -> str:
    """Send all matching events since a version again, and return the replay's id."""
    call = session.call("POST", f"subscriptions/{quote(uuid)}/replay", from_date=from_date)
    return str(session.answer_json(call, 202, has="replay_id")["replay_id"])
