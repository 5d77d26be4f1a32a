"""`dss admin rebuild`."""

import click

from dss.commands.context import Context, json_option
from dss.commands.help import examples


@click.command(
    epilog=examples(
        "dss admin rebuild --replica gcp --dry-run",
        "dss admin rebuild --replica gcp",
    )
)
@click.option("--replica", metavar="NAME", required=True, help="Rebuild from this replica's bucket.")
@click.option("--dry-run", is_flag=True, help="Change nothing; count what the catalog lacks.")
@json_option
@click.pass_obj
def rebuild(context: Context, replica: str, dry_run: bool) -> int:
    """Rebuild the catalog from one bucket. Run it again to continue after an interruption."""
    from run.admin.rebuild import run_rebuild

    return run_rebuild(context, replica, dry_run=dry_run)
