"""`dss delete`: hide a bundle for ever."""

import click

from dss import tokens
from dss.commands.consent import agree, dry_run, yes
from dss.commands.context import Context, shared_options
from dss.commands.help import examples
from dss.references import resolve


@click.command(
    epilog=examples(
        "dss delete UUID --reason 'consent withdrawn' --dry-run       # what would be hidden",
        "dss delete UUID --reason 'consent withdrawn'                 # all versions; asks first",
        "dss delete UUID.VERSION --reason 'wrong file' --yes          # one version, in a script",
    )
)
@click.argument("bundle")
@click.option("--version", metavar="VERSION", help="Hide only this version.")
@click.option("--reason", required=True, help="Why; the tombstone keeps it.")
@dry_run
@yes
@shared_options
@click.pass_obj
def delete(
    context: Context, /, bundle: str, version: str | None, reason: str, dry_run: bool, yes: bool
) -> int:
    """Hide a bundle, or one version of it, on the replica, for ever. Admins and owners only.

    A name with a version hides this version, a name without one all of them.
    """
    tokens.check_usable(context.token)
    client = context.client()
    found = resolve(bundle, version, url=client.url)
    result = {"uuid": found.uuid, "version": found.version, "replica": context.replica, "reason": reason}
    if dry_run:
        hidden = [str(row["version"]) for row in client.bundles(found.uuid) if row["uuid"] == found.uuid]
        hidden = [one for one in hidden if found.version in (None, one)] or [client.files(found.fqid).version]
        lines = [f"would hide {found.uuid}.{one} on {context.replica}" for one in hidden]
        context.show({**result, "dry_run": True, "versions": hidden}, "\n".join(lines))
        return 0
    whole = "" if found.version else ", with all of its versions,"
    agree(f"hide bundle {found.fqid}{whole} on {context.replica}", yes=yes)
    client.delete_bundle(found.fqid, reason=reason)
    context.show(result, f"{found.fqid} is hidden")
    return 0
