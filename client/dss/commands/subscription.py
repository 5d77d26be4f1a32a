"""`dss subscription`: to be notified of what appears and what is deleted."""

import json
from typing import Any, TextIO

import click

from dss import tokens
from dss.api.subscriptions import KINDS
from dss.commands.context import Context, shared_options
from dss.errors import Refused

_TEXT = click.File(encoding="utf-8")
_KIND = click.option(
    "--kind", type=click.Choice(KINDS), default="jmespath", show_default=True, help="Language of its query."
)


@click.group()
@shared_options
def subscription() -> None:
    """Have a URL of yours called when a bundle appears or is deleted."""


@subscription.command("put")
@click.argument("callback_url", metavar="URL")
@click.option("--jmespath", "jmespath_query", metavar="EXPRESSION", help="Only what this is true of.")
@click.option(
    "--es-query", metavar="FILE", type=_TEXT, help="JSON: only what this Elasticsearch query finds."
)
@click.option(
    "--attach", "attachments", metavar="NAME=EXPRESSION", multiple=True, help="JMESPath; may be repeated."
)
@click.option("--method", type=click.Choice(["POST", "PUT"]), help="HTTP method  [default: POST]")
@click.option(
    "--form", "form_fields", metavar="NAME=VALUE", multiple=True, help="Send a form, with this field."
)
@click.option(
    "--payload-field", "payload_form_field", metavar="NAME", help="Its field with the notification."
)
@click.option(
    "--secret-file", metavar="FILE", type=_TEXT, help="Sign with what is in this file (- is stdin)."
)
@click.option("--key-id", "hmac_key_id", help="What the signature names the secret by.")
@shared_options
@click.pass_obj
def put(
    context: Context,
    /,
    callback_url: str,
    es_query: TextIO | None,
    attachments: tuple[str, ...],
    form_fields: tuple[str, ...],
    secret_file: TextIO | None,
    **chosen: str | None,
) -> int:
    """Have URL called with every event of the replica that matches. Prints the subscription's UUID."""
    tokens.check_usable(context.token)
    wanted: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    if es_query:
        wanted["es_query"] = _json_in(es_query)
    if attachments:
        wanted["attachments"] = {
            name: {"type": "jmespath", "expression": expression}
            for name, expression in _pairs("--attach", attachments).items()
        }
    if form_fields or "payload_form_field" in wanted:
        wanted |= {"encoding": "multipart/form-data", "form_fields": _pairs("--form", form_fields)}
    if secret_file:
        wanted["hmac_secret_key"] = secret_file.read().strip()
    uuid = context.client().subscribe(callback_url, **wanted)
    context.show({"uuid": uuid, "replica": context.replica}, uuid)
    return 0


@subscription.command("list")
@shared_options
@click.pass_obj
def list_subscriptions(context: Context) -> int:
    """List your subscriptions on the replica."""
    rows = context.client().subscriptions()
    if context.json:
        context.show({"replica": context.replica, "subscriptions": rows})
        return 0
    for row in rows:
        print(f"{row['uuid']}  {row['callback_url']}  {_query(row)}".rstrip())
    return 0


@subscription.command("get")
@click.argument("uuid")
@_KIND
@shared_options
@click.pass_obj
def get(context: Context, uuid: str, kind: str) -> int:
    """Print a subscription, as JSON, without its secret."""
    context.show(context.client().subscription(uuid, kind))
    return 0


@subscription.command("delete")
@click.argument("uuid")
@_KIND
@shared_options
@click.pass_obj
def delete(context: Context, uuid: str, kind: str) -> int:
    """End a subscription."""
    tokens.check_usable(context.token)
    context.client().unsubscribe(uuid, kind)
    context.show({"uuid": uuid, "replica": context.replica}, f"{uuid} has ended")
    return 0


@subscription.command("deliveries")
@click.argument("uuid")
@shared_options
@click.pass_obj
def deliveries(context: Context, uuid: str) -> int:
    """List what was sent in the last 14 days, the newest first, and what became of it."""
    rows = context.client().deliveries(uuid)
    if context.json:
        context.show({"uuid": uuid, "deliveries": list(rows)})
        return 0
    for row in rows:
        bundle = "{bundle_uuid}.{bundle_version}".format(**row["match"])
        said = row.get("reason") or row.get("status", "")
        print(
            f"{row['created']}  {row['state']:9}  {row['attempts']:3}  {row['event_type']}  {bundle}  {said}"
        )
    return 0


@subscription.command("test")
@click.argument("uuid")
@shared_options
@click.pass_obj
def test(context: Context, uuid: str) -> int:
    """Have a sample sent: an event of type TEST. Prints the id of its delivery."""
    tokens.check_usable(context.token)
    sent = context.client().send_sample(uuid)
    context.show({"uuid": uuid, "delivery_id": sent}, sent)
    return 0


@subscription.command("replay")
@click.argument("uuid")
@click.option("--from-date", metavar="VERSION", required=True, help="2026-01-12T093000.000000Z, in UTC.")
@shared_options
@click.pass_obj
def replay(context: Context, uuid: str, from_date: str) -> int:
    """Have all that matches sent again since a time, whether it was taken or not. Prints the replay's id."""
    tokens.check_usable(context.token)
    begun = context.client().replay(uuid, from_date)
    context.show({"uuid": uuid, "replay_id": begun}, begun)
    return 0


def _query(row: dict[str, Any]) -> str:
    return json.dumps(row["es_query"]) if "es_query" in row else row.get("jmespath_query", "")


def _pairs(option: str, texts: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if not all(equals and name for name, equals, _ in pairs):
        raise Refused(f"{option}: NAME=VALUE is wanted")
    return {name: value for name, _, value in pairs}


def _json_in(file: TextIO) -> Any:
    try:
        return json.load(file)
    except ValueError as error:
        raise Refused(f"{file.name}: is not JSON: {error}") from error
