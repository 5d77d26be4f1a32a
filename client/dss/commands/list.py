"""`dss list`: the bundle versions of a replica."""

from itertools import islice

import click

from dss.commands.context import Context, shared_options
from dss.commands.help import examples


@click.command(
    "list",
    epilog=examples(
        "dss list --limit 10",
        "dss list --prefix 01 --replica aws",
    ),
)
@click.option("--prefix", help="List only UUIDs that begin with this.")
@click.option("--limit", type=click.IntRange(1), help="List at most this many.")
@shared_options
@click.pass_obj
def list_bundles(context: Context, prefix: str | None, limit: int | None) -> int:
    """List the bundle versions that are not hidden, as UUID.VERSION."""
    bundles = islice(context.client().bundles(prefix, per_page=min(500, max(10, limit or 500))), limit)
    if context.json:
        rows = [{"uuid": row["uuid"], "version": row["version"]} for row in bundles]
        context.show({"replica": context.replica, "bundles": rows})
        return 0
    for row in bundles:
        print(f"{row['uuid']}.{row['version']}")
    return 0
