"""`dss admin group`: who is a member of which group."""

import click

from dss.commands.context import Context, json_option
from dss.commands.help import examples
from run.admin.commands import options

_GROUP = click.argument("group")
_MEMBERS = click.argument("members", metavar="MEMBER...", nargs=-1, required=True)


@click.group()
@json_option
def group() -> None:
    """Keep the members of groups, beside those whose tokens name the group.

    A member is an e-mail address, also that of a service account, or `@example.org` for all addresses of
    exactly this domain. A change counts in every process within five seconds.
    """


@group.command(epilog=examples("dss admin group add lab-a ada@example.org @lab.example.org"))
@_GROUP
@_MEMBERS
@options.dry_run
@json_option
@click.pass_obj
def add(context: Context, group: str, members: tuple[str, ...], dry_run: bool) -> int:
    """Add members to a group, which need not exist yet."""
    from run.admin.group import change_members

    return change_members(context, group, members, add=True, dry_run=dry_run)


@group.command(epilog=examples("dss admin group remove lab-a ada@example.org --dry-run"))
@_GROUP
@_MEMBERS
@options.dry_run
@json_option
@click.pass_obj
def remove(context: Context, group: str, members: tuple[str, ...], dry_run: bool) -> int:
    """Remove members from a group. Exit code 0 also if they were none."""
    from run.admin.group import change_members

    return change_members(context, group, members, add=False, dry_run=dry_run)


@group.command("list", epilog=examples("dss admin group list --member ada@example.org"))
@click.argument("group", required=False, default="")
@click.option("--member", default="", help="Only groups with this member: an e-mail address or @domain.")
@json_option
@click.pass_obj
def list_members(context: Context, group: str, member: str) -> int:
    """List the members of a group, or of all."""
    from run.admin.group import list_groups

    return list_groups(context, group, member)
