"""Subscriptions of who has signed in, with their deliveries; the same functions answer as for v1."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from run.account.forms import Form, needed
from run.api import subscriptions
from run.api.call import Call
from run.browse.operations import HOME
from run.explore.checked_json import checked_json
from shared.errors import IllegalArguments
from shared.identifiers import check_version

PATH = f"{HOME}/subscriptions"
# Deliveries on a page.
MOST_DELIVERIES = 50
# What a query is written in, by the values of the form's choice; `all` is no query.
LANGUAGES: Mapping[str, str] = {
    "all": "All events that I may read",
    "jmespath": "Events that match an expression of JMESPath",
    "json": "Bundles that match a query in JSON, as dss search has it",
}


@dataclass(frozen=True, kw_only=True)
class Deliveries:
    """Some notifications, newest first, the address of those before them, and until when it acts."""

    rows: Sequence[Mapping[str, Any]]
    more: str
    known: Mapping[str, Any]


def own(call: Call) -> list[Mapping[str, Any]]:
    """Return the caller's subscriptions on all replicas."""
    return [shown for replica in call.dss.replicas.names for shown in subscriptions.owned(call, replica)]


def url_of(uuid: str, replica: str) -> str:
    """Return the page of a subscription."""
    return f"{PATH}/{uuid}?{urlencode({'replica': replica})}"


def subscribe(call: Call, form: Form) -> str:
    """Make the subscription that a form describes; return its page. Raises as PUT of a subscription does."""
    body = {
        "callback_url": needed(form, "callback_url", "Address that is called"),
        # The defaults of the contract.
        "method": "POST",
        "encoding": "application/json",
        "form_fields": {},
        "payload_form_field": "payload",
        **_query(form),
        **{name: form[name] for name in ("hmac_secret_key", "hmac_key_id") if name in form},
    }
    replica = call.dss.replicas.named(needed(form, "replica", "Replica")).name
    # The same form sent twice makes one.
    once = replace(call, repeat_key=needed(form, "once", "once"))
    made = json.loads(subscriptions.put(once, replica=replica, json_request_body=body).get_data())
    return url_of(made["uuid"], replica)


def find(call: Call, uuid: str, replica: str) -> Mapping[str, Any]:
    """Return one of the caller's subscriptions. Raises NotFound."""
    return subscriptions.found(call, uuid, call.dss.replicas.named(replica).name)


def deliveries(call: Call, uuid: str, replica: str, after: str) -> Deliveries:
    """Return a page of a subscription's notifications. Raises as GET of its deliveries does."""
    answer = subscriptions.deliveries(
        call, uuid=uuid, replica=replica, per_page=MOST_DELIVERIES, search_after=after or None
    )
    known = json.loads(answer.get_data())
    rows = known.pop("deliveries")
    more = ""
    if answer.status_code == 206:
        place = f"{rows[-1]['created']},{rows[-1]['delivery_id']}"
        more = f"{PATH}/{uuid}?{urlencode({'replica': replica, 'after': place})}"
    return Deliveries(rows=rows, more=more, known=known)


def change(call: Call, uuid: str, replica: str, form: Form) -> str:
    """Do with a subscription what a form says; return the page to show next. Raises as v1 does."""
    match form.get("action"):
        case "delete":
            kind = "elasticsearch" if find(call, uuid, replica).get("es_query") is not None else "jmespath"
            subscriptions.delete(call, uuid=uuid, replica=replica, subscription_type=kind)
            return PATH
        case "test":
            subscriptions.test(call, uuid=uuid, replica=replica)
        case "replay":
            day = needed(form, "from", "Since")
            subscriptions.replay(call, uuid=uuid, replica=replica, from_date=_moment(day))
        case _:
            raise IllegalArguments("action: neither delete, nor test, nor replay")
    return url_of(uuid, replica)


def _moment(day: str) -> str:
    try:
        return check_version(f"{day}T000000.000000Z")
    except IllegalArguments:
        raise IllegalArguments(f"Since: {day[:40]!r} is not a day such as 2026-03-01") from None


def _query(form: Form) -> Mapping[str, Any]:
    language = form.get("language", "all")
    if language not in LANGUAGES:
        raise IllegalArguments(f"language: {language[:40]!r} is not one of {', '.join(LANGUAGES)}")
    if language == "all":
        if "query" in form:
            raise IllegalArguments("Query: choose what it is written in, or leave it empty")
        return {}
    text = needed(form, "query", "Query")
    if language == "jmespath":
        return {"jmespath_query": text}
    parsed = checked_json(text, "Query: not valid JSON")
    if not isinstance(parsed, dict):
        raise IllegalArguments("Query: must be a JSON object")
    return {"es_query": parsed}
