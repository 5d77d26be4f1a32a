"""`dss admin resync`, `fill-cache`, `tombstones` and `runs`: what is done to the whole store, slice by slice.

With `--remote` the workflow does it, else this process. What the commands do is in `run.admin.running`.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from dss.commands.context import Context, json_option

Command = TypeVar("Command", bound=Callable[..., Any])

_REMOTE = click.option("--remote", is_flag=True, help="Have the workflow do it, and not this machine.")
_WAIT = click.option("--wait", is_flag=True, help="With --remote: return when it has ended.")
_PAGE = click.option("--page", type=click.IntRange(1), help="How many items a slice takes on.")
_REPLICAS = click.option(
    "--replica", "replicas", metavar="NAME", multiple=True, help="Only this one; may be repeated."
)


def started(command: Command) -> Command:
    """Give a command the options of everything that is run in slices."""
    return json_option(_REMOTE(_WAIT(_PAGE(command))))


def begin(context: Context, kind: str, options: dict[str, Any], how: dict[str, Any]) -> int:
    """Have a run made of a kind; options that are not given are left to it. Returns the exit code.

    `how` has the values of the options of `started`.
    """
    from run.admin.running import run_argument

    given = {
        name: value for name, value in {**options, "page": how["page"]}.items() if value not in (None, "")
    }
    return run_argument(context, {"kind": kind, **given}, remote=how["remote"], wait=how["wait"])


@click.command()
@click.option("--list", "list_", metavar="URL", help="gs:// URL of an object with a key a line.")
@click.option("--prefix", metavar="TEXT", help="Of the keys: files/, bundles/0a, …")
@click.option("--only-missing", is_flag=True, help="Leave out what every replica has.")
@_REPLICAS
@started
@click.pass_obj
def resync(
    context: Context,
    /,
    list_: str | None,
    prefix: str | None,
    only_missing: bool,
    replicas: tuple[str, ...],
    **how: Any,
) -> int:
    """Publish object events again: replicas gain what they lack, and whoever listens is told."""
    options = {"list": list_, "prefix": prefix, "only_missing": only_missing, "replicas": list(replicas)}
    return begin(context, "resync", options, how)


@click.command("fill-cache")
@_REPLICAS
@started
@click.pass_obj
def fill_cache(context: Context, /, replicas: tuple[str, ...], **how: Any) -> int:
    """Put what CHECKOUT_CACHE_CRITERIA keeps for good into the checkout buckets."""
    return begin(context, "fill-cache", {"replicas": list(replicas)}, how)


@click.command()
@click.option("--list", "list_", metavar="URL", required=True, help="gs:// URL: a UUID or FQID a line.")
@click.option("--reason", required=True, help="Why they are hidden; it is part of each tombstone.")
@click.option("--email", required=True, help="The admin who hides them.")
@click.option("--confirmation", metavar="CODE", help="What the preview gave; without it this is the preview.")
@started
@click.pass_obj
def tombstones(
    context: Context, /, list_: str, reason: str, email: str, confirmation: str | None, **how: Any
) -> int:
    """Hide the bundles of a list for ever: first a preview, then, with its code, the deed."""
    options = {"list": list_, "reason": reason, "email": email, "confirmation": confirmation}
    return begin(context, "tombstones", options, how)


@click.group()
@json_option
def runs() -> None:
    """What has been run, and how far it has come."""


@runs.command("list")
@click.option(
    "--max", "at_most", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most."
)
@json_option
@click.pass_obj
def list_runs(context: Context, at_most: int) -> int:
    """Show runs, the newest first."""
    from run.admin.running import show_runs

    return show_runs(context, at_most)


@runs.command()
@click.argument("run")
@click.option("--wait", is_flag=True, help="Return when it has ended.")
@json_option
@click.pass_obj
def show(context: Context, run: str, wait: bool) -> int:
    """Show a run. Exit code 1 where it failed, or found or refused something."""
    from run.admin.running import show_run

    return show_run(context, run, wait=wait)


@runs.command()
@click.argument("run")
@_REMOTE
@_WAIT
@json_option
@click.pass_obj
def resume(context: Context, run: str, remote: bool, wait: bool) -> int:
    """Go on with a run that was stopped, or failed, from where it was."""
    from run.admin.running import run_argument

    return run_argument(context, {"resume": run}, remote=remote, wait=wait)
