"""Subscriptions: `/subscriptions`, and what was sent to one."""

from typing import Any

from flask import Response

from run.api.call import Call
from run.api.pagination import answer
from shared.catalog import Subscription
from shared.errors import NotFound
from shared.subscriptions import find_subscription, subscribe, unsubscribe


def list(call: Call, *, replica: str, subscription_type: str) -> Response:
    """List the caller's subscriptions of one kind on a replica."""
    found = call.dss.catalog.subscriptions.of_owner(call.signed_in.email, replica)
    return answer({"subscriptions": [_shown(one) for one in found if one.kind == subscription_type]})


def put(call: Call, *, replica: str, json_request_body: dict[str, Any]) -> Response:
    """Have the caller notified of the events of a replica that match a query."""
    subscription = subscribe(call.dss, replica, call.signed_in.email, json_request_body)
    return answer({"uuid": subscription.uuid}, 201)


def get(call: Call, *, uuid: str, replica: str, subscription_type: str) -> Response:
    """Answer one subscription of the caller's, in a body of its own."""
    return answer(_shown(_find(call, uuid, replica, subscription_type)))


def delete(call: Call, *, uuid: str, replica: str, subscription_type: str) -> Response:
    """End one subscription of the caller's."""
    ended = unsubscribe(call.dss, _find(call, uuid, replica, subscription_type))
    return answer({"timeDeleted": ended})


def _find(call: Call, uuid: str, replica: str, kind: str | None = None) -> Subscription:
    """Return a subscription of the caller's, for an admin of anybody's. Raises NotFound."""
    caller = call.signed_in
    found = find_subscription(call.dss, replica, uuid, owner=None if caller.is_admin else caller.email)
    if kind not in (None, found.kind):
        raise NotFound(f"replica {replica} has no {kind} subscription {uuid} of yours")
    return found


def _shown(subscription: Subscription) -> dict[str, Any]:
    """Return a subscription as its owner sees it; its secret is not even at hand."""
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
    }
    return {name: value for name, value in shown.items() if value is not None}
