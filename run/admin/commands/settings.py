"""`dss admin settings`."""

from pathlib import Path

import click

from dss.commands.context import FILE, Context, json_option
from dss.commands.help import examples
from dss.errors import InvalidInput


@click.command(
    epilog=examples("dss admin settings dss-api", "dss admin settings --plan plan.json --changed --json")
)
@click.argument("services", metavar="[SERVICE]...", nargs=-1)
@click.option(
    "--plan",
    type=FILE,
    metavar="FILE",
    help="Show also what this plan would make of them: what `terraform show -json PLAN` has printed.",
)
@click.option("--changed", is_flag=True, help="Only those that the plan changes.")
@json_option
@click.pass_obj
def settings(context: Context, services: tuple[str, ...], plan: Path | None, changed: bool) -> int:
    """Show the settings of the API and the functions as they are deployed, and as they would be.

    Secrets are not shown. Exit code 1 if this release would not start with those of a service, or does not
    know one of them. To change them, apply Terraform.
    """
    from run.admin.deployed import show_settings

    if changed and not plan:
        raise InvalidInput("--changed: only with --plan")
    return show_settings(context, services, plan, changed=changed)
