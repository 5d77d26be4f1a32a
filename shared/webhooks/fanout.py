"""Fan-out: match an event with the subscriptions of its replica, and publish one delivery per match.

Subscriptions whose owner's budget is used up are not matched at once. They are published to the topic
`replays`, whose subscription has a queue of its own, and matched from there when the budget allows. So they
delay nobody else's notifications. An event on which a query fails is a delivery in state `query_failed`.
"""

import json
import threading
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import structlog

from shared.catalog import Catalog, DeliveryState, Subscription, SubscriptionSet
from shared.errors import IllegalArguments, NotYetThere
from shared.events.documents import read_document
from shared.identifiers import Fqid, moment_of, version_of
from shared.messages import DELIVERIES, REPLAYS, BundleEvent, attributes_required
from shared.metadata import TOMBSTONE
from shared.parallel import map_in_threads
from shared.system import Dss
from shared.webhooks.budgets import REFILL
from shared.webhooks.evaluation import EvaluatorPool, Failure, Match, Outcome, OverBudget
from shared.webhooks.notifications import Notification, delivery_id, new_delivery, notification_of, sample_of
from shared.webhooks.owners import recipients

_log = structlog.get_logger()

# Deliveries of an event that are published at once; each waits for Pub/Sub's answer.
PUBLISH_THREADS = 16
# How long an event waits for the budget of an owner. Then it counts as failed for these subscriptions.
_LONGEST_DEFERRAL = timedelta(hours=1)


class QueriesOverBudget(NotYetThere):
    """The budget of an owner is used up: a message with the owner's queries is retried later."""


@dataclass(frozen=True, kw_only=True)
class DeferredEvent:
    """An event that is to be matched with subscriptions of one owner, when the owner's budget allows.

    `since`, a version, is when it was deferred first.
    """

    event: BundleEvent
    subscriptions: Sequence[str]
    since: str

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes of its message."""
        return {**self.event.attributes, "deferredSince": self.since}

    @property
    def data(self) -> bytes:
        """The data of its message."""
        return json.dumps(self.subscriptions).encode()

    @classmethod
    def parse(cls, attributes: Mapping[str, str], data: bytes) -> "DeferredEvent":
        """Return the deferred event of a message. Raises IllegalArguments if it is not one."""
        with attributes_required():
            since = attributes["deferredSince"]
        try:
            subscriptions = json.loads(data)
        except ValueError as error:
            raise IllegalArguments("this is not a deferred event: its data are not JSON") from error
        return cls(event=BundleEvent.parse(attributes), subscriptions=subscriptions, since=since)


class SubscriptionCache:
    """All subscriptions of a replica, in memory. One read checks whether they are current."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known: dict[str, SubscriptionSet] = {}
        self._lock = threading.Lock()

    def of(self, replica: str) -> Collection[Subscription]:
        """Return the subscriptions of a replica, including all that were created before this call."""
        subscriptions = self._catalog.subscriptions
        known = self._known.get(replica)
        if known is None or not subscriptions.is_current(replica, known):
            # One thread reads what has changed, for all that wait for it here.
            with self._lock:
                known = self._known[replica] = subscriptions.current(replica, self._known.get(replica))
        return known.by_uuid.values()


