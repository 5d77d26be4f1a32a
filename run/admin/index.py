"""Check and rebuild the index of POST /search, for `dss admin index`."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dss.commands.context import Context
from dss.errors import InvalidInput
from dss.progress import Progress
from run.admin.operator import operator_settings, replicas_named
from run.admin.report import SHOWN, FindingsReport, counts_by_replica, findings_text, table
from shared.errors import IllegalArguments
from shared.identifiers import Fqid
from shared.maintenance.index_check import IndexProblem, IndexTally, as_json, check
from shared.maintenance.index_rebuild import Rebuilt, rebuild_index
from shared.wiring import open_system


def run_check(context: Context, names: Sequence[str], *, report: Path | None, documents: bool) -> int:
    """Check the index of the named replicas (default: all). Return 1 if anything is found, else 0."""
    tally = IndexTally()
    with operator_settings() as settings:
        dss = open_system(settings)
        replicas = replicas_named(dss, names)
        bar = context.progress("index check", unit="bundles", total=dss.catalog.scan.bundle_count())
        with FindingsReport(report, as_json) as lines, bar as progress:
            for finding in check(dss, replicas, documents=documents, tally=tally):
                lines.add(finding)
                progress.reach(tally.versions, f"{tally.findings.total():,} findings")
            progress.reach(tally.versions, f"{tally.findings.total():,} findings")
            seen = {"entries": tally.entries, "unsettled": tally.unsettled}
            summary = {
                "findings": tally.findings.total(),
                "known": tally.versions,
                "documents": documents,
                "replicas": counts_by_replica(
                    [replica.name for replica in replicas], IndexProblem, seen=seen, findings=tally.findings
                ),
            }
            result = lines.finish(summary)
    first = [f"{row.kind} on {row.replica}: {row.fqid}: {row.why}" for row in lines.first]
    end = f"{summary['findings']:,} findings"
    context.show(result, findings_text(summary, IndexProblem, first, seen="entries", end=end))
    return 1 if summary["findings"] else 0


def run_rebuild(context: Context, names: Sequence[str], *, after: str | None) -> int:
    """Rebuild the index of the named replicas (default: all). Return 1 if anything failed, else 0."""
    start = _start(after)
    results: dict[str, dict[str, Any]] = {}
    with operator_settings() as settings:
        dss = open_system(settings)
        replicas = replicas_named(dss, names)
        if start and len(replicas) > 1:
            raise InvalidInput("--after: give one --replica with it")
        total = dss.catalog.scan.bundle_count()
        for replica in replicas:
            tally = IndexTally()
            title = f"index rebuild of {replica.name}"
            with context.progress(title, unit="bundles", total=total) as progress:
                outcomes = rebuild_index(dss, replica, after=start, tally=tally)
                results[replica.name] = _rebuilt(replica.name, outcomes, tally, progress)
    failed = sum(result["failed"] for result in results.values())
    columns = ("known", "right", "written", "removed", "failed")
    rows = [["replica", *columns]]
    rows += [[name, *(f"{result[column]:,}" for column in columns)] for name, result in results.items()]
    lines = table(rows)
    for name, result in results.items():
        lines += [f"failed on {name}: {row['fqid']}: {row['why']}" for row in result["failures"]]
    context.show({"failed": failed, "replicas": results}, "\n".join(lines))
    return 1 if failed else 0


def _start(after: str | None) -> Fqid | None:
    try:
        return Fqid.parse(after, "--after") if after else None
    except IllegalArguments as error:
        raise InvalidInput(error.title) from error


def _rebuilt(name: str, outcomes: Iterable[Rebuilt], tally: IndexTally, progress: Progress) -> dict[str, Any]:
    """Count the outcomes of entries; if interrupted, print how to continue."""
    counts = dict.fromkeys(("right", "written", "removed", "failed"), 0)
    failures: list[dict[str, str]] = []
    last: Fqid | None = None
    try:
        for outcome in outcomes:
            last = outcome.fqid
            counts["failed" if outcome.failed else outcome.done or "right"] += 1
            if outcome.failed and len(failures) < SHOWN:
                failures.append({"fqid": str(outcome.fqid), "why": outcome.failed})
            progress.reach(tally.versions, f"{counts['written']:,} written, {counts['failed']:,} failed")
    except BaseException:
        if last:
            progress.note(f"dss: to continue: dss admin index rebuild --replica {name} --after {last}")
        raise
    progress.reach(tally.versions, f"{counts['written']:,} written, {counts['failed']:,} failed")
    return {"known": tally.versions, **counts, "failures": failures}
