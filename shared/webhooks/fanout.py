"""Fan-out: match an event with the subscriptions of its replica, and publish one delivery per match."""

import threading
from collections.abc import Sequence
from functools import partial

from shared.catalog import Catalog, Subscription
from shared.events.documents import read_document
from shared.identifiers import Fqid, version_of
from shared.messages import DELIVERIES, BundleEvent
from shared.metadata import TOMBSTONE
from shared.parallel import map_in_threads
from shared.system import Dss
from shared.webhooks.evaluation import EvaluatorPool, Match
from shared.webhooks.notifications import Notification, notification_of, sample_of

# Deliveries of an event that are published at once; each waits for Pub/Sub's answer.
PUBLISH_THREADS = 16


class SubscriptionCache:
    """All subscriptions of a replica, in memory. One read checks whether they are current."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        # By replica: the generation that was read, and the subscriptions.
        self._cached: dict[str, tuple[int, Sequence[Subscription]]] = {}
        self._lock = threading.Lock()

    def of(self, replica: str) -> Sequence[Subscription]:
        """Return the subscriptions of a replica, including all that were created before this call."""
        # Read the generation first: a change after this read leads to another generation at the next call.
        generation = self._catalog.subscriptions.generation(replica)
        with self._lock:
            cached = self._cached.get(replica)
            if cached is None or cached[0] != generation:
                cached = generation, self._catalog.subscriptions.of_replica(replica)
                self._cached[replica] = cached
        return cached[1]


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
        subscriptions = self._subscriptions.of(event.replica)
        if not subscriptions:
            return 0
        matches = self._evaluators.matches(document_of_event(self._dss, event), subscriptions)
        publish = partial(self._publish, event)
        return sum(1 for _ in map_in_threads(publish, matches, threads=PUBLISH_THREADS))

    def _publish(self, event: BundleEvent, match: Match) -> None:
        base_url = self._dss.settings.public_url
        publish_delivery(self._dss, notification_of(base_url, match.subscription, event, match.attachments))
        self._dss.faults.reach("notify: a delivery published")


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