class Notifier:
    """Publishes the deliveries of events. Threads share it."""

    def __init__(self, dss: Dss, evaluators: EvaluatorPool) -> None:
        check_public_url(dss)
        self._dss = dss
        self._evaluators = evaluators
        self._subscriptions = SubscriptionCache(dss.catalog)

    def notify(self, event: BundleEvent) -> int:
        """Publish a delivery for each subscription that an event matches, and return how many.

        Safe to repeat: a delivery has the same id each time. Raises Unavailable.
        """
        subscriptions = recipients(self._dss, event, self._subscriptions.of(event.replica))
        return self._fan_out(event, subscriptions, since="")

    def notify_deferred(self, deferred: DeferredEvent) -> int:
        """Publish the deliveries of a deferred event, and return how many.

        Defers the rest again if the budget does not suffice. Raises QueriesOverBudget if it is used up
        already.
        """
        requested = set(deferred.subscriptions)
        subscriptions: Sequence[Subscription] = [
            one for one in self._subscriptions.of(deferred.event.replica) if one.uuid in requested
        ]
        subscriptions = recipients(self._dss, deferred.event, subscriptions)
        if not subscriptions:
            # They were deleted meanwhile, or their owners may not read the bundle any more.
            return 0
        if any(self._evaluators.budgets.available(one.owner) > 0 for one in subscriptions):
            return self._fan_out(deferred.event, subscriptions, since=deferred.since)
        if self._dss.clock.now() - moment_of(deferred.since) < _LONGEST_DEFERRAL:
            raise QueriesOverBudget(_OVER_BUDGET)
        for subscription in subscriptions:
            save_failure(self._dss, deferred.event, Failure(subscription=subscription, reason=_OVER_BUDGET))
        return 0

    def _fan_out(self, event: BundleEvent, subscriptions: Sequence[Subscription], *, since: str) -> int:
        if not subscriptions:
            return 0
        outcomes = self._evaluators.outcomes(document_of_event(self._dss, event), subscriptions)
        handled = map_in_threads(partial(self._handle, event), outcomes, threads=PUBLISH_THREADS)
        deferred: dict[str, list[str]] = defaultdict(list)
        matched = 0
        for outcome in handled:
            matched += isinstance(outcome, Match)
            if isinstance(outcome, OverBudget):
                deferred[outcome.subscription.owner].append(outcome.subscription.uuid)
        for uuids in deferred.values():
            self._defer(event, uuids, since or version_of(self._dss.clock.now()))
        return matched

    def _handle(self, event: BundleEvent, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Match):
            base_url = self._dss.settings.public_url
            notification = notification_of(base_url, outcome.subscription, event, outcome.attachments)
            publish_delivery(self._dss, notification)
            self._dss.faults.reach("notify: a delivery published")
        elif isinstance(outcome, Failure):
            save_failure(self._dss, event, outcome)
        return outcome

    def _defer(self, event: BundleEvent, subscriptions: Sequence[str], since: str) -> None:
        deferred = DeferredEvent(event=event, subscriptions=subscriptions, since=since)
        self._dss.publisher.publish(REPLAYS, deferred.attributes, deferred.data)
        _log.warning("queries deferred: over budget", id=event.id, subscriptions=len(subscriptions))


_OVER_BUDGET = f"the queries of your subscriptions took more than {REFILL:g} s of processor time per second"


def save_failure(dss: Dss, event: BundleEvent, failure: Failure, *, replay: str = "") -> None:
    """Save that a query failed on an event, for the subscription's owner to see, unless it was delivered."""
    delivery = new_delivery(
        event,
        delivery_id=delivery_id(failure.subscription, event),
        subscription=failure.subscription.uuid,
        created=dss.clock.now(),
        replay=replay,
    )
    failed = replace(delivery, state=DeliveryState.QUERY_FAILED, reason=failure.reason)
    dss.catalog.deliveries.add(failed)


def check_public_url(dss: Dss) -> None:
    """Raise ValueError if DSS_PUBLIC_URL is not set: notifications have links to the API."""
    if not dss.settings.public_url:
        raise ValueError("DSS_PUBLIC_URL is not set: notifications have links to the API, and need it")


def send_sample(dss: Dss, subscription: Subscription, base_url: str) -> Notification:
    """Send a sample notification to a subscriber, as every notification is sent, and return it."""
    sample = sample_of(base_url, subscription, version_of(dss.clock.now()))
    publish_delivery(dss, sample)
    return sample


def publish_delivery(dss: Dss, notification: Notification) -> None:
    """Publish a delivery, which sends a notification. Raises Unavailable."""
    dss.publisher.publish(DELIVERIES, notification.attributes, notification.data)


def document_of_event(dss: Dss, event: BundleEvent) -> bytes:
    """Return the metadata document of an event. Raises NotYetThere if the replica does not have it."""
    fqid = Fqid(event.uuid, event.version)
    return read_document(dss, event.replica, fqid, dead=event.type == TOMBSTONE)
