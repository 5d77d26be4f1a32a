"""Notifying: an event is matched against the subscriptions of its replica, and each match is a delivery.

A replay does the same for one subscription and all events since some time, a page of the journal after the
other, each page with a message of its own.
"""

import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from shared.catalog import Catalog, Subscription
from shared.events.documents import read_document
from shared.events.publishing import bundle_event
from shared.identifiers import Fqid, version_after, version_of
from shared.messages import DELIVERIES, DELIVERY_RETRIES, REPLAYS, BundleEvent, all_attributes_wanted
from shared.metadata import TOMBSTONE
from shared.parallel import map_in_threads
from shared.system import Dss
from shared.webhooks.evaluation import Evaluation, Match
from shared.webhooks.notifications import Notification, notification_of, sample_of

# Deliveries of an event that are published at once; each waits for Pub/Sub's answer.
_AT_ONCE = 16
# Documents of a replay that are read at once, each of some 16 MiB at most.
_READ_AT_ONCE = 4
# Events of a page of a replay: with documents of a MiB each, read in some seconds.
_PAGE = 100


class KnownSubscriptions:
    """All subscriptions of a replica, kept in memory. To see whether they are still the same is one read."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known: dict[str, tuple[int, Sequence[Subscription]]] = {}
        self._lock = threading.Lock()

    def of(self, replica: str) -> Sequence[Subscription]:
        """Return the subscriptions of a replica, all whose making was answered before this was called."""
        # Read first: what changes after that leads to another number at the next call.
        generation = self._catalog.subscriptions.generation(replica)
        with self._lock:
            known = self._known.get(replica)
            if known is None or known[0] != generation:
                known = generation, self._catalog.subscriptions.of_replica(replica)
                self._known[replica] = known
        return known[1]


class Notifier:
    """Finds out who is to be notified. Threads share it."""

    def __init__(self, dss: Dss, evaluation: Evaluation) -> None:
        if not dss.settings.public_url:
            raise ValueError("DSS_PUBLIC_URL is not set: subscribers are told by it where the API is")
        self._dss = dss
        self._evaluation = evaluation
        self._subscriptions = KnownSubscriptions(dss.catalog)

    def notify(self, event: BundleEvent) -> int:
        """Publish a delivery for each subscription that an event matches, and return how many.

        Safe to repeat: a delivery has the same id each time. Raises Unavailable.
        """
        subscriptions = self._subscriptions.of(event.replica)
        if not subscriptions:
            return 0
        matches = self._evaluation.matches(_document(self._dss, event), subscriptions)
        publish = partial(self._publish, event)
        return sum(1 for _ in map_in_threads(publish, matches, threads=_AT_ONCE))

    def _publish(self, event: BundleEvent, match: Match) -> None:
        base_url = self._dss.settings.public_url
        notification = notification_of(base_url, match.subscription, event, match.found["attachments"])
        publish_delivery(self._dss, notification)
        self._dss.faults.reach("notify: a delivery published")

    def replay_page(self, page: "ReplayPage") -> int:
        """Publish the deliveries of a page of a replay, then the next page; return how many deliveries.

        Safe to repeat: what comes twice is one delivery. Raises Unavailable.
        """
        subscription = self._dss.catalog.subscriptions.get(page.subscription)
        if subscription is None:
            return 0
        found = self._dss.catalog.events.since(page.replica, start=page.start, stop=page.stop, count=_PAGE)
        events = list(map(bundle_event, found))
        notifications = self._replayed(subscription, events, page.id)
        matched = sum(1 for _ in map_in_threads(self._publish_again, notifications, threads=_AT_ONCE))
        if len(events) == _PAGE:
            rest = replace(page, start=version_after(events[-1].timestamp))
            self._dss.publisher.publish(REPLAYS, rest.attributes)
            self._dss.faults.reach("replay: next page published")
        return matched

    def _replayed(
        self, subscription: Subscription, events: Sequence[BundleEvent], replay: str
    ) -> Iterator[Notification]:
        base_url = self._dss.settings.public_url
        documents = map_in_threads(partial(_document, self._dss), events, threads=_READ_AT_ONCE)
        for event, document in zip(events, documents, strict=True):
            for match in self._evaluation.matches(document, [subscription]):
                attachments = match.found["attachments"]
                yield notification_of(base_url, subscription, event, attachments, replay=replay)

    def _publish_again(self, notification: Notification) -> None:
        # Not in the lane of what happens now, which a long replay would fill.
        self._dss.publisher.publish(DELIVERY_RETRIES, notification.attributes, notification.data)
        self._dss.faults.reach("replay: a delivery published")


@dataclass(frozen=True, kw_only=True)
class ReplayPage:
    """What is left of a replay: events from `start` on, and before `stop`; both are versions."""

    id: str
    subscription: str
    replica: str
    start: str
    stop: str

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes of the message that asks for it."""
        return {
            "replay": self.id,
            "subscription": self.subscription,
            "replica": self.replica,
            "start": self.start,
            "stop": self.stop,
        }

    @classmethod
    def parse(cls, attributes: Mapping[str, str]) -> "ReplayPage":
        """Return what a message asks for. Raises IllegalArguments, naming the attribute that it lacks."""
        with all_attributes_wanted():
            return cls(
                id=attributes["replay"],
                subscription=attributes["subscription"],
                replica=attributes["replica"],
                start=attributes["start"],
                stop=attributes["stop"],
            )


def begin_replay(dss: Dss, subscription: Subscription, from_date: str) -> str:
    """Have all events since a time sent again that a subscription matches; return the replay's id.

    What happens from now on is sent anyway, and is not part of it.
    """
    # Of a teller whose clock is ahead, what has happened may have a time that is still to come.
    last = dss.catalog.events.last(subscription.replica)
    now = version_of(dss.clock.now())
    page = ReplayPage(
        id=str(uuid.uuid4()),
        subscription=subscription.uuid,
        replica=subscription.replica,
        start=from_date,
        stop=max(now, version_after(last)) if last else now,
    )
    dss.publisher.publish(REPLAYS, page.attributes)
    return page.id


def send_sample(dss: Dss, subscription: Subscription, base_url: str) -> Notification:
    """Have a sample sent to a subscriber, by the way that every notification goes; return it."""
    sample = sample_of(base_url, subscription, version_of(dss.clock.now()))
    publish_delivery(dss, sample)
    return sample


def publish_delivery(dss: Dss, notification: Notification) -> None:
    """Have a notification sent. Raises Unavailable."""
    dss.publisher.publish(DELIVERIES, notification.attributes, notification.data)


def _document(dss: Dss, event: BundleEvent) -> bytes:
    fqid = Fqid(event.uuid, event.version)
    return read_document(dss, event.replica, fqid, dead=event.type == TOMBSTONE)
