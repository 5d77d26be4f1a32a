"""List and delete the subscriptions of everybody, check their secrets, and encrypt them anew."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from dss.commands.context import Context
from dss.errors import InvalidInput
from run.admin.operator import operator_settings, replicas_named
from run.admin.report import SHOWN, table
from shared.access.audit_log import utc_text
from shared.catalog import Subscription
from shared.errors import DssError
from shared.identifiers import check_uuid
from shared.secret_keys import secret_keys
from shared.system import Dss
from shared.webhooks.owners import is_paused
from shared.webhooks.secrets import decrypt_secret
from shared.webhooks.subscriptions import unsubscribe
from shared.wiring import open_system


def list_subscriptions(context: Context, names: Sequence[str], owner: str) -> int:
    """List the subscriptions of all replicas or some, of everybody or one owner. Return 0."""
    with operator_settings() as settings:
        dss = open_system(settings)
        found = list(_of(dss, names, owner))
        rows = [_as_json(dss, one) for one in found]
    head = ["uuid", "replica", "owner", "language", "created", "paused", "signed", "callback"]
    lines = [head, *([str(row[name]) for name in head] for row in rows)]
    context.show({"subscriptions": rows}, "\n".join([*table(lines), f"{len(rows):,} subscriptions"]))
    return 0


def find_one(context: Context, uuid: str) -> int:
    """Show the subscription that would be deleted. Return 0. Raises InvalidInput if there is none."""
    with operator_settings() as settings:
        dss = open_system(settings)
        row = _as_json(dss, _get(dss, uuid))
    text = f"would be deleted: {row['uuid']} of {row['owner']} on {row['replica']}, to {row['callback']}"
    context.show({"dry_run": True, "deleted": row}, text)
    return 0


def delete(context: Context, uuid: str) -> int:
    """Delete a subscription of anybody. Return 0. Raises InvalidInput if there is none."""
    with operator_settings() as settings:
        dss = open_system(settings)
        subscription = _get(dss, uuid)
        row = _as_json(dss, subscription)
        unsubscribe(dss, subscription)
    text = f"deleted: {row['uuid']} of {row['owner']} on {row['replica']}"
    context.show({"dry_run": False, "deleted": row}, text)
    return 0


def check_secrets(context: Context) -> int:
    """Check that the deployment's keys decrypt the secret of each subscription. Return 1 if one does not."""
    counts: Counter[str] = Counter()
    bad: list[dict[str, str]] = []
    with operator_settings() as settings, context.progress("secrets", unit="objects") as progress:
        dss = open_system(settings)
        for number, subscription in enumerate(_of(dss, (), ""), start=1):
            if why := _wrong_with(dss, subscription):
                counts["bad"] += 1
                if len(bad) < SHOWN:
                    bad.append({"uuid": subscription.uuid, "owner": subscription.owner, "why": why})
            counts["signed" if subscription.signed else "unsigned"] += 1
            progress.reach(number, f"{counts['bad']:,} bad")
    lines = [f"{row['uuid']} of {row['owner']}: {row['why']}" for row in bad]
    lines.append(f"{counts['signed']:,} with a secret, {counts['unsigned']:,} without, {counts['bad']:,} bad")
    summary = {name: counts[name] for name in ("signed", "unsigned", "bad")}
    context.show({**summary, "first": bad}, "\n".join(lines))
    return 1 if bad else 0


def encrypt_secrets(context: Context, *, dry_run: bool) -> int:
    """Encrypt the secret of each subscription by the first key. Return 1 if one can't be decrypted."""
    counts: Counter[str] = Counter()
    with operator_settings() as settings, context.progress("secrets", unit="objects") as progress:
        dss = open_system(settings)
        signed = (one for one in _of(dss, (), "") if one.signed)
        for number, subscription in enumerate(signed, start=1):
            counts[_encrypted(dss, subscription, dry_run=dry_run)] += 1
            progress.reach(number, f"{counts['bad']:,} bad")
    summary = {name: counts[name] for name in ("encrypted", "bad")}
    what = "would be encrypted" if dry_run else "encrypted"
    text = f"{counts['encrypted']:,} {what} by the first key, {counts['bad']:,} bad (dss admin secrets check)"
    context.show({"dry_run": dry_run, **summary}, text)
    return 1 if counts["bad"] else 0


def _encrypted(dss: Dss, subscription: Subscription, *, dry_run: bool) -> str:
    """Encrypt a secret by the first key; return `encrypted`, or `bad` if that is not possible."""
    if _wrong_with(dss, subscription):
        return "bad"
    if not dry_run:
        keys = secret_keys(dss.settings.secrets_key_file)
        dss.catalog.subscriptions.change_secret(subscription, lambda old: keys.rotate(old.encode()).decode())
    return "encrypted"


def _of(dss: Dss, names: Sequence[str], owner: str) -> Iterator[Subscription]:
    for replica in replicas_named(dss, names):
        if owner:
            found = dss.catalog.subscriptions.of_owner(owner, replica.name)
        else:
            found = dss.catalog.subscriptions.of_replica(replica.name)
        yield from sorted(found, key=lambda one: (one.owner, one.created, one.uuid))


def _get(dss: Dss, uuid: str) -> Subscription:
    subscription = dss.catalog.subscriptions.get(check_uuid(uuid))
    if subscription is None:
        raise InvalidInput(f"subscription {uuid} does not exist: dss admin subscriptions list")
    return subscription


def _wrong_with(dss: Dss, subscription: Subscription) -> str:
    """Return what is wrong with the secret of a subscription; empty if nothing is."""
    if not subscription.signed:
        return ""
    encrypted = dss.catalog.subscriptions.secret(subscription.uuid)
    if encrypted is None:
        return "its secret is lost; its owner has to subscribe again"
    try:
        decrypt_secret(dss.settings, subscription.uuid, encrypted)
    except DssError as error:
        return error.title
    except ValueError as error:
        return f"DSS_SECRETS_KEY_FILE: a line is no key: {error}"
    return ""


def _as_json(dss: Dss, subscription: Subscription) -> dict[str, Any]:
    return {
        "uuid": subscription.uuid,
        "replica": subscription.replica,
        "owner": subscription.owner,
        "language": str(subscription.kind),
        "created": utc_text(subscription.created),
        "paused": is_paused(dss, subscription),
        "signed": subscription.signed,
        "callback": subscription.callback_url,
    }
