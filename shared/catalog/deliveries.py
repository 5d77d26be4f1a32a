"""The catalog of deliveries: collection `deliveries`, one document for each notification to one subscription.

A document has the outcome of the delivery, and is written once per attempt. Firestore removes it some days
after the last one.

`subscriber_backoffs` has a document for each subscription whose URL fails: since when, how often, and when
the next call is due. While it exists, one notification at a time is sent and all others wait. It is removed
with its subscription; one that an open call writes after that expires.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from google.cloud import firestore
from google.cloud.firestore import FieldFilter

from shared.catalog.bundles import BundleHead, head_of
from shared.catalog.database import Database, NameTaken, Step, create_document, set_document
from shared.catalog.subscriptions import Subscription, subscription_of
from shared.identifiers import Fqid

# How long the owner of a subscription can look up a delivery: twice as long as it is retried.
_RETENTION = timedelta(days=14)
# The attempts of a delivery that are kept.
KEPT_ATTEMPTS = 10


class DeliveryState(StrEnum):
    """The state of a delivery."""

    WAITING = "waiting"
    """Not sent yet, because the URL failed when other notifications were sent."""
    FAILING = "failing"
    DELIVERED = "delivered"
    DEAD = "dead"
    QUERY_FAILED = "query_failed"
    """Not sent, because the subscription's query failed on the event."""
    PAUSED = "paused"
    """Not sent, because the owner of the subscription has not signed in for long."""
    WITHHELD = "withheld"
    """Not sent any more, because the owner of the subscription may not read the bundle any more."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One call of a subscriber: when it started, the status of its answer if there was one, its duration.

    `reason` is empty if it was delivered.
    """

    time: datetime
    status: int | None
    seconds: float
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A notification to one subscription, and its outcome.

    `replay` is the id of the last replay that included it. `status`, `reason` and `seconds` are those of the
    last attempt, `history` has the last KEPT_ATTEMPTS, oldest first; `next_try` is the earliest time of the
    next one.
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
    history: Sequence[Attempt] = ()


@dataclass(frozen=True, kw_only=True)
class SubscriberBackoff:
    """A subscription's URL has failed `failures` times in a row, and must not be called before `next_try`."""

    since: datetime
    failures: int
    next_try: datetime


@dataclass(frozen=True, kw_only=True)
class DeliveryContext:
    """What an attempt reads before it starts; each is None if its document does not exist.

    `head` is that of the bundle version that the event is about.
    """

    subscription: Subscription | None
    backoff: SubscriberBackoff | None
    delivery: Delivery | None
    head: BundleHead | None = None


class DeliveryCatalog:
    """Reads and writes of deliveries."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("deliveries")
        self._subscriptions = database.client.collection("subscriptions")
        self._backoffs = database.client.collection("subscriber_backoffs")
        self._bundles = database.client.collection("bundles")

    def context(self, subscription: str, delivery: str, bundle: Fqid) -> DeliveryContext:
        """Return a subscription, its backoff, a delivery to it and a head: four reads, and one request."""
        snapshots = {
            snapshot.reference.parent.id: snapshot
            for snapshot in self._database.get_many(
                [
                    self._subscriptions.document(subscription),
                    self._backoffs.document(subscription),
                    self._collection.document(delivery),
                    self._bundles.document(str(bundle)),
                ]
            )
        }
        subscribed = snapshots.get(self._subscriptions.id)
        backoff = snapshots.get(self._backoffs.id)
        tried = snapshots.get(self._collection.id)
        head = snapshots.get(self._bundles.id)
        return DeliveryContext(
            subscription=subscription_of(subscribed) if subscribed else None,
            backoff=_backoff_of(backoff) if backoff else None,
            delivery=_delivery_of(tried) if tried else None,
            head=head_of(head) if head else None,
        )

    def save(self, delivery: Delivery) -> None:
        """Write a delivery, in one write."""
        reference = self._collection.document(delivery.id)
        self._database.commit(set_document(reference, self._to_document(delivery)))

    def _to_document(self, delivery: Delivery) -> dict[str, Any]:
        document = {name: value for name, value in vars(delivery).items() if name != "id"}
        return document | {
            "state": delivery.state.value,
            "history": [vars(attempt) for attempt in delivery.history],
            "expires": self._database.clock.now() + _RETENTION,
        }

    def add(self, delivery: Delivery) -> None:
        """Write a delivery, in one write, unless there is one with its id."""
        reference = self._collection.document(delivery.id)
        with suppress(NameTaken):
            self._database.commit(create_document(reference, self._to_document(delivery)))

    def of_subscription(
        self, subscription: str, *, before: tuple[datetime, str] | None, count: int
    ) -> list[Delivery]:
        """Return up to `count` deliveries to a subscription, newest first, after the position `before`.

        `before` is the creation time and id of the last delivery of the previous page.
        """
        query = (
            self._collection.where(filter=FieldFilter("subscription", "==", subscription))
            .order_by("created", direction=firestore.Query.DESCENDING)
            .order_by("__name__", direction=firestore.Query.DESCENDING)
        )
        if before:
            created, delivery = before
            query = query.start_after({"created": created, "__name__": self._collection.document(delivery)})
        return list(map(_delivery_of, self._database.query(query.limit(count))))

    def backoff(self, subscription: str) -> SubscriberBackoff | None:
        """Return the backoff of a subscription, in one read; None if its URL does not fail."""
        snapshot = self._database.get(self._backoffs.document(subscription))
        return _backoff_of(snapshot) if snapshot.exists else None

    def claim_try(self, subscription: str, *, now: datetime, until: datetime) -> bool:
        """Return whether the caller may call a failing URL now; nobody else may before `until`."""
        claimed = False

        def claim_if_due(snapshot: Any) -> Step | None:
            nonlocal claimed
            claimed = not snapshot.exists or snapshot.get("next_try") <= now
            return ({"next_try": until}, ()) if snapshot.exists and claimed else None

        # No transaction: all notifications of a subscriber may claim at once, when its call becomes due.
        self._database.advance(self._backoffs.document(subscription), claim_if_due)
        return claimed

    def start_backoff(self, subscription: str, backoff: SubscriberBackoff) -> None:
        """Write that a URL fails, and until when it must not be called."""
        reference = self._backoffs.document(subscription)
        document = {**vars(backoff), "expires": self._database.clock.now() + _RETENTION}
        self._database.commit(lambda batch: batch.set(reference, document))

    def end_backoff(self, subscription: str) -> None:
        """Remove the backoff of a subscription: its URL answers again."""
        reference = self._backoffs.document(subscription)
        self._database.commit(lambda batch: batch.delete(reference))


def _backoff_of(snapshot: Any) -> SubscriberBackoff:
    return SubscriberBackoff(**{name: snapshot.get(name) for name in SubscriberBackoff.__dataclass_fields__})


def _delivery_of(snapshot: Any) -> Delivery:
    document: Mapping[str, Any] = snapshot.to_dict()
    fields = {name: value for name, value in document.items() if name not in ("expires", "state", "history")}
    history = tuple(Attempt(**attempt) for attempt in document.get("history", ()))
    return Delivery(id=snapshot.id, state=DeliveryState(document["state"]), history=history, **fields)
