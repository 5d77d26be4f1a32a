"""`dss subscription`: have a URL called when bundles appear or are deleted."""

import json
from typing import Any, TextIO

import click

from dss import tokens
from dss.commands.context import TEXT_FILE, Context, shared_options
from dss.commands.help import examples
from dss.commands.json_input import json_in, pairs_of

_KIND = click.option(
    "--kind",
    type=click.Choice(["jmespath", "elasticsearch"]),
    default="jmespath",
    show_default=True,
    help="Language of its query.",
)


@click.group()
@shared_options
def subscription() -> None:
    """Have a URL of yours called when a bundle appears or is deleted."""


@subscription.command(
    "put",
    epilog=examples(
        "dss subscription put https://example.org/hook",
        "dss subscription put https://example.org/hook --jmespath \"event_type == 'CREATE'\"",
    ),
)
@click.argument("callback_url", metavar="URL")
@click.option(
    "--jmespath", "jmespath_query", metavar="EXPRESSION", help="Only events for which this is true."
)
@click.option(
    "--es-query",
    metavar="FILE",
    type=TEXT_FILE,
    help="JSON: only bundles that this Elasticsearch query finds.",
)
@click.option(
    "--attach", "attachments", metavar="NAME=EXPRESSION", multiple=True, help="JMESPath; repeatable."
)
@click.option("--method", type=click.Choice(["POST", "PUT"]), help="HTTP method  [default: POST]")
@click.option(
    "--form",
    "form_fields",
    metavar="NAME=VALUE",
    multiple=True,
    help="Send a form with this field; repeatable.",
)
@click.option(
    "--payload-field",
    "payload_form_field",
    metavar="NAME",
    help="Field of the form that holds the notification.",
)
@click.option(
    "--secret-file", metavar="FILE", type=TEXT_FILE, help="Sign with the secret in this file (- is stdin)."
)
@click.option("--key-id", "hmac_key_id", help="Name of the secret in the signature.")
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
    **options: str | None,
) -> int:
    """Have URL called with every matching event of the replica. Prints the subscription's UUID."""
    tokens.check_usable(context.token)
    definition: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if es_query:
        definition["es_query"] = json_in(es_query)
    if attachments:
        definition["attachments"] = {
            name: {"type": "jmespath", "expression": expression}
            for name, expression in pairs_of("--attach", attachments).items()
        }
    if form_fields or "payload_form_field" in definition:
        definition |= {"encoding": "multipart/form-data", "form_fields": pairs_of("--form", form_fields)}
    if secret_file:
        definition["hmac_secret_key"] = secret_file.read().strip()
    uuid = context.client().subscribe(callback_url, **definition)
    context.show({"uuid": uuid, "replica": context.replica}, uuid)
    return 0


@subscription.command("list", epilog=examples("dss subscription list --replica aws"))
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


@subscription.command("get", epilog=examples("dss subscription get UUID"))
@click.argument("uuid")
@_KIND
@shared_options
@click.pass_obj
def get(context: Context, uuid: str, kind: str) -> int:
    """Print a subscription, as JSON, without its secret."""
    context.show(context.client().subscription(uuid, kind))
    return 0


@subscription.command("delete", epilog=examples("dss subscription delete UUID"))
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


@subscription.command("deliveries", epilog=examples("dss subscription deliveries UUID | head"))
@click.argument("uuid")
@shared_options
@click.pass_obj
def deliveries(context: Context, uuid: str) -> int:
    """List the notifications of the last 14 days and their state, the newest first."""
    rows = context.client().deliveries(uuid)
    if context.json:
        context.show({"uuid": uuid, "deliveries": list(rows)})
        return 0
    for row in rows:
        bundle = "{bundle_uuid}.{bundle_version}".format(**row["match"])
        note = row.get("reason") or row.get("status", "")
        print(
            f"{row['created']}  {row['state']:9}  {row['attempts']:3}  {row['event_type']}  {bundle}  {note}"
        )
    return 0


@subscription.command("test", epilog=examples("dss subscription test UUID"))
@click.argument("uuid")
@shared_options
@click.pass_obj
def test(context: Context, uuid: str) -> int:
    """Send a sample notification, an event of type TEST. Prints the id of its delivery."""
    tokens.check_usable(context.token)
    delivery_id = context.client().send_sample(uuid)
    context.show({"uuid": uuid, "delivery_id": delivery_id}, delivery_id)
    return 0


@subscription.command("replay", epilog=examples("dss subscription replay UUID --from-date VERSION"))
@click.argument("uuid")
@click.option(
    "--from-date", metavar="VERSION", required=True, help="A UTC time as 2026-01-12T093000.000000Z."
)
@shared_options
@click.pass_obj
def replay(context: Context, uuid: str, from_date: str) -> int:
    """Send all matching events since a time again, delivered or not. Prints the replay's id."""
    tokens.check_usable(context.token)
    replay_id = context.client().replay(uuid, from_date)
    context.show({"uuid": uuid, "replay_id": replay_id}, replay_id)
    return 0


def _query(row: dict[str, Any]) -> str:
    return json.dumps(row["es_query"]) if "es_query" in row else row.get("jmespath_query", "")
