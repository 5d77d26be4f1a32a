"""`dss admin who`."""

import click

from dss.commands.context import Context, json_option
from dss.commands.help import examples
from run.admin.commands import options


@click.command(epilog=examples("dss admin who UUID --since 7d --max 20"))
@click.argument("uuid")
@click.option(
    "--since", metavar="TIME", help="No older lines: 2026-01-12, 2026-01-12T09:30 (UTC), or 30m, 12h, 7d."
)
@options.at_most("Show", 100, limit=1000)
@click.option("--page", metavar="PAGE", default="", help="Show the page that the one before names.")
@json_option
@click.pass_obj
def who(context: Context, uuid: str, since: str | None, at_most: int, page: str) -> int:
    """Show who read and wrote a file, bundle or collection, and who was refused, the newest first."""
    from run.admin.who import run_who

    return run_who(context, uuid, since=since, at_most=at_most, page=page)
