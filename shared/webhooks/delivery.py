"""Delivering: a notification is sent to its subscriber until a call is answered with 2xx.

There are two lanes, each with a topic and a function of its own. In the first every notification is tried
once, for some seconds. What fails there goes to the second, where it is tried with growing delays; so does,
without being tried, what is for a subscriber that fails already. So the first lane never waits for anybody
twice, and in the second a subscriber that hangs takes one call at a time.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from shared.catalog import Delivery, DeliveryContext, DeliveryState, SubscriberBackoff, Subscription
from shared.errors import NotYetThere, Unavailable
from shared.messages import DELIVERY_RETRIES
from shared.system import Dss
from shared.webhooks.callbacks import Callback, Callbacks, CallFailed
from shared.webhooks.notifications import Notification

_log = structlog.get_logger()

# Seconds for one call, in the first lane and in the second: who needs longer for an answer than people wait
# for a page is slow, and who needs longer than the second hangs.
FIRST_SECONDS = 5.0
RETRY_SECONDS = 30.0
# Seconds after which a call that is under way keeps others to the same subscriber from being begun.
_SLOW_SECONDS = 1.0
# Delays between two tries of a subscriber that fails: one second, and twice as long each time.
# Pub/Sub: 600 seconds is the longest that it waits with a message.
_LONGEST_DELAY = timedelta(seconds=600)
# For so long a process doesn't ask the catalog again whether a subscriber may be tried.
_REMEMBERED = timedelta(seconds=30)


class Deferred(NotYetThere):
    """A notification is not tried now, because its subscriber fails, and was tried a moment ago."""


class Deliverer:
    """Sends notifications, and notes what became of them. Threads share it."""

    def __init__(self, dss: Dss, callbacks: Callbacks) -> None:
        self._dss = dss
        self._callbacks = callbacks
        self._under_way = _UnderWay()
        self._resting: dict[str, datetime] = {}

    def first(self, notification: Notification) -> None:
        """Try a notification, or have it tried later where that fails or would keep others waiting."""
        standing = self._standing(notification)
        subscription = self._to_notify(notification, standing)
        if subscription is None:
            return
        delivery = self._delivery(notification, standing)
        if standing.trouble or self._under_way.is_slow(subscription.uuid):
            self._try_later(notification)
            next_try = standing.trouble.next_try if standing.trouble else None
            self._note(replace(delivery, state=DeliveryState.WAITING, next_try=next_try))
            return
        delivery = self._begun(delivery)
        try:
            self._attempt(subscription, notification, delivery, seconds=FIRST_SECONDS)
        except CallFailed as error:
            trouble = self._in_trouble(subscription.uuid, standing.trouble)
            self._try_later(notification)
            self._note(_failed(delivery, error, trouble))

    def again(self, notification: Notification) -> None:
        """Try a notification once more. Raises CallFailed, or Waits where it is not its turn."""
        self._wait_for_turn(notification.subscription)
        standing = self._standing(notification)
        subscription = self._to_notify(notification, standing)
        if subscription is None:
            return
        if standing.trouble:
            self._claim(subscription.uuid, standing.trouble)
        elif self._under_way.is_slow(subscription.uuid):
            raise Deferred("a call to the same subscriber is under way, and slow")
        delivery = self._begun(self._delivery(notification, standing))
        try:
            self._attempt(subscription, notification, delivery, seconds=RETRY_SECONDS)
        except CallFailed as error:
            trouble = self._in_trouble(subscription.uuid, standing.trouble)
            self._note(_failed(delivery, error, trouble))
            raise
        if standing.trouble:
            self._dss.catalog.deliveries.out_of_trouble(subscription.uuid)

    def give_up(self, notification: Notification, reason: str) -> None:
        """Note that a notification is not tried any more."""
        standing = self._standing(notification)
        if self._to_notify(notification, standing) is not None:
            delivery = self._delivery(notification, standing)
            # What the last call failed of tells more than that others were waited for.
            reason = delivery.reason or reason
            self._note(replace(delivery, state=DeliveryState.DEAD, reason=reason, next_try=None))

    def _delivery(self, notification: Notification, standing: DeliveryContext) -> Delivery:
        """Return what is known of a delivery up to now."""
        if standing.delivery:
            return replace(standing.delivery, replay=notification.replay)
        event = notification.event
        return Delivery(
            id=notification.id,
            subscription=notification.subscription,
            event_id=event.id,
            event_type=event.type,
            bundle_uuid=event.uuid,
            bundle_version=event.version,
            state=DeliveryState.WAITING,
            created=self._dss.clock.now(),
            replay=notification.replay,
        )

    def _begun(self, delivery: Delivery) -> Delivery:
        return replace(delivery, attempts=delivery.attempts + 1, last_attempt=self._dss.clock.now())

    def _standing(self, notification: Notification) -> DeliveryContext:
        return self._dss.catalog.deliveries.standing(notification.subscription, notification.id)

    def _to_notify(self, notification: Notification, standing: DeliveryContext) -> Subscription | None:
        """Return whom to notify; None where the subscription has ended, or its subscriber knows already."""
        there = standing.delivery
        delivered = there is not None and there.state is DeliveryState.DELIVERED
        if there and delivered and notification.replay in ("", there.replay):
            return None
        return standing.subscription

    def _attempt(
        self, subscription: Subscription, notification: Notification, delivery: Delivery, *, seconds: float
    ) -> None:
        """Make a call, and note that it was answered with 2xx. Raises CallFailed, or Unavailable."""
        callback = self._callback(subscription, notification, delivery.attempts)
        began = time.monotonic()
        with self._under_way.noted(subscription.uuid):
            try:
                status = self._callbacks.call(callback, seconds=seconds, turn=delivery.attempts - 1)
            except CallFailed as error:
                error.seconds = round(time.monotonic() - began, 3)
                _log.info("not delivered", delivery=delivery.id, reason=error.title, seconds=error.seconds)
                raise
        took = round(time.monotonic() - began, 3)
        self._dss.faults.reach("delivery: answered")
        state = DeliveryState.DELIVERED
        self._note(replace(delivery, state=state, status=status, reason="", seconds=took, next_try=None))
        _log.info("delivered", delivery=delivery.id, attempt=delivery.attempts, seconds=took)

    def _callback(self, subscription: Subscription, notification: Notification, attempt: int) -> Callback:
        secret = self._dss.catalog.subscriptions.secret(subscription.uuid) if subscription.signed else None
        if subscription.signed and secret is None:
            # It ends together with the subscription, which may have ended a moment ago.
            raise Unavailable("the secret to sign with is gone, and nothing is sent unsigned")
        return Callback(
            url=subscription.callback_url,
            method=subscription.method,
            body=json.dumps({**notification.payload, "attempt": attempt}).encode(),
            form_fields=None if subscription.encoding == "application/json" else subscription.form_fields,
            payload_form_field=subscription.payload_form_field,
            key_id=subscription.hmac_key_id or f"hca-dss:{subscription.uuid}",
            secret=secret,
        )

    def _try_later(self, notification: Notification) -> None:
        self._dss.publisher.publish(DELIVERY_RETRIES, notification.attributes, notification.data)
        self._dss.faults.reach("delivery: put off")

    def _note(self, delivery: Delivery) -> None:
        self._dss.catalog.deliveries.note(delivery)

    def _in_trouble(self, subscription: str, trouble: SubscriberBackoff | None) -> SubscriberBackoff:
        now = self._dss.clock.now()
        failures = trouble.failures + 1 if trouble else 1
        noted = SubscriberBackoff(
            since=trouble.since if trouble else now, failures=failures, next_try=now + _delay(failures)
        )
        self._dss.catalog.deliveries.in_trouble(subscription, noted)
        return noted

    def _claim(self, subscription: str, trouble: SubscriberBackoff) -> None:
        """Return where it is this notification's turn to try a subscriber that fails. Raises Waits."""
        now = self._dss.clock.now()
        if trouble.next_try <= now:
            until = now + timedelta(seconds=RETRY_SECONDS) + _delay(trouble.failures + 1)
            if self._dss.catalog.deliveries.claim(subscription, now=now, until=until):
                return
        self._resting[subscription] = min(max(trouble.next_try, now), now + _REMEMBERED)
        self._wait_for_turn(subscription)
        raise Deferred(_WAITS)

    def _wait_for_turn(self, subscription: str) -> None:
        """Raise Waits where this process knows that a subscriber is not to be tried now."""
        rests_until = self._resting.get(subscription)
        if rests_until is not None and self._dss.clock.now() < rests_until:
            raise Deferred(_WAITS)
        self._resting.pop(subscription, None)


_WAITS = "the subscriber fails, and its next try has not come"


def _delay(failures: int) -> timedelta:
    return min(timedelta(seconds=2 ** min(failures - 1, 20)), _LONGEST_DELAY)


def _failed(delivery: Delivery, error: CallFailed, trouble: SubscriberBackoff) -> Delivery:
    return replace(
        delivery,
        state=DeliveryState.FAILING,
        status=error.status,
        reason=error.title,
        seconds=error.seconds,
        next_try=trouble.next_try,
    )


class _UnderWay:
    """The calls of this process that have not been answered yet."""

    def __init__(self) -> None:
        self._began: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    def is_slow(self, subscription: str) -> bool:
        """Tell whether a subscriber has kept a call waiting."""
        with self._lock:
            began = self._began.get(subscription, [])
            return any(time.monotonic() - one > _SLOW_SECONDS for one in began)

    @contextmanager
    def noted(self, subscription: str) -> Iterator[None]:
        """Note a call that is under way within the block."""
        now = time.monotonic()
        with self._lock:
            self._began.setdefault(subscription, []).append(now)
        try:
            yield
        finally:
            with self._lock:
                began = self._began[subscription]
                began.remove(now)
                if not began:
                    del self._began[subscription]
