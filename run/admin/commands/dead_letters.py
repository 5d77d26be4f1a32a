"""`dss admin dead-letters`: list, replay, dump and feed them."""

from pathlib import Path

import click

from dss.commands.context import FILE, Context, json_option
from dss.commands.help import examples
from dss.errors import InvalidInput
from run.admin.commands import options

_WAIT = click.option(
    "--wait",
    type=click.FloatRange(0.1),
    metavar="SECONDS",
    default=5,
    show_default=True,
    help="Stop when no further letter arrives for this long.",
)


_SUBSCRIPTION = click.option(
    "--subscription", default="", metavar="NAME", help="Only letters of this subscription: index, explore, …"
)
_FILE = click.argument("file", type=FILE)


@click.group("dead-letters")
@json_option
def dead_letters() -> None:
    """List, replay, dump and feed back messages whose last delivery attempt failed."""


@dead_letters.command("list", epilog=examples("dss admin dead-letters list --max 10 --subscription explore"))
@_SUBSCRIPTION
@options.at_most("List", 1000)
@_WAIT
@json_option
@click.pass_obj
def list_letters(context: Context, subscription: str, at_most: int, wait: float) -> int:
    """List dead letters, and keep them."""
    from run.admin.dead_letters import run_list

    return run_list(context, subscription=subscription, at_most=at_most, seconds=wait)


@dead_letters.command(
    epilog=examples(
        "dss admin dead-letters replay --all --dry-run",
        "dss admin dead-letters replay --id 1234567890",
    )
)
@click.option("--id", "ids", metavar="ID", multiple=True, help="Replay this letter; repeatable.")
@options.at_most("Replay", None)
@click.option("--all", "all_", is_flag=True, help="Replay all letters.")
@options.dry_run
@_WAIT
@json_option
@click.pass_obj
def replay(
    context: Context, /, ids: tuple[str, ...], at_most: int | None, all_: bool, dry_run: bool, wait: float
) -> int:
    """Publish dead letters again, unchanged. Exit code 1 if one cannot be replayed or is not found."""
    if not (ids or at_most or all_):
        raise InvalidInput("no dead letters selected; give --id, --max or --all")
    from run.admin.dead_letters import run_replay, show_selected

    work = show_selected if dry_run else run_replay
    return work(context, ids=ids, at_most=at_most, seconds=wait)


@dead_letters.command(epilog=examples("dss admin dead-letters dump explore.jsonl --subscription explore"))
@_FILE
@_SUBSCRIPTION
@options.at_most("Dump", None)
@click.option("--remove", is_flag=True, help="Remove each letter once it is in the file.")
@options.dry_run
@_WAIT
@json_option
@click.pass_obj
def dump(
    context: Context,
    /,
    file: Path,
    subscription: str,
    at_most: int | None,
    remove: bool,
    dry_run: bool,
    wait: float,
) -> int:
    """Write dead letters to a new file, a line of JSON each, for `feed`."""
    from run.admin.dead_letters import count_dump, run_dump

    if dry_run:
        return count_dump(context, subscription=subscription, at_most=at_most, seconds=wait, remove=remove)
    return run_dump(context, file, subscription=subscription, at_most=at_most, seconds=wait, remove=remove)


@dead_letters.command(epilog=examples("dss admin dead-letters feed explore.jsonl --dry-run"))
@_FILE
@options.dry_run
@json_option
@click.pass_obj
def feed(context: Context, file: Path, dry_run: bool) -> int:
    """Publish the messages of a dump again, to the topics that they came from. Leaves the file as it is."""
    from run.admin.dead_letters import run_feed

    return run_feed(context, file, dry_run=dry_run)
