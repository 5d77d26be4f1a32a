"""Subscriptions: check what an owner asks for, create, find and delete."""

import json
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from shared.access import Principal, Resource
from shared.catalog import MOST_SUBSCRIPTIONS, Subscription
from shared.errors import (
    ElasticsearchError,
    IllegalArguments,
    IndexQueryRefused,
    InvalidAttachmentExpression,
    InvalidAttachmentName,
    InvalidJmespath,
    InvalidQueryType,
    NotFound,
    Unprocessable,
)
from shared.identifiers import version_of
from shared.search.dsl import parse
from shared.system import Dss
from shared.webhooks.callbacks import check_literal_address, networks_of
from shared.webhooks.expressions import check_expression
from shared.webhooks.owners import sign_in_to_all
from shared.webhooks.secrets import decrypt_secret, encrypt_secret

# Most bytes of a subscription, as JSON. `notify` keeps those of a replica in memory, and a secret is a
# document of its own, of 1 MiB at most.
_LARGEST = 64 * 1024
# Characters that must not be between quotes in a header (RFC 9110, section 5.6.4), and the comma, at which
# libraries that verify signatures split headers.
_UNFIT_IN_HEADER = frozenset('"\\,')
# The namespace of the UUIDs of subscriptions with an Idempotency-Key, which must never change.
_NAMES = uuid.UUID("0e0c4c1a-6f0b-5c1e-9d53-3a1f5a6a2c77")
_LONGEST_KEY = 255


def subscribe(
    dss: Dss, replica: str, caller: Principal, requested: Mapping[str, Any], *, key: str = ""
) -> Subscription:
    """Create a subscription from the body of PUT /subscriptions, and return it.

    Each call creates another one, unless it has the `key` of an earlier call of the owner: then it returns
    the subscription of that call. Raises IllegalArguments or below, Unprocessable, or NotAcceptable.
    """
    definition = _definition_of(dss, requested)
    if len(key) > _LONGEST_KEY:
        raise IllegalArguments(f"Idempotency-Key: longer than {_LONGEST_KEY} characters")
    owner = caller.email
    name = uuid.uuid5(_NAMES, json.dumps([owner, replica, key])) if key else uuid.uuid4()
    subscription = Subscription(
        uuid=str(name),
        replica=replica,
        owner=owner,
        created=dss.clock.now(),
        groups=caller.groups,
        **definition,
    )
    secret = requested.get("hmac_secret_key")
    dss.catalog.subscriptions.add(
        subscription,
        secret=None if secret is None else encrypt_secret(dss.settings, subscription.uuid, secret),
        at_most=MOST_SUBSCRIPTIONS,
        is_same_secret=partial(_is_same_secret, dss, subscription.uuid, secret),
    )
    sign_in_to_all(dss, caller)
    return subscription


def _is_same_secret(dss: Dss, uuid: str, secret: str | None, stored: str | None) -> bool:
    if secret is None or stored is None:
        return secret == stored
    return decrypt_secret(dss.settings, uuid, stored) == secret


def find_subscription(dss: Dss, replica: str, uuid: str, finds: Callable[[Resource], bool]) -> Subscription:
    """Return a subscription. Raises NotFound, also if `finds` returns False for it."""
    subscription = dss.catalog.subscriptions.get(uuid)
    if subscription is None or subscription.replica != replica or not finds(resource_of(subscription)):
        raise NotFound(f"replica {replica} has no subscription {uuid} of yours")
    return subscription


def resource_of(subscription: Subscription) -> Resource:
    """Return a subscription as what its owner may read and change."""
    return Resource(name=f"subscription {subscription.uuid}", owner=subscription.owner)


def unsubscribe(dss: Dss, subscription: Subscription) -> str:
    """Delete a subscription, and return the time, as a version."""
    dss.catalog.subscriptions.remove(subscription)
    return version_of(dss.clock.now())


def _definition_of(dss: Dss, requested: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a subscription that its owner sets, checked."""
    # First: it bounds the expressions to compile.
    size = len(json.dumps(requested))
    if size > _LARGEST:
        raise IllegalArguments(f"json_request_body: {size} bytes as JSON, more than the limit of {_LARGEST}")
    secret = requested.get("hmac_secret_key")
    if secret == "":
        raise IllegalArguments("hmac_secret_key: must not be empty")
    return {
        "callback_url": _callback_url(dss, requested["callback_url"]),
        "method": requested["method"],
        "encoding": requested["encoding"],
        "form_fields": _form_fields(requested),
        "payload_form_field": requested["payload_form_field"],
        "attachments": _attachments(requested.get("attachments") or {}),
        "hmac_key_id": _key_id(requested.get("hmac_key_id")),
        "signed": secret is not None,
        **_query(requested),
    }


def _callback_url(dss: Dss, url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Unprocessable(f"callback_url: {url[:200]!r} is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise Unprocessable(
            f"callback_url: {url[:200]!r} has no host that can be called; use http://HOST/… or https://HOST/…"
        )
    if not url.isascii() or not url.isprintable() or " " in url:
        raise Unprocessable(
            f"callback_url: {url[:200]!r} has characters that must be percent-encoded in a URL"
        )
    try:
        # The addresses of a host name are checked at each call.
        check_literal_address(parts.hostname, networks_of(dss.settings.callback_networks))
    except ValueError as error:
        raise IllegalArguments(f"callback_url: {url[:200]!r} can never be called: {error}") from None
    return url


def _form_fields(requested: Mapping[str, Any]) -> dict[str, str]:
    fields = requested["form_fields"]
    unfit = next((name for name, value in fields.items() if not isinstance(value, str)), None)
    if unfit is not None:
        raise IllegalArguments(f"form_fields.{unfit[:80]}: must be text")
    if requested["payload_form_field"] in fields:
        raise IllegalArguments(
            f"form_fields.{requested['payload_form_field'][:80]}: this is the payload_form_field"
        )
    if not requested["payload_form_field"]:
        raise IllegalArguments("payload_form_field: must not be empty")
    return dict(fields)


def _key_id(key_id: str | None) -> str | None:
    if key_id is not None and not (key_id.isascii() and key_id.isprintable() and key_id.strip()):
        raise IllegalArguments("hmac_key_id: must be printable ASCII, because it is sent in a header")
    if key_id is not None and not _UNFIT_IN_HEADER.isdisjoint(key_id):
        raise IllegalArguments("hmac_key_id: must not contain quotation marks, backslashes or commas")
    return key_id


def _query(requested: Mapping[str, Any]) -> dict[str, Any]:
    expression, es_query = requested.get("jmespath_query"), requested.get("es_query")
    if expression is not None and es_query is not None:
        raise InvalidQueryType("jmespath_query, es_query: give one of them, or neither")
    if expression is not None:
        try:
            check_expression(expression)
        except ValueError as error:
            raise InvalidJmespath(f"jmespath_query: {error}") from None
    if es_query is not None:
        try:
            parse(es_query)
        except IndexQueryRefused as error:
            raise ElasticsearchError(error.title) from None
    return {"jmespath_query": expression, "es_query": es_query}


def _attachments(requested: Mapping[str, Any]) -> dict[str, str]:
    for name, definition in requested.items():
        if name.startswith("_"):
            raise InvalidAttachmentName(f"attachments.{name[:80]}: a name must not begin with `_`")
        try:
            check_expression(definition["expression"])
        except ValueError as error:
            raise InvalidAttachmentExpression(f"attachments.{name[:80]}.expression: {error}") from None
    return {name: definition["expression"] for name, definition in requested.items()}
