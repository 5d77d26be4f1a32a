"""`dss admin access`: who may read and write a UUID."""

import click

from dss.commands.context import Context, json_option
from dss.commands.help import examples
from run.admin.commands import options

_UUID = click.argument("uuid")
_READER = click.argument("group")


@click.group()
@json_option
def access() -> None:
    """Bind UUIDs of files, bundles and collections to the groups that may read or write them.

    A change is in effect everywhere when the command ends.
    """


@access.command(epilog=examples("dss admin access add UUID lab-a --with-files --dry-run"))
@_UUID
@_READER
@click.option(
    "--with-files/--without-files",
    default=None,
    help="Bind the files of a bundle as the bundle, those of later versions too, or stop doing so.",
)
@options.dry_run
@json_option
@click.pass_obj
def add(context: Context, uuid: str, group: str, with_files: bool | None, dry_run: bool) -> int:
    """Let a group read a UUID, which need not exist yet; from the first one on, others may not.

    `signed-in` stands for all who have signed in, `public` for everybody.
    """
    from run.admin.access import add_reader

    return add_reader(context, uuid, group, with_files=with_files, dry_run=dry_run)


@access.command(epilog=examples("dss admin access remove UUID lab-a"))
@_UUID
@_READER
@click.option(
    "--unbind",
    is_flag=True,
    help="Remove the last group, too: then DSS_DEFAULT_ACCESS says who reads it; a collection, its owner.",
)
@options.dry_run
@json_option
@click.pass_obj
def remove(context: Context, uuid: str, group: str, unbind: bool, dry_run: bool) -> int:
    """Let a group no longer read a UUID. Without --unbind the last group stays."""
    from run.admin.access import remove_reader

    return remove_reader(context, uuid, group, unbind=unbind, dry_run=dry_run)


@access.command(epilog=examples("dss admin access own UUID lab-a", "dss admin access own UUID --nobody"))
@_UUID
@click.argument("group", required=False, default="")
@click.option("--nobody", is_flag=True, help="Take the owner away: all writers may write it.")
@options.dry_run
@json_option
@click.pass_obj
def own(context: Context, uuid: str, group: str, nobody: bool, dry_run: bool) -> int:
    """Let only the members of a group write, change and delete a UUID.

    Not one of a collection: it belongs to the person who made it.
    """
    from run.admin.access import set_owner

    return set_owner(context, uuid, group, nobody=nobody, dry_run=dry_run)


@access.command(epilog=examples("dss admin access get UUID"))
@_UUID
@json_option
@click.pass_obj
def get(context: Context, uuid: str) -> int:
    """Show who may read and write a UUID."""
    from run.admin.access import show_binding

    return show_binding(context, uuid)


@access.command("list", epilog=examples("dss admin access list --group lab-a"))
@click.option("--group", default="", help="Only what this group may read or owns.")
@json_option
@click.pass_obj
def list_bound(context: Context, group: str) -> int:
    """List all UUIDs that are bound or owned, in order."""
    from run.admin.access import list_bindings

    return list_bindings(context, group)
