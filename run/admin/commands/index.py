"""`dss admin index`: check and rebuild the index of POST /search."""

from pathlib import Path
from typing import Any

import click

from dss.commands.context import Context, json_option
from dss.commands.help import examples
from dss.errors import InvalidInput
from run.admin.commands import options
from run.admin.commands.runs import start_run


@click.group()
@json_option
def index() -> None:
    """Check and rebuild the index of POST /search."""


@index.command(epilog=examples("dss admin index check --names-only"))
@options.replicas
@options.report
@click.option("--names-only", is_flag=True, help="Do not read documents: faster, but finds no stale entries.")
@options.run_options
@click.pass_obj
def check(
    context: Context, /, replicas: tuple[str, ...], report: Path | None, names_only: bool, **run: Any
) -> int:
    """Compare the index with the catalog, and change nothing. Exit code 1 if anything is found.

    Without --remote: one pass on this machine, with the report in a file. With --remote: a run in slices,
    with the report in a bucket.
    """
    if run["remote"]:
        options.check_no_report(report)
        chosen = {"replicas": list(replicas), "names_only": names_only}
        return start_run(context, "index-check", chosen, run)
    options.check_local(run)
    from run.admin.index import run_check

    return run_check(context, replicas, report=report, documents=not names_only)


@index.command(
    epilog=examples(
        "dss admin index rebuild --dry-run              # what a check finds",
        "dss admin index rebuild --replica gcp",
        "dss admin index rebuild --remote --confirmation RUN",
    )
)
@options.replicas
@click.option("--after", metavar="FQID", help="Start after this bundle version; with one --replica.")
@click.option("--confirmation", metavar="RUN", help="With --remote: the index-check run to act on.")
@options.dry_run
@options.run_options
@click.pass_obj
def rebuild(
    context: Context,
    /,
    replicas: tuple[str, ...],
    after: str | None,
    confirmation: str | None,
    **run: Any,
) -> int:
    """Rebuild the index while it serves. Run it again to continue after an interruption.

    With --remote it is a run, which an index-check run has to confirm.
    """
    if run["dry_run"]:
        return _would_rebuild(context, replicas, run)
    if run["remote"]:
        if after:
            raise InvalidInput(
                "--after: not with --remote; a stopped run is resumed by `dss admin runs resume`"
            )
        return start_run(
            context, "index-rebuild", {"replicas": list(replicas), "confirmation": confirmation}, run
        )
    if confirmation:
        raise InvalidInput("--confirmation: only with --remote")
    options.check_local(run)
    from run.admin.index import run_rebuild

    return run_rebuild(context, replicas, after=after)


def _would_rebuild(context: Context, replicas: tuple[str, ...], run: dict[str, Any]) -> int:
    """Show what a rebuild would correct: what a check finds."""
    if run["remote"]:
        raise InvalidInput("--dry-run: not with --remote; `dss admin index check --remote` is one")
    from run.admin.index import run_check

    return run_check(context, replicas, report=None, documents=True)
