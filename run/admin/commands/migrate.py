"""`dss admin migrate`."""

import click

from dss.commands.context import Context, json_option
from dss.commands.help import examples
from run.admin.commands import options


@click.command(epilog=examples("dss admin migrate --dry-run", "dss admin migrate"))
@options.dry_run
@json_option
@click.pass_obj
def migrate(context: Context, dry_run: bool) -> int:
    """Migrate the catalog to the schema of this release, while the system serves.

    Run it half an hour after the release is deployed. Processes of older releases refuse to write from then
    on. Safe to interrupt and to repeat.
    """
    from run.admin.migrate import run_migrate

    return run_migrate(context, dry_run=dry_run)
