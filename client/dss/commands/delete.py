"""`dss delete`: hide a bundle for ever."""

import click

from dss import tokens
from dss.commands.context import Context, shared_options


@click.command()
@click.argument("uuid")
@click.option("--version", metavar="VERSION", help="Hide only this version.")
@click.option("--reason", required=True, help="Why; the tombstone keeps it.")
@shared_options
@click.pass_obj
def delete(context: Context, uuid: str, version: str | None, reason: str) -> int:
    """Hide a bundle, or one version of it, on the replica, for ever. Admins only."""
    tokens.check_usable(context.token)
    context.client().delete_bundle(uuid, version, reason=reason)
    name = f"{uuid}.{version}" if version else uuid
    result = {"uuid": uuid, "version": version, "replica": context.replica, "reason": reason}
    context.show(result, f"{name} is hidden")
    return 0
