"""`dss admin replication`."""

import click

from dss.commands.context import Context, json_option
from dss.commands.help import examples


@click.command(epilog=examples("dss admin replication --seconds 0"))
@click.option(
    "--seconds",
    type=click.FloatRange(0),
    default=10,
    show_default=True,
    help="Measure the rate for this long; 0 leaves it out.",
)
@json_option
@click.pass_obj
def replication(context: Context, seconds: float) -> int:
    """Show what each replica lacks, for how long, and how many objects it gains a minute."""
    from run.admin.replication import run_replication

    return run_replication(context, seconds)
