"""Subscriptions: `/subscriptions`, their deliveries, samples and replays."""

from datetime import datetime
from typing import Any

from flask import Response

from run.api.call import Call
from run.api.pagination import answer, page
from shared.catalog import Attempt, Delivery, DeliveryState, SubscriberBackoff, Subscription
from shared.errors import NotFound
from shared.identifiers import check_uuid, check_version, moment_of, version_of
from shared.webhooks.fanout import send_sample
from shared.webhooks.owners import acts_until, after_sign_in, is_paused
from shared.webhooks.replays import begin_replay
from shared.webhooks.subscriptions import find_subscription, subscribe, unsubscribe


def list_own(call: Call, *, replica: str, subscription_type: str) -> Response:
    """List the caller's subscriptions of one query language on a replica."""
    return answer({"subscriptions": owned(call, replica, subscription_type)})


def owned(call: Call, replica: str, kind: str | None = None) -> list[dict[str, Any]]:
    """Return the caller's subscriptions on a replica; with `kind`, those of one query language."""
    owner = call.identify()
    acting = after_sign_in(call.dss, owner, call.dss.catalog.subscriptions.of_owner(owner.email, replica))
    return [_shown(call, one) for one in acting if kind in (None, one.kind)]


def put(call: Call, *, replica: str, json_request_body: dict[str, Any]) -> Response:
    """Subscribe the caller to the events of a replica that match a query."""
    owner = call.identify()
    subscription = subscribe(call.dss, replica, owner, json_request_body, key=call.repeat_key)
    call.is_about(subscription.uuid)
    return answer(_shown(call, subscription), 201)


def get(call: Call, *, uuid: str, replica: str, subscription_type: str) -> Response:
    """Return one of the caller's subscriptions."""
    return answer(found(call, uuid, replica, subscription_type))


def found(call: Call, uuid: str, replica: str, kind: str | None = None) -> dict[str, Any]:
    """Return one of the caller's subscriptions, of a query language if `kind` says so. Raise NotFound."""
    return _shown(call, _find(call, uuid, replica, kind))


def delete(call: Call, *, uuid: str, replica: str, subscription_type: str) -> Response:
    """Delete one of the caller's subscriptions."""
    ended = unsubscribe(call.dss, _find(call, uuid, replica, subscription_type))
    return answer({"timeDeleted": ended})


def deliveries(call: Call, *, uuid: str, replica: str, per_page: int, search_after: str | None) -> Response:
    """Return a page of the notifications to one of the caller's subscriptions, newest first."""
    subscription = _find(call, uuid, replica)
    before = _position(search_after) if search_after else None
    # One row more than a page shows that there is another page.
    rows = call.dss.catalog.deliveries.of_subscription(subscription.uuid, before=before, count=per_page + 1)
    on_page = rows[:per_page]
    backoff = call.dss.catalog.deliveries.backoff(subscription.uuid)
    more = None
    if len(rows) > per_page:
        more = call.url(search_after=f"{version_of(on_page[-1].created)},{on_page[-1].id}")
    body = {**_sign_in(call, subscription), "deliveries": [_delivery(one, backoff) for one in on_page]}
    return page(body, content_key="deliveries", next_url=more)


def test(call: Call, *, uuid: str, replica: str) -> Response:
    """Send a sample to one of the caller's subscriptions, as every notification is sent."""
    sample = send_sample(call.dss, _find(call, uuid, replica), call.base_url)
    return answer({"delivery_id": sample.id, "event_id": sample.event.id}, 202)


def replay(call: Call, *, uuid: str, replica: str, from_date: str) -> Response:
    """Send again all events since `from_date` that one of the caller's subscriptions matches."""
    return answer({"replay_id": begin_replay(call.dss, _find(call, uuid, replica), from_date)}, 202)


def _find(call: Call, uuid: str, replica: str, kind: str | None = None) -> Subscription:
    """Return one of the caller's subscriptions; an admin may have anybody's. Raise NotFound."""
    caller = call.identify()
    subscription = find_subscription(call.dss, replica, uuid, call.finds)
    if kind not in (None, subscription.kind):
        raise NotFound(f"replica {replica} has no {kind} subscription {uuid} of yours")
    [acting] = after_sign_in(call.dss, caller, [subscription])
    return acting


def _position(search_after: str) -> tuple[datetime, str]:
    created, _, delivery = search_after.partition(",")
    return moment_of(check_version(created, "search_after")), check_uuid(delivery, "search_after")


def _delivery(delivery: Delivery, backoff: SubscriberBackoff | None) -> dict[str, Any]:
    """Return the state of a notification, as the owner of its subscription sees it."""
    next_try = delivery.next_try
    if delivery.state in (DeliveryState.WAITING, DeliveryState.FAILING) and backoff:
        # A later failure of another notification delays this one too.
        next_try = max(next_try or backoff.next_try, backoff.next_try)
    shown = {
        "delivery_id": delivery.id,
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "match": {"bundle_uuid": delivery.bundle_uuid, "bundle_version": delivery.bundle_version},
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "created": version_of(delivery.created),
        "last_attempt": version_of(delivery.last_attempt) if delivery.last_attempt else None,
        "status": delivery.status,
        "reason": delivery.reason or None,
        "seconds": delivery.seconds if delivery.attempts else None,
        "next_try": version_of(next_try) if next_try else None,
        "replay_id": delivery.replay or None,
        "last_attempts": [_attempt(attempt) for attempt in delivery.history],
    }
    return _given(shown)


def _attempt(attempt: Attempt) -> dict[str, Any]:
    shown = {
        "time": version_of(attempt.time),
        "status": attempt.status,
        "seconds": attempt.seconds,
        "reason": attempt.reason or None,
    }
    return _given(shown)


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _sign_in(call: Call, subscription: Subscription) -> dict[str, Any]:
    """Return until when a subscription acts without another sign-in of its owner, and when it last paused.

    A sign-in ends a pause, so that the owner sees only the one before.
    """
    end, pause = acts_until(call.dss, subscription), subscription.last_pause
    shown = {
        "acts_until": version_of(end) if end else None,
        "paused": is_paused(call.dss, subscription) or None,
        "last_pause": {"from": version_of(pause[0]), "to": version_of(pause[1])} if pause else None,
    }
    return _given(shown)


def _shown(call: Call, subscription: Subscription) -> dict[str, Any]:
    """Return a subscription as its owner sees it, without its secret."""
    shown = {
        "uuid": subscription.uuid,
        "replica": subscription.replica,
        "owner": subscription.owner,
        "es_query": subscription.es_query,
        "jmespath_query": subscription.jmespath_query,
        "callback_url": subscription.callback_url,
        "hmac_key_id": subscription.hmac_key_id,
        "method": subscription.method,
        "encoding": subscription.encoding,
        "form_fields": subscription.form_fields,
        "payload_form_field": subscription.payload_form_field,
        "attachments": {
            name: {"type": "jmespath", "expression": expression}
            for name, expression in subscription.attachments.items()
        }
        or None,
        **_sign_in(call, subscription),
    }
    return _given(shown)
