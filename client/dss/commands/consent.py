"""Options of commands that write: `--dry-run`, and `--yes` for those that destroy."""

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from dss.errors import OperationFailed

Command = TypeVar("Command", bound=Callable[..., Any])


def dry_run(command: Command) -> Command:
    """Give a command `--dry-run`."""
    text = "Say what would be done, and write nothing."
    return click.option("--dry-run", is_flag=True, help=text)(command)


def yes(command: Command) -> Command:
    """Give a command `--yes`, for `agree`."""
    text = "Do it without asking; needed if there is no terminal to ask on."
    return click.option("--yes", "-y", is_flag=True, help=text)(command)


def agree(what: str, *, yes: bool) -> None:
    """Return if the user wants `what` ("hide …"): asks on a terminal unless `yes`.

    Raises click.UsageError if there is no terminal to ask on, and OperationFailed if the user says no.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError(f"this would {what}, for ever; give --yes to do so without being asked")
    if not click.confirm(f"{what[:1].upper()}{what[1:]}, for ever?", err=True):
        raise OperationFailed("nothing was done")
