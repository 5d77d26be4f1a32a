"""Options that several commands of `dss admin` have."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from dss.commands.context import FILE, json_option
from dss.errors import InvalidInput

Command = TypeVar("Command", bound=Callable[..., Any])

replicas = click.option(
    "--replica", "replicas", metavar="NAME", multiple=True, help="Only this replica; repeatable."
)
report = click.option(
    "--report", type=FILE, metavar="FILE", help="Write every finding to this file, one JSON object a line."
)
remote = click.option("--remote", is_flag=True, help="Have the workflow do it, not this machine.")
wait = click.option("--wait", is_flag=True, help="With --remote: return when the run has ended.")
dry_run = click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
shards = click.option(
    "--shards",
    type=click.IntRange(1, 20),
    metavar="N",
    help="With --remote: work on so many key ranges side by side.",
)
page = click.option("--page", type=click.IntRange(1), help="Items for each slice of the run.")


# `-` is standard input.
_LIST = click.option(
    "--list",
    "list_",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="A file with a key a line, besides those given; - is standard input.",
)


def named(command: Command) -> Command:
    """Give a command `keys` and `list_`: keys of objects as arguments, and from a list."""
    return click.argument("keys", metavar="[KEY]...", nargs=-1)(_LIST(command))


def at_most(verb: str, default: int | None, *, limit: int | None = None) -> Callable[[Command], Command]:
    """Return the option --max, the argument `at_most` of a command: how much it does, at the most `limit`."""
    return click.option(
        "--max",
        "at_most",
        type=click.IntRange(1, limit),
        default=default,
        show_default=default is not None,
        help=f"{verb} at most this many.",
    )


def wait_until(end: str) -> Callable[[Command], Command]:
    """Return the option --wait SECONDS, how long a command waits for an end; by default not at all."""
    return click.option(
        "--wait",
        type=click.FloatRange(0),
        default=0,
        metavar="SECONDS",
        help=f"Return when {end}, at the latest after so long.",
    )


def run_options(command: Command) -> Command:
    """Give a command the options of everything that may be a run: --remote, --wait, --page, --json."""
    return json_option(remote(wait(page(command))))


def check_local(options: dict[str, Any], shards: int | None = None) -> None:
    """Raise InvalidInput if options of a run are given without --remote."""
    if shards:
        raise InvalidInput("--shards: only with --remote")
    if options["wait"] or options["page"]:
        raise InvalidInput("--wait, --page: only with --remote")


def check_no_report(report: Path | None) -> None:
    """Raise InvalidInput if a report file is given for a run."""
    if report:
        raise InvalidInput("--report: with --remote the report is in a bucket")
