"""`dss admin dead-letters`: list and replay them."""

import click

from dss.commands.context import Context, json_option
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


@click.group("dead-letters")
@json_option
def dead_letters() -> None:
    """List and replay messages whose last delivery attempt failed."""


@dead_letters.command("list", epilog=examples("dss admin dead-letters list --max 10"))
@click.option(
    "--max",
    "at_most",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="List at most this many.",
)
@_WAIT
@json_option
@click.pass_obj
def list_letters(context: Context, at_most: int, wait: float) -> int:
    """List dead letters, and keep them."""
    from run.admin.dead_letters import run_list

    return run_list(context, at_most=at_most, seconds=wait)


@dead_letters.command(
    epilog=examples(
        "dss admin dead-letters replay --all --dry-run",
        "dss admin dead-letters replay --id 1234567890",
    )
)
@click.option("--id", "ids", metavar="ID", multiple=True, help="Replay this letter; repeatable.")
@click.option("--max", "at_most", type=click.IntRange(1), help="Replay at most this many.")
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
