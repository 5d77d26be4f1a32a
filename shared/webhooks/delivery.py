"""Delivery: send a notification to its subscriber until a call is answered with 2xx.

There are two queues, each with a topic and a function of its own. The first (`deliver`) sends every new
notification once, with a timeout of some seconds. A notification that fails there goes to the retry queue
(`redeliver`), which sends it with growing delays; so does, unsent, a notification for a subscriber that is
failing already. So the first queue waits for a failing subscriber once only, and in the retry queue a
subscriber that hangs takes one call at a time.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from shared.catalog import (
    KEPT_ATTEMPTS,
    Attempt,
    BundleHead,
    Delivery,
    DeliveryContext,
    DeliveryState,
    SubscriberBackoff,
    Subscription,
)
from shared.errors import NotYetThere, Unavailable
from shared.identifiers import Fqid
from shared.messages import DELIVERY_RETRIES
from shared.system import Dss
from shared.webhooks.callbacks import Callback, Callbacks, CallFailed
from shared.webhooks.notifications import Notification, new_delivery
from shared.webhooks.owners import is_paused, is_purged, may_read, readers_of
from shared.webhooks.secrets import decrypt_secret

_log = structlog.get_logger()

# Seconds for one call, in the first queue and in the retry queue: a subscriber that needs longer than the
# first is slow, one that needs longer than the second hangs.
FIRST_SECONDS = 5.0
RETRY_SECONDS = 30.0
# Seconds after which an open call keeps this process from starting another one to the same subscriber.
_SLOW_SECONDS = 1.0
# The delay between two calls of a failing subscriber is one second, and doubles each time, up to this.
# Pub/Sub: 600 seconds is the longest backoff of a subscription.
_LONGEST_DELAY = timedelta(seconds=600)
# How long a process remembers that a subscriber must not be called, without a read of the catalog.
_REMEMBERED = timedelta(seconds=30)


class Deferred(NotYetThere):
    """A notification is not sent now, because its subscriber fails and its next call is not due."""


class Deliverer:
    """Sends notifications and saves their outcome. Threads share it."""

    def __init__(self, dss: Dss, callbacks: Callbacks) -> None:
        self._dss = dss
        self._callbacks = callbacks
        self._open_calls = _OpenCalls()
        # By subscription: the time before which this process does not call it.
        self._backing_off: dict[str, datetime] = {}

    def deliver(self, notification: Notification) -> None:
        """Send a new notification; move it to the retry queue if the call fails, or would hold up others."""
        context = self._context(notification)
        notification = _without_removed_files(notification, context.head)
        subscription = self._recipient(notification, context)
        if subscription is None:
            return
        delivery = self._delivery(notification, context)
        if context.backoff or self._open_calls.is_slow(subscription.uuid):
            self._retry_later(notification)
            next_try = context.backoff.next_try if context.backoff else None
            self._save(replace(delivery, state=DeliveryState.WAITING, next_try=next_try))
            return
        delivery = self._started(delivery)
        try:
            self._attempt(subscription, notification, delivery, seconds=FIRST_SECONDS)
        except CallFailed as error:
            backoff = self._back_off(subscription.uuid, context.backoff)
            self._retry_later(notification)
            self._save(_failed(delivery, error, backoff))

    def redeliver(self, notification: Notification) -> None:
        """Send a notification of the retry queue. Raises CallFailed, or Deferred if it is not its turn."""
        self._check_turn(notification.subscription)
        context = self._context(notification)
        notification = _without_removed_files(notification, context.head)
        subscription = self._recipient(notification, context)
        if subscription is None:
            return
        if context.backoff:
            self._claim_turn(subscription.uuid, context.backoff)
        elif self._open_calls.is_slow(subscription.uuid):
            raise Deferred("another call to this subscriber is open, and slow")
        delivery = self._started(self._delivery(notification, context))
        try:
            self._attempt(subscription, notification, delivery, seconds=RETRY_SECONDS)
        except CallFailed as error:
            backoff = self._back_off(subscription.uuid, context.backoff)
            self._save(_failed(delivery, error, backoff))
            raise
        if context.backoff:
            self._dss.catalog.deliveries.end_backoff(subscription.uuid)

    def give_up(self, notification: Notification, reason: str) -> None:
        """Save that a notification is a dead letter."""
        context = self._context(notification)
        if self._recipient(notification, context) is not None:
            delivery = self._delivery(notification, context)
            # The reason of the last failed call says more than "deferred".
            reason = delivery.reason or reason
            self._save(replace(delivery, state=DeliveryState.DEAD, reason=reason, next_try=None))

    def _delivery(self, notification: Notification, context: DeliveryContext) -> Delivery:
        """Return the delivery as the catalog has it, or a new one."""
        if context.delivery:
            return replace(context.delivery, replay=notification.replay)
        return new_delivery(
            notification.event,
            delivery_id=notification.id,
            subscription=notification.subscription,
            created=self._dss.clock.now(),
            replay=notification.replay,
        )

    def _started(self, delivery: Delivery) -> Delivery:
        return replace(delivery, attempts=delivery.attempts + 1, last_attempt=self._dss.clock.now())

    def _context(self, notification: Notification) -> DeliveryContext:
        bundle = Fqid(notification.event.uuid, notification.event.version)
        return self._dss.catalog.deliveries.context(notification.subscription, notification.id, bundle)

    def _recipient(self, notification: Notification, context: DeliveryContext) -> Subscription | None:
        """Return the subscription to call.

        None if it was deleted, has the notification already, is paused, or its owner may not read the bundle
        by now; the delivery then says which of the last two.
        """
        delivery = context.delivery
        delivered = delivery is not None and delivery.state is DeliveryState.DELIVERED
        if delivery and delivered and notification.replay in ("", delivery.replay):
            return None
        subscription = context.subscription
        if subscription is None or is_purged(self._dss, notification.event, context.head):
            return None
        if is_paused(self._dss, subscription):
            self._end(notification, context, DeliveryState.PAUSED, _PAUSED)
            return None
        readers = readers_of(self._dss, notification.event, context.head)
        if not may_read(self._dss, subscription, readers):
            # Who has not heard of the bundle does not hear of it now.
            if delivery:
                self._end(notification, context, DeliveryState.WITHHELD, _WITHHELD)
            return None
        return subscription

    def _end(
        self, notification: Notification, context: DeliveryContext, state: DeliveryState, reason: str
    ) -> None:
        delivery = self._delivery(notification, context)
        self._save(replace(delivery, state=state, reason=reason, next_try=None))
        _log.info("not sent", delivery=delivery.id, reason=reason)

    def _attempt(
        self, subscription: Subscription, notification: Notification, delivery: Delivery, *, seconds: float
    ) -> None:
        """Make one call, and save that it was answered with 2xx. Raises CallFailed, or Unavailable."""
        callback = self._callback(subscription, notification, delivery.attempts)
        start = time.monotonic()
        with self._open_calls.open(subscription.uuid):
            try:
                status = self._callbacks.call(callback, seconds=seconds, turn=delivery.attempts - 1)
            except CallFailed as error:
                error.seconds = round(time.monotonic() - start, 3)
                _log.info("not delivered", delivery=delivery.id, reason=error.title, seconds=error.seconds)
                raise
        took = round(time.monotonic() - start, 3)
        self._dss.faults.reach("delivery: answered")
        self._save(
            replace(
                delivery,
                state=DeliveryState.DELIVERED,
                status=status,
                reason="",
                seconds=took,
                next_try=None,
                history=_history(delivery, status=status, seconds=took),
            )
        )
        _log.info("delivered", delivery=delivery.id, attempt=delivery.attempts, seconds=took)

    def _callback(self, subscription: Subscription, notification: Notification, attempt: int) -> Callback:
        secret = self._secret(subscription.uuid) if subscription.signed else None
        return Callback(
            url=subscription.callback_url,
            method=subscription.method,
            body=json.dumps({**notification.payload, "attempt": attempt}).encode(),
            form_fields=None if subscription.encoding == "application/json" else subscription.form_fields,
            payload_form_field=subscription.payload_form_field,
            key_id=subscription.hmac_key_id or f"hca-dss:{subscription.uuid}",
            secret=secret,
        )

    def _secret(self, subscription: str) -> str:
        encrypted = self._dss.catalog.subscriptions.secret(subscription)
        if encrypted is None:
            # The secret is deleted with its subscription, perhaps a moment ago.
            raise Unavailable(f"subscription {subscription} has no secret to sign with; nothing is sent")
        return decrypt_secret(self._dss.settings, subscription, encrypted)

    def _retry_later(self, notification: Notification) -> None:
        self._dss.publisher.publish(DELIVERY_RETRIES, notification.attributes, notification.data)
        self._dss.faults.reach("delivery: put off")

    def _save(self, delivery: Delivery) -> None:
        self._dss.catalog.deliveries.save(delivery)

    def _back_off(self, subscription: str, before: SubscriberBackoff | None) -> SubscriberBackoff:
        """Save that a call of a subscriber has failed once more, and return until when it is not called."""
        now = self._dss.clock.now()
        failures = before.failures + 1 if before else 1
        backoff = SubscriberBackoff(
            since=before.since if before else now, failures=failures, next_try=now + _delay(failures)
        )
        self._dss.catalog.deliveries.start_backoff(subscription, backoff)
        return backoff

    def _claim_turn(self, subscription: str, backoff: SubscriberBackoff) -> None:
        """Return if this notification may be sent to a failing subscriber now. Raises Deferred otherwise."""
        now = self._dss.clock.now()
        if backoff.next_try <= now:
            # Until this call has ended at the latest, and the delay that follows if it fails.
            until = now + timedelta(seconds=RETRY_SECONDS) + _delay(backoff.failures + 1)
            if self._dss.catalog.deliveries.claim_try(subscription, now=now, until=until):
                return
        self._backing_off[subscription] = min(max(backoff.next_try, now), now + _REMEMBERED)
        self._check_turn(subscription)
        raise Deferred(_NOT_DUE)

    def _check_turn(self, subscription: str) -> None:
        """Raise Deferred if this process remembers that a subscriber must not be called now."""
        until = self._backing_off.get(subscription)
        if until is not None and self._dss.clock.now() < until:
            raise Deferred(_NOT_DUE)
        self._backing_off.pop(subscription, None)


_PAUSED = "the owner of the subscription has not signed in for long; sign in, and replay what was missed"
_WITHHELD = "the owner of the subscription may not read the bundle any more"
# In the form of other errors of attachments.
_REMOVED = {"_errors": "Attachments: files of the bundle were removed for good"}
_NOT_DUE = "the subscriber fails, and its next call is not due yet"


def _without_removed_files(notification: Notification, head: BundleHead | None) -> Notification:
    """Return what to send: without attachments if files of the bundle were removed for good.

    They were evaluated when the event was matched, perhaps days ago, and may be of these files.
    """
    if head is None or not head.lacks_files or "attachments" not in notification.payload:
        return notification
    payload = {**notification.payload, "attachments": _REMOVED}
    return replace(notification, payload=payload)


def _delay(failures: int) -> timedelta:
    return min(timedelta(seconds=2 ** min(failures - 1, 20)), _LONGEST_DELAY)


def _failed(delivery: Delivery, error: CallFailed, backoff: SubscriberBackoff) -> Delivery:
    return replace(
        delivery,
        state=DeliveryState.FAILING,
        status=error.status,
        reason=error.title,
        seconds=error.seconds,
        next_try=backoff.next_try,
        history=_history(delivery, status=error.status, seconds=error.seconds, reason=error.title),
    )


def _history(delivery: Delivery, **outcome: Any) -> list[Attempt]:
    """Return the last attempts of a delivery, with the outcome of the one that has just ended."""
    assert delivery.last_attempt
    return [*delivery.history, Attempt(time=delivery.last_attempt, **outcome)][-KEPT_ATTEMPTS:]


class _OpenCalls:
    """The calls of this process that are not answered yet."""

    def __init__(self) -> None:
        self._starts: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    def is_slow(self, subscription: str) -> bool:
        """Return whether a call to a subscriber has been open for over _SLOW_SECONDS."""
        with self._lock:
            starts = self._starts.get(subscription, [])
            return any(time.monotonic() - start > _SLOW_SECONDS for start in starts)

    @contextmanager
    def open(self, subscription: str) -> Iterator[None]:
        """Count a call as open within the block."""
        now = time.monotonic()
        with self._lock:
            self._starts.setdefault(subscription, []).append(now)
        try:
            yield
        finally:
            with self._lock:
                starts = self._starts[subscription]
                starts.remove(now)
                if not starts:
                    del self._starts[subscription]
