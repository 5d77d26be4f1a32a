"""`dss admin checkout`: check named bundles and files out, look at the copies, and remove them."""

from pathlib import Path

import click

from dss.commands.consent import agree, yes
from dss.commands.context import Context, json_option
from dss.commands.help import examples
from run.admin.commands import options


@click.group()
@json_option
def checkout() -> None:
    """Add, verify and remove the copies of bundles and files in the shared checkout buckets.

    A KEY is bundles/UUID.VERSION or files/UUID.VERSION.
    """


@checkout.command(epilog=examples("dss admin checkout add bundles/UUID.VERSION --wait 600"))
@options.named
@options.replicas
@options.wait_until("all have ended")
@options.dry_run
@json_option
@click.pass_obj
def add(
    context: Context,
    /,
    keys: tuple[str, ...],
    list_: Path | None,
    replicas: tuple[str, ...],
    wait: float,
    dry_run: bool,
) -> int:
    """Have the workflow check bundles and files out, as users do. Exit code 1 if one is refused or fails."""
    from run.admin import checkouts

    return checkouts.add(context, keys, list_, names=replicas, wait=wait, dry_run=dry_run)


@checkout.command(epilog=examples("dss admin checkout verify --list keys.txt --replica aws"))
@options.named
@options.replicas
@options.report
@json_option
@click.pass_obj
def verify(
    context: Context,
    /,
    keys: tuple[str, ...],
    list_: Path | None,
    replicas: tuple[str, ...],
    report: Path | None,
) -> int:
    """Say which copies are missing, damaged, or expire too soon for users. Exit code 1 if any is."""
    from run.admin import checkouts

    return checkouts.verify(context, keys, list_, names=replicas, report=report)


@checkout.command(epilog=examples("dss admin checkout remove bundles/UUID.VERSION --dry-run"))
@options.named
@options.replicas
@options.dry_run
@yes
@json_option
@click.pass_obj
def remove(
    context: Context,
    /,
    keys: tuple[str, ...],
    list_: Path | None,
    replicas: tuple[str, ...],
    dry_run: bool,
    yes: bool,
) -> int:
    """Remove the copies of bundles and files; the next checkout makes them again."""
    from run.admin import checkouts

    if not dry_run:
        agree("remove these copies", yes=yes)
    return checkouts.remove(context, keys, list_, names=replicas, dry_run=dry_run)
