"""`dss admin queues`: list, dump, feed and purge them."""

from pathlib import Path

import click

from dss.commands.consent import agree, yes
from dss.commands.context import FILE, Context, json_option
from dss.commands.help import examples
from run.admin.commands import options

_QUEUE = click.argument("queue")
_WAIT = click.option(
    "--wait",
    type=click.FloatRange(0.1),
    metavar="SECONDS",
    default=5,
    show_default=True,
    help="End when no further message arrives for this long.",
)
_MAX = click.option(
    "--max",
    "at_most",
    type=click.IntRange(1),
    default=10_000,
    show_default=True,
    help="Look at most at so many messages, which are held meanwhile; all of them are removed.",
)


@click.group()
@json_option
def queues() -> None:
    """Read and empty the queues of the system, while it is stopped.

    A QUEUE is a subscription of Pub/Sub: sync, index, notify, explore, …, or dead-letters.
    """


@queues.command("list", epilog=examples("dss admin queues list"))
@json_option
@click.pass_obj
def list_all(context: Context) -> int:
    """List the queues, and to which functions their messages are pushed."""
    from run.admin.queues import list_queues

    return list_queues(context)


@queues.command(epilog=examples("dss admin queues dump explore explore.jsonl --remove"))
@_QUEUE
@click.argument("file", type=FILE)
@click.option("--remove", is_flag=True, help="Remove each message once it is in the file.")
@options.dry_run
@_MAX
@_WAIT
@json_option
@click.pass_obj
def dump(
    context: Context, /, queue: str, file: Path, remove: bool, dry_run: bool, at_most: int, wait: float
) -> int:
    """Write the messages of a queue to a new file, a line of JSON each, for `feed`."""
    from run.admin import queues as work

    if dry_run:
        return work.count(context, queue, at_most=at_most, seconds=wait, remove=remove)
    return work.dump(context, queue, file, at_most=at_most, seconds=wait, remove=remove)


@queues.command(epilog=examples("dss admin queues feed explore.jsonl --dry-run"))
@click.argument("file", type=FILE)
@options.dry_run
@json_option
@click.pass_obj
def feed(context: Context, file: Path, dry_run: bool) -> int:
    """Publish the messages of a dump again, to the topics of their queues. Leaves the file as it is.

    All queues of a topic get them; to handle one twice is harmless.
    """
    from run.admin.dead_letters import run_feed

    return run_feed(context, file, dry_run=dry_run)


@queues.command(epilog=examples("dss admin queues purge explore --dry-run"))
@_QUEUE
@options.dry_run
@yes
@_MAX
@_WAIT
@json_option
@click.pass_obj
def purge(context: Context, /, queue: str, dry_run: bool, yes: bool, at_most: int, wait: float) -> int:
    """Remove all messages of a queue: what they would have done is not done, until the sweep finds it."""
    from run.admin import queues as work

    if not dry_run:
        agree(f"remove all messages of queue {queue}", yes=yes)
    return work.purge(context, queue, at_most=at_most, seconds=wait, dry_run=dry_run)
