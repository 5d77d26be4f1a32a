"""Fan-out: events wait for the budget of an owner, for an hour, and then count as failed."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from shared.access import Policy
from shared.catalog import Delivery, DeliveryState, Subscription, SubscriptionSet
from shared.catalog.subscription_changes import Position
from shared.errors import IllegalArguments, NotYetThere
from shared.identifiers import version_of
from shared.messages import BundleEvent
from shared.webhooks.fanout import DeferredEvent, Notifier, QueriesOverBudget
from tests.support.api import new_uuid, now

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)


class Deliveries:
    """Keeps the deliveries that are added."""

    def __init__(self) -> None:
        self.added: list[Delivery] = []

    def add(self, delivery: Delivery) -> None:
        self.added.append(delivery)


def subscription() -> Subscription:
    return Subscription(uuid=new_uuid(), replica="gcp", owner="bad", callback_url="x", created=NOW)


def notifier(deliveries: Deliveries, *subscriptions: Subscription) -> Notifier:
    """Return a notifier of an owner whose budget is used up."""
    known = SubscriptionSet(position=Position(generation=1), by_uuid={one.uuid: one for one in subscriptions})
    catalog = SimpleNamespace(
        subscriptions=SimpleNamespace(current=lambda *_: known),
        deliveries=deliveries,
        bundles=SimpleNamespace(head=lambda _: None),
        bindings=SimpleNamespace(current=lambda _: None),
    )
    settings = SimpleNamespace(
        public_url="https://dss.example.org", subscription_days=90, admin_user_emails=()
    )
    dss: Any = SimpleNamespace(
        settings=settings,
        policy=Policy(),
        catalog=catalog,
        clock=SimpleNamespace(now=lambda: NOW),
    )
    evaluators: Any = SimpleNamespace(budgets=SimpleNamespace(available=lambda _: -0.1))
    return Notifier(dss, evaluators)


def deferred(*subscriptions: Subscription, age: timedelta) -> DeferredEvent:
    event = BundleEvent(
        id=new_uuid(), replica="gcp", type="CREATE", uuid=new_uuid(), version=now(), timestamp=now()
    )
    uuids = [one.uuid for one in subscriptions]
    message = DeferredEvent(event=event, subscriptions=uuids, since=version_of(NOW - age))
    assert DeferredEvent.parse(message.attributes, message.data) == message
    return message


def test_an_event_is_retried_while_its_owner_has_no_budget() -> None:
    costly, deliveries = subscription(), Deliveries()
    with pytest.raises(QueriesOverBudget) as raised:
        notifier(deliveries, costly).notify_deferred(deferred(costly, age=timedelta(minutes=59)))
    # It waits, and is no failure of the function.
    assert isinstance(raised.value, NotYetThere)
    assert deliveries.added == []


def test_an_event_that_has_waited_for_an_hour_is_a_row_of_its_deliveries() -> None:
    costly, other, deliveries = subscription(), subscription(), Deliveries()
    event = deferred(costly, age=timedelta(minutes=61))
    assert notifier(deliveries, costly, other).notify_deferred(event) == 0
    [row] = deliveries.added
    assert (row.subscription, row.state, row.attempts) == (costly.uuid, DeliveryState.QUERY_FAILED, 0)
    assert "processor time" in row.reason


def test_an_event_waits_for_no_subscription_that_was_deleted() -> None:
    deliveries = Deliveries()
    assert notifier(deliveries).notify_deferred(deferred(subscription(), age=timedelta())) == 0
    assert deliveries.added == []


def test_a_message_that_is_not_a_deferred_event_is_refused() -> None:
    message = deferred(age=timedelta())
    with pytest.raises(IllegalArguments, match="not a deferred event"):
        DeferredEvent.parse(message.attributes, b"{")
    with pytest.raises(IllegalArguments, match="deferredSince"):
        DeferredEvent.parse(message.event.attributes, b"[]")
