"""Subscriptions: what may be asked to be notified of, and how."""

import json
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import jmespath
from jmespath.exceptions import JMESPathError

from shared.catalog import Subscription
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

# Subscriptions that one person may have on one replica, of both kinds together.
AT_MOST = 100
# All that is said of a subscription, as JSON, in bytes. `notify` keeps those of a replica in memory, and a
# secret is a document of its own, of 1 MiB at most.
_LARGEST = 64 * 1024
# What people write is some hundred characters long. The time to compile an expression grows with its length.
_LONGEST_EXPRESSION = 8 * 1024
# What must not stand between quotes in a header (RFC 9110, section 5.6.4); and what libraries that verify
# signatures cut headers at.
_UNFIT_IN_HEADER = frozenset('"\\,')
# Subscriptions that a caller has given a key are named from this one, which must never change.
_NAMES = uuid.UUID("0e0c4c1a-6f0b-5c1e-9d53-3a1f5a6a2c77")
_LONGEST_KEY = 255


def subscribe(
    dss: Dss, replica: str, owner: str, wanted: Mapping[str, Any], *, key: str = ""
) -> Subscription:
    """Make a subscription of what the contract calls the body of PUT /subscriptions, and return it.

    Each call makes another one, but for those with one `key` of the owner's: the same said again with it is
    the same subscription. Raises IllegalArguments or below, Unprocessable, or NotAcceptable.
    """
    definition = _definition_of(wanted)
    if len(key) > _LONGEST_KEY:
        raise IllegalArguments(f"Idempotency-Key: longer than {_LONGEST_KEY} characters")
    name = uuid.uuid5(_NAMES, json.dumps([owner, replica, key])) if key else uuid.uuid4()
    subscription = Subscription(
        uuid=str(name), replica=replica, owner=owner, created=dss.clock.now(), **definition
    )
    dss.catalog.subscriptions.add(subscription, secret=wanted.get("hmac_secret_key"), at_most=AT_MOST)
    return subscription


def find_subscription(dss: Dss, replica: str, uuid: str, *, owner: str | None) -> Subscription:
    """Return a subscription; where `owner` is named, only one of theirs. Raises NotFound."""
    found = dss.catalog.subscriptions.get(uuid)
    if found is None or found.replica != replica or owner not in (None, found.owner):
        raise NotFound(f"replica {replica} has no subscription {uuid} of yours")
    return found


def unsubscribe(dss: Dss, subscription: Subscription) -> str:
    """End a subscription, and return when, as a version."""
    dss.catalog.subscriptions.remove(subscription)
    return version_of(dss.clock.now())


def _definition_of(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a subscription that its owner decides, checked."""
    # First: it bounds what there is to compile.
    size = len(json.dumps(wanted))
    if size > _LARGEST:
        raise IllegalArguments(f"json_request_body: {size} bytes as JSON, and {_LARGEST} are taken at most")
    secret = wanted.get("hmac_secret_key")
    if secret == "":
        raise IllegalArguments("hmac_secret_key: must not be empty")
    return {
        "callback_url": _callback_url(wanted["callback_url"]),
        "method": wanted["method"],
        "encoding": wanted["encoding"],
        "form_fields": _form_fields(wanted),
        "payload_form_field": wanted["payload_form_field"],
        "attachments": _attachments(wanted.get("attachments") or {}),
        "hmac_key_id": _key_id(wanted.get("hmac_key_id")),
        "signed": secret is not None,
        **_query(wanted),
    }


def _callback_url(url: str) -> str:
    # The contract asks for the scheme. Whether the host may be called is seen when it is called.
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Unprocessable(f"callback_url: {url[:200]!r} is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise Unprocessable(f"callback_url: {url[:200]!r} names no host that could be called")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise Unprocessable(f"callback_url: {url[:200]!r} holds characters that no URL may have as they are")
    return url


def _form_fields(wanted: Mapping[str, Any]) -> dict[str, str]:
    fields = wanted["form_fields"]
    unfit = next((name for name, value in fields.items() if not isinstance(value, str)), None)
    if unfit is not None:
        raise IllegalArguments(f"form_fields.{unfit[:80]}: must be text")
    if wanted["payload_form_field"] in fields:
        raise IllegalArguments(
            f"form_fields.{wanted['payload_form_field'][:80]}: this is the field of the payload"
        )
    if not wanted["payload_form_field"]:
        raise IllegalArguments("payload_form_field: must not be empty")
    return dict(fields)


def _key_id(key_id: str | None) -> str | None:
    if key_id is not None and not (key_id.isascii() and key_id.isprintable() and key_id.strip()):
        raise IllegalArguments("hmac_key_id: must be printable ASCII, as it stands in a header")
    if key_id is not None and not _UNFIT_IN_HEADER.isdisjoint(key_id):
        raise IllegalArguments("hmac_key_id: must hold no quotation mark, backslash or comma")
    return key_id


def _query(wanted: Mapping[str, Any]) -> dict[str, Any]:
    expression, es_query = wanted.get("jmespath_query"), wanted.get("es_query")
    if expression is not None and es_query is not None:
        raise InvalidQueryType("jmespath_query, es_query: a subscription has one of them, or neither")
    if expression is not None:
        try:
            _compile(expression)
        except ValueError as error:
            raise InvalidJmespath(f"jmespath_query: {error}") from None
    if es_query is not None:
        try:
            parse(es_query)
        except IndexQueryRefused as error:
            raise ElasticsearchError(error.title) from None
    return {"jmespath_query": expression, "es_query": es_query}


def _attachments(wanted: Mapping[str, Any]) -> dict[str, str]:
    for name, definition in wanted.items():
        if name.startswith("_"):
            raise InvalidAttachmentName(
                f"attachments.{name[:80]}: a name that begins with `_` is not an attachment's"
            )
        try:
            _compile(definition["expression"])
        except ValueError as error:
            raise InvalidAttachmentExpression(f"attachments.{name[:80]}.expression: {error}") from None
    return {name: definition["expression"] for name, definition in wanted.items()}


def _compile(expression: str) -> None:
    """Return if an expression is JMESPath. Raises ValueError that says in one line what is wrong."""
    if len(expression) > _LONGEST_EXPRESSION:
        raise ValueError(f"longer than {_LONGEST_EXPRESSION} characters")
    try:
        jmespath.compile(expression)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except JMESPathError as error:
        raise ValueError(" ".join(str(error).split())[:300]) from None
