"""`dss admin rebuild`."""

from typing import Any

import click

from dss.commands.context import Context
from dss.commands.help import examples
from run.admin.commands import options
from run.admin.commands.runs import start_run


@click.command(
    epilog=examples(
        "dss admin rebuild --replica gcp --dry-run",
        "dss admin rebuild --replica gcp",
        "dss admin rebuild --replica gcp --remote --shards 16 --wait",
    )
)
@click.option("--replica", metavar="NAME", required=True, help="Rebuild from this replica's bucket.")
@click.option("--dry-run", is_flag=True, help="Change nothing; count what the catalog lacks.")
@options.shards
@options.run_options
@click.pass_obj
def rebuild(context: Context, /, replica: str, dry_run: bool, shards: int | None, **run: Any) -> int:
    """Rebuild the catalog from one bucket. Run it again to continue after an interruption.

    Without --remote: in this process. With --remote: a run in slices, side by side.
    """
    if run["remote"]:
        chosen = {"replica": replica, "shards": shards}
        return start_run(context, "rebuild", chosen, {**run, "dry_run": dry_run})
    options.check_local(run, shards)
    from run.admin.rebuild import run_rebuild

    return run_rebuild(context, replica, dry_run=dry_run)
