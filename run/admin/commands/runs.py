"""`dss admin resync`, `fill-cache`, `tombstones` and `runs`: work on the whole store, in slices.

With `--remote` the workflow does it, else this process.
"""

from typing import Any

import click

from dss.commands.context import Context, json_option
from dss.commands.help import examples
from run.admin.commands import options


def start_run(context: Context, kind: str, chosen: dict[str, Any], run: dict[str, Any]) -> int:
    """Start a run of a kind, and return the exit code; options that are not given get the kind's defaults.

    `run` has the values of `options.run_options`, and perhaps of `options.dry_run`.
    """
    from run.admin.runs import run_argument, show_dry_run

    argument = {
        name: value for name, value in {**chosen, "page": run["page"]}.items() if value not in (None, "")
    }
    argument = {"kind": kind, **argument}
    if run.get("dry_run"):
        return show_dry_run(context, argument, remote=run["remote"])
    return run_argument(context, argument, remote=run["remote"], wait=run["wait"])


@click.command(
    epilog=examples(
        "dss admin resync --prefix files/ --only-missing --dry-run",
        "dss admin resync --list gs://my-bucket/keys.txt --remote --wait",
    )
)
@click.option("--list", "list_", metavar="URL", help="gs:// URL of an object with one key a line.")
@click.option("--prefix", metavar="TEXT", help="Prefix of the keys: files/, bundles/0a, …")
@click.option("--only-missing", is_flag=True, help="Leave out objects that every replica has.")
@options.replicas
@options.dry_run
@options.run_options
@click.pass_obj
def resync(
    context: Context,
    /,
    list_: str | None,
    prefix: str | None,
    only_missing: bool,
    replicas: tuple[str, ...],
    **run: Any,
) -> int:
    """Publish object events again: replicas get what they lack, subscribers what they missed."""
    chosen = {"list": list_, "prefix": prefix, "only_missing": only_missing, "replicas": list(replicas)}
    return start_run(context, "resync", chosen, run)


@click.command(
    "fill-cache",
    epilog=examples("dss admin fill-cache --replica gcp --dry-run", "dss admin fill-cache --remote"),
)
@options.replicas
@options.dry_run
@options.run_options
@click.pass_obj
def fill_cache(context: Context, /, replicas: tuple[str, ...], **run: Any) -> int:
    """Copy the files that match CHECKOUT_CACHE_CRITERIA to the checkout buckets, for good."""
    return start_run(context, "fill-cache", {"replicas": list(replicas)}, run)


@click.command(
    epilog=examples(
        "dss admin tombstones --list gs://b/list --reason withdrawn --email a@b.org",
        "dss admin tombstones --list gs://b/list --reason withdrawn --email a@b.org --confirmation CODE",
    )
)
@click.option(
    "--list", "list_", metavar="URL", required=True, help="gs:// URL of an object with a UUID or FQID a line."
)
@click.option("--reason", required=True, help="Why; each tombstone keeps it.")
@click.option("--email", required=True, help="The admin who hides them.")
@click.option("--confirmation", metavar="CODE", help="The code of the preview; without it, make a preview.")
@options.dry_run
@options.run_options
@click.pass_obj
def tombstones(
    context: Context, /, list_: str, reason: str, email: str, confirmation: str | None, **run: Any
) -> int:
    """Hide a list of bundles for ever: first make a preview, then confirm it with its code.

    The code stands for --yes: nothing is asked. A preview writes a report; --dry-run does not even that.
    """
    chosen = {"list": list_, "reason": reason, "email": email, "confirmation": confirmation}
    return start_run(context, "tombstones", chosen, run)


@click.group()
@json_option
def runs() -> None:
    """List, show and resume runs."""


@runs.command("list", epilog=examples("dss admin runs list --max 5"))
@options.at_most("List", 20, limit=1000)
@json_option
@click.pass_obj
def list_runs(context: Context, at_most: int) -> int:
    """List runs, the newest first."""
    from run.admin.runs import show_runs

    return show_runs(context, at_most)


@runs.command(epilog=examples("dss admin runs show RUN --wait"))
@click.argument("run")
@click.option("--wait", is_flag=True, help="Return when the run has ended.")
@json_option
@click.pass_obj
def show(context: Context, run: str, wait: bool) -> int:
    """Show a run. Exit code 1 if it failed, or has findings, refusals or failures."""
    from run.admin.runs import show_run

    return show_run(context, run, wait=wait)


@runs.command(epilog=examples("dss admin runs resume RUN --dry-run", "dss admin runs resume RUN --remote"))
@click.argument("run")
@options.dry_run
@options.remote
@options.wait
@json_option
@click.pass_obj
def resume(context: Context, run: str, dry_run: bool, remote: bool, wait: bool) -> int:
    """Continue a run that was stopped or failed, from its cursor."""
    from run.admin.runs import run_argument, show_resumption

    if dry_run:
        return show_resumption(context, run)
    return run_argument(context, {"resume": run}, remote=remote, wait=wait)
