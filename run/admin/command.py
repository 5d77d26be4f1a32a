"""`dss admin`: what operators do, on catalog, buckets and Pub/Sub directly, with their own credentials.

What the commands do is in `run.admin.operating`, which needs the SDKs of the clouds and is loaded when used.
"""

from pathlib import Path
from typing import Any

import click

from dss.commands.context import Context, json_option
from dss.errors import Refused
from run.admin.run_commands import begin, fill_cache, resync, runs, started, tombstones

_FILE = click.Path(dir_okay=False, path_type=Path)


def _check_alone(how: dict[str, Any]) -> None:
    if how["wait"] or how["page"]:
        raise Refused("--wait, --page: only with --remote")


@click.group()
@json_option
def admin() -> None:
    """For operators: settings come from the environment, as the services have them."""


@admin.command()
@click.option("--replica", "replicas", metavar="NAME", multiple=True, help="Only this one; may be repeated.")
@click.option("--report", type=_FILE, metavar="FILE", help="Write every finding to it, as lines of JSON.")
@click.option("--repair", is_flag=True, help="Put right what can be explained; leave everything else.")
@click.option(
    "--settled-after",
    type=click.FloatRange(0),
    metavar="SECONDS",
    default=900,
    show_default=True,
    help="Objects written less long ago than this are not judged.",
)
@started
@click.pass_obj
def audit(
    context: Context,
    replicas: tuple[str, ...],
    report: Path | None,
    repair: bool,
    settled_after: float,
    remote: bool,
    wait: bool,
    page: int | None,
) -> int:
    """Compare the catalog with each bucket. Exit code 1 where anything was found, repaired or not.

    Here it is one pass, with its report in a file. With --remote it is a run: in slices, in a bucket.
    """
    if remote:
        if report:
            raise Refused("--report: with --remote the report is in a bucket")
        options = {"replicas": list(replicas), "repair": repair, "settled_after": int(settled_after)}
        return begin(context, "audit", options, {"remote": remote, "wait": wait, "page": page})
    _check_alone({"wait": wait, "page": page})
    from run.admin.operating import run_audit

    return run_audit(context, replicas, report=report, repair=repair, settled_after=settled_after)


@admin.command()
@click.option("--replica", metavar="NAME", required=True, help="Whose bucket to read.")
@click.option("--dry-run", is_flag=True, help="Change nothing; count what the catalog lacks.")
@json_option
@click.pass_obj
def rebuild(context: Context, replica: str, dry_run: bool) -> int:
    """Make the catalog anew from one bucket. Run it again after an interruption: it does the rest."""
    from run.admin.operating import run_rebuild

    return run_rebuild(context, replica, dry_run=dry_run)


@admin.command()
@click.option(
    "--seconds",
    type=click.FloatRange(0),
    default=10,
    show_default=True,
    help="How long to measure the rate for; 0 leaves it out.",
)
@json_option
@click.pass_obj
def replication(context: Context, seconds: float) -> int:
    """Show what each replica lacks, since when, and how many objects it gains a minute."""
    from run.admin.operating import run_replication

    return run_replication(context, seconds)


@admin.group()
@json_option
def index() -> None:
    """The index behind POST /search."""


_REPLICAS = click.option(
    "--replica", "replicas", metavar="NAME", multiple=True, help="Only this one; may be repeated."
)


@index.command()
@_REPLICAS
@click.option("--report", type=_FILE, metavar="FILE", help="Write every finding to it, as lines of JSON.")
@click.option(
    "--names-only",
    is_flag=True,
    help="Read no documents: what is stale is not found, and it takes less time.",
)
@started
@click.pass_obj
def check(
    context: Context, /, replicas: tuple[str, ...], report: Path | None, names_only: bool, **how: Any
) -> int:
    """Compare the index with the catalog, and change nothing. Exit code 1 where anything was found.

    Here it is one pass, with its report in a file. With --remote it is a run: in slices, in a bucket.
    """
    if how["remote"]:
        if report:
            raise Refused("--report: with --remote the report is in a bucket")
        return begin(context, "index-check", {"replicas": list(replicas), "names_only": names_only}, how)
    _check_alone(how)
    from run.admin.indexing import run_check

    return run_check(context, replicas, report=report, documents=not names_only)


@index.command("rebuild")
@_REPLICAS
@click.option("--after", metavar="FQID", help="Begin behind this bundle version; with one --replica.")
@click.option("--confirmation", metavar="RUN", help="With --remote: the run of the check that it goes by.")
@started
@click.pass_obj
def rebuild_index(
    context: Context,
    /,
    replicas: tuple[str, ...],
    after: str | None,
    confirmation: str | None,
    **how: Any,
) -> int:
    """Make the index anew, while it serves. Run it again after an interruption: it does the rest.

    With --remote it is a run, which a check that was one has to confirm.
    """
    if how["remote"]:
        if after:
            raise Refused("--after: a run that was stopped is resumed")
        options = {"replicas": list(replicas), "confirmation": confirmation}
        return begin(context, "index-rebuild", options, how)
    if confirmation:
        raise Refused("--confirmation: only with --remote")
    _check_alone(how)
    from run.admin.indexing import run_rebuild

    return run_rebuild(context, replicas, after=after)


for command in (resync, fill_cache, tombstones, runs):
    admin.add_command(command)


@admin.group("dead-letters")
@json_option
def dead_letters() -> None:
    """Messages that no attempt could handle."""


_WAIT = click.option(
    "--wait",
    type=click.FloatRange(0.1),
    metavar="SECONDS",
    default=5,
    show_default=True,
    help="There are no more where none comes for so long.",
)


@dead_letters.command("list")
@click.option("--max", "at_most", type=click.IntRange(1), default=1000, show_default=True, help="At most.")
@_WAIT
@json_option
@click.pass_obj
def list_letters(context: Context, at_most: int, wait: float) -> int:
    """Show dead letters, and leave them where they are."""
    from run.admin.dead_letters import run_list

    return run_list(context, at_most=at_most, seconds=wait)


@dead_letters.command()
@click.option("--id", "ids", metavar="ID", multiple=True, help="Only this one; may be repeated.")
@click.option("--max", "at_most", type=click.IntRange(1), help="Only so many.")
@click.option("--all", "all_", is_flag=True, help="All of them.")
@_WAIT
@json_option
@click.pass_obj
def replay(context: Context, ids: tuple[str, ...], at_most: int | None, all_: bool, wait: float) -> int:
    """Publish dead letters again, as they were. Exit code 1 where one could not be, or was not found."""
    if not (ids or at_most or all_):
        raise Refused("which of them? --id, --max or --all")
    from run.admin.dead_letters import run_replay

    return run_replay(context, ids=ids, at_most=at_most, seconds=wait)
