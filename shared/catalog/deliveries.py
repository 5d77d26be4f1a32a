"""The catalog of deliveries: collection `deliveries`, one document a notification to one subscription.

It says what became of it, and is written once an attempt. Firestore removes it some days after the last one.

`subscription_troubles` has a document for each subscription whose URL does not answer as it should: since
when, how often, and when it is tried next. While it is there, one notification at a time is tried, all others
wait. It goes with its subscription; what a call that was under way notes behind that, Firestore removes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from google.cloud import firestore
from google.cloud.firestore import FieldFilter

from shared.catalog.database import Database
from shared.catalog.subscriptions import Subscription, subscription_of

# How long the owner of a subscription can see what became of a notification: twice as long as it is tried.
_KEPT_FOR = timedelta(days=14)


class DeliveryState(StrEnum):
    """What a delivery has come to."""

    WAITING = "waiting"
    """Not tried yet, since the URL did not answer as it should when others were."""
    FAILING = "failing"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A notification to one subscription, and what became of it.

    `replay` names the last replay that it was part of. `status`, `reason` and `seconds` are of its last
    attempt; `next_try` is the earliest time of the next one.
    """

    id: str
    subscription: str
    event_id: str
    event_type: str
    bundle_uuid: str
    bundle_version: str
    state: DeliveryState
    created: datetime
    attempts: int = 0
    replay: str = ""
    last_attempt: datetime | None = None
    status: int | None = None
    reason: str = ""
    seconds: float = 0.0
    next_try: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class SubscriberBackoff:
    """A subscription's URL does not answer as it should."""

    since: datetime
    failures: int
    next_try: datetime


@dataclass(frozen=True, kw_only=True)
class DeliveryContext:
    """All that an attempt has to know beforehand; None of what is not there."""

    subscription: Subscription | None
    trouble: SubscriberBackoff | None
    delivery: Delivery | None


class DeliveryCatalog:
    """Reads and writes of deliveries."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("deliveries")
        self._subscriptions = database.client.collection("subscriptions")
        self._troubles = database.client.collection("subscription_troubles")

    def standing(self, subscription: str, delivery: str) -> DeliveryContext:
        """Return how things are with a subscription and a delivery to it, in three reads and one request."""
        found = {
            snapshot.reference.parent.id: snapshot
            for snapshot in self._database.get_many(
                [
                    self._subscriptions.document(subscription),
                    self._troubles.document(subscription),
                    self._collection.document(delivery),
                ]
            )
        }
        there = found.get(self._subscriptions.id)
        trouble = found.get(self._troubles.id)
        tried = found.get(self._collection.id)
        return DeliveryContext(
            subscription=subscription_of(there) if there else None,
            trouble=_trouble_of(trouble) if trouble else None,
            delivery=_from_snapshot(tried) if tried else None,
        )

    def note(self, delivery: Delivery) -> None:
        """Write what became of an attempt, or that one has to wait."""
        document = {name: value for name, value in vars(delivery).items() if name != "id"}
        document |= {"state": delivery.state.value, "expires": self._database.clock.now() + _KEPT_FOR}
        reference = self._collection.document(delivery.id)
        self._database.commit(lambda batch: batch.set(reference, document))

    def of_subscription(
        self, subscription: str, *, before: tuple[datetime, str] | None, count: int
    ) -> list[Delivery]:
        """Return deliveries to a subscription, the newest first, behind the last one of a page before."""
        query = (
            self._collection.where(filter=FieldFilter("subscription", "==", subscription))
            .order_by("created", direction=firestore.Query.DESCENDING)
            .order_by("__name__", direction=firestore.Query.DESCENDING)
        )
        if before:
            created, delivery = before
            query = query.start_after({"created": created, "__name__": self._collection.document(delivery)})
        return list(map(_from_snapshot, self._database.query(query.limit(count))))

    def trouble(self, subscription: str) -> SubscriberBackoff | None:
        """Return what is wrong with a subscription's URL, in one read; None where nothing is."""
        snapshot = self._database.get(self._troubles.document(subscription))
        return _trouble_of(snapshot) if snapshot.exists else None

    def claim(self, subscription: str, *, now: datetime, until: datetime) -> bool:
        """Tell whether the caller is the one to try a URL in trouble; nobody else is before `until`."""
        reference = self._troubles.document(subscription)
        claimed = False

        def claim_if_due(transaction: Any) -> None:
            nonlocal claimed
            snapshot = reference.get(transaction=transaction)
            claimed = not snapshot.exists or snapshot.get("next_try") <= now
            if snapshot.exists and claimed:
                transaction.update(reference, {"next_try": until})

        self._database.transact(claim_if_due)
        return claimed

    def in_trouble(self, subscription: str, trouble: SubscriberBackoff) -> None:
        """Note that a URL does not answer as it should."""
        reference = self._troubles.document(subscription)
        document = {**vars(trouble), "expires": self._database.clock.now() + _KEPT_FOR}
        self._database.commit(lambda batch: batch.set(reference, document))

    def out_of_trouble(self, subscription: str) -> None:
        """Note that a URL answers as it should."""
        reference = self._troubles.document(subscription)
        self._database.commit(lambda batch: batch.delete(reference))


def _trouble_of(snapshot: Any) -> SubscriberBackoff:
    return SubscriberBackoff(**{name: snapshot.get(name) for name in SubscriberBackoff.__dataclass_fields__})


def _from_snapshot(snapshot: Any) -> Delivery:
    document: Mapping[str, Any] = snapshot.to_dict()
    fields = {name: value for name, value in document.items() if name not in ("expires", "state")}
    return Delivery(id=snapshot.id, state=DeliveryState(document["state"]), **fields)
