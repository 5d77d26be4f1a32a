"""Replays: send one subscription all events since some time again, a page of the journal per message."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from shared.catalog import Subscription
from shared.events.publishing import bundle_event
from shared.identifiers import Fqid, version_after, version_of
from shared.messages import DELIVERY_RETRIES, REPLAYS, BundleEvent, attributes_required
from shared.parallel import map_in_threads
from shared.system import Dss
from shared.webhooks.evaluation import EvaluatorPool, Failure, OverBudget
from shared.webhooks.fanout import (
    PUBLISH_THREADS,
    QueriesOverBudget,
    check_public_url,
    document_of_event,
    save_failure,
)
from shared.webhooks.notifications import Notification, notification_of
from shared.webhooks.owners import is_paused, may_read, readers_of

# Documents of a replay that are read at once, each of some 16 MiB at most.
_READ_THREADS = 4
# Events per page: with documents of 1 MiB each, a page is read in some seconds.
_PAGE = 100


@dataclass(frozen=True, kw_only=True)
class ReplayPage:
    """The rest of a replay: events from `start` on, and before `stop`; both are versions."""

    id: str
    subscription: str
    replica: str
    start: str
    stop: str

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes of its message."""
        return {
            "replay": self.id,
            "subscription": self.subscription,
            "replica": self.replica,
            "start": self.start,
            "stop": self.stop,
        }

    @classmethod
    def parse(cls, attributes: Mapping[str, str]) -> "ReplayPage":
        """Return the page of a message's attributes. Raises IllegalArguments, naming one that is missing."""
        with attributes_required():
            return cls(
                id=attributes["replay"],
                subscription=attributes["subscription"],
                replica=attributes["replica"],
                start=attributes["start"],
                stop=attributes["stop"],
            )


def begin_replay(dss: Dss, subscription: Subscription, from_date: str) -> str:
    """Start to send a subscription all events again that it matches, since a time; return the replay's id.

    Events from now on are sent anyway, and are not part of it.
    """
    # A publisher whose clock is ahead may have given an event a timestamp in the future.
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


class Replayer:
    """Publishes the deliveries of replays. Threads share it."""

    def __init__(self, dss: Dss, evaluators: EvaluatorPool) -> None:
        check_public_url(dss)
        self._dss = dss
        self._evaluators = evaluators

    def publish_page(self, page: ReplayPage) -> int:
        """Publish the deliveries of a page, then the rest of the replay; return how many deliveries.

        Safe to repeat: a delivery has the same id each time. Raises Unavailable, or QueriesOverBudget if the
        budget of the subscription's owner does not suffice for the first event.
        """
        subscription = self._dss.catalog.subscriptions.get(page.subscription)
        if subscription is None or is_paused(self._dss, subscription):
            return 0
        journalled = self._dss.catalog.events.since(
            page.replica, start=page.start, stop=page.stop, count=_PAGE
        )
        events = list(map(bundle_event, journalled))
        evaluated: list[BundleEvent] = []
        notifications = self._notifications(subscription, events, page.id, evaluated)
        matched = sum(1 for _ in map_in_threads(self._publish, notifications, threads=PUBLISH_THREADS))
        if events and not evaluated:
            raise QueriesOverBudget(f"subscription {subscription.uuid}: the budget of its owner is used up")
        if len(evaluated) < len(events) or len(events) == _PAGE:
            rest = replace(page, start=version_after(evaluated[-1].timestamp))
            self._dss.publisher.publish(REPLAYS, rest.attributes)
            self._dss.faults.reach("replay: next page published")
        return matched

    def _notifications(
        self,
        subscription: Subscription,
        events: Sequence[BundleEvent],
        replay: str,
        evaluated: list[BundleEvent],
    ) -> Iterator[Notification]:
        """Yield the notifications of events, and append each event to `evaluated`.

        Ends at the first event for which the budget of the subscription's owner does not suffice.
        """
        base_url = self._dss.settings.public_url
        allowed = self._readable(subscription, events)
        documents = map_in_threads(partial(document_of_event, self._dss), allowed, threads=_READ_THREADS)
        for event in events:
            outcomes = self._evaluators.outcomes(next(documents), [subscription]) if event in allowed else ()
            for outcome in list(outcomes):
                if isinstance(outcome, OverBudget):
                    return
                if isinstance(outcome, Failure):
                    save_failure(self._dss, event, outcome, replay=replay)
                else:
                    yield notification_of(base_url, subscription, event, outcome.attachments, replay=replay)
            evaluated.append(event)

    def _readable(self, subscription: Subscription, events: Sequence[BundleEvent]) -> list[BundleEvent]:
        """Return the events whose documents the owner of a subscription may read; one read each."""
        heads = self._dss.catalog.bundles.get_many(Fqid(event.uuid, event.version) for event in events)
        return [
            event
            for event in events
            if may_read(
                self._dss,
                subscription,
                readers_of(self._dss, event, heads.get(Fqid(event.uuid, event.version))),
            )
        ]

    def _publish(self, notification: Notification) -> None:
        # To the retry queue: a long replay would fill the first queue, which new events need.
        self._dss.publisher.publish(DELIVERY_RETRIES, notification.attributes, notification.data)
        self._dss.faults.reach("replay: a delivery published")
