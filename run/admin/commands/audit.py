"""`dss admin audit`."""

from pathlib import Path
from typing import Any

import click

from dss.commands.context import Context
from dss.commands.help import examples
from run.admin.commands import options
from run.admin.commands.runs import start_run


@click.command(
    epilog=examples(
        "dss admin audit --report findings.jsonl",
        "dss admin audit --repair --dry-run        # which findings a repair would try",
        "dss admin audit --remote --wait",
    )
)
@options.replicas
@options.report
@click.option(
    "--repair", is_flag=True, help="Repair every finding that has a proven cause; leave the others."
)
@click.option(
    "--settled-after",
    type=click.FloatRange(0),
    metavar="SECONDS",
    default=900,
    show_default=True,
    help="Skip objects written less than this long ago.",
)
@options.dry_run
@options.shards
@options.run_options
@click.pass_obj
def audit(
    context: Context,
    /,
    replicas: tuple[str, ...],
    report: Path | None,
    repair: bool,
    settled_after: float,
    shards: int | None,
    **run: Any,
) -> int:
    """Compare the catalog with each bucket. Exit code 1 if anything is found, repaired or not.

    Without --remote: one pass on this machine, with the report in a file. With --remote: a run in slices,
    with the report in a bucket.
    """
    if run["remote"]:
        options.check_no_report(report)
        chosen = {"replicas": list(replicas), "repair": repair, "settled_after": int(settled_after)}
        chosen |= {"shards": shards}
        return start_run(context, "audit", chosen, run)
    options.check_local(run, shards)
    from run.admin.audit import run_audit

    how = {"repair": repair, "settled_after": settled_after, "dry_run": run["dry_run"]}
    return run_audit(context, replicas, report=report, **how)
