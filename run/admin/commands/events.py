"""`dss admin events`: publish events, put them into journals, and list them."""

from pathlib import Path

import click

from dss.commands.context import Context, json_option
from dss.commands.help import examples
from run.admin.commands import options


@click.group()
@json_option
def events() -> None:
    """Publish the events of named bundles, write journals, and list events."""


@events.command(epilog=examples("dss admin events record bundles/UUID.VERSION --dry-run"))
@options.named
@options.replicas
@options.dry_run
@json_option
@click.pass_obj
def record(
    context: Context,
    /,
    keys: tuple[str, ...],
    list_: Path | None,
    replicas: tuple[str, ...],
    dry_run: bool,
) -> int:
    """Publish the events of bundles and tombstones that are not published yet, from this machine.

    A KEY is bundles/UUID.VERSION, bundles/UUID.VERSION.dead or bundles/UUID.dead. Exit code 1 if a replica
    lacks one, or a back end fails. To notify a subscriber of an event again, replay its subscription.
    """
    from run.admin import events as work

    return work.record(context, keys, list_, names=replicas, dry_run=dry_run)


@events.command(epilog=examples("dss admin events journal --replica gcp --dry-run"))
@options.replicas
@options.dry_run
@json_option
@click.pass_obj
def journal(context: Context, replicas: tuple[str, ...], dry_run: bool) -> int:
    """Put events into journals, as the function compact does: those older than DSS_JOURNAL_SECONDS."""
    from run.admin import events as work

    return work.journal(context, replicas, dry_run=dry_run)


@events.command("list", epilog=examples("dss admin events list --since 2026-01-12T000000.000000Z"))
@options.replicas
@click.option("--since", default="", metavar="TIME", help="From this time on; of the form of a version.")
@click.option("--until", default="", metavar="TIME", help="Before this time.")
@options.at_most("List", 100)
@json_option
@click.pass_obj
def list_all(context: Context, replicas: tuple[str, ...], since: str, until: str, at_most: int) -> int:
    """List the events of each replica in order of time, with any readers. One read each."""
    from run.admin import events as work

    return work.list_events(context, replicas, since=since, until=until, at_most=at_most)
