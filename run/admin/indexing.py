"""Check and rebuild of the index, as `dss admin index` runs and reports them."""

import contextlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

from dss.commands.context import Context
from dss.errors import Refused
from dss.progress import Counter
from run.admin.operating import operated, table
from shared.errors import IllegalArguments
from shared.identifiers import Fqid
from shared.maintenance.index_check import IndexFinding, IndexProblem, IndexTally, as_json, check
from shared.maintenance.index_rebuild import Rebuilt, rebuild_index
from shared.replicas import Replica
from shared.wiring import open_system

# Findings and failures that are shown; reports and `--json` have all findings and as many failures.
_SHOWN = 20


def run_check(context: Context, names: Sequence[str], *, report: Path | None, documents: bool) -> int:
    """Check the index of replicas (all, unless named); return the exit code: 1 where anything is wrong."""
    tally = IndexTally()
    with operated() as settings, contextlib.ExitStack() as stack:
        dss = open_system(settings)
        replicas = [dss.replicas.named(name) for name in names] or list(dss.replicas)
        lines = stack.enter_context(report.open("w")) if report else None
        counter = stack.enter_context(context.counter("checking the index", dss.catalog.scan.bundle_count()))
        found = check(dss, replicas, documents=documents, tally=tally)
        shown = _write(found, tally, lines, counter)
        summary = _summary(replicas, tally, documents=documents)
        if lines:
            print(json.dumps({"summary": summary}), file=lines)
    context.show({**summary, "first": [as_json(finding) for finding in shown]}, _text(summary, shown))
    return 1 if summary["findings"] else 0


def _write(
    findings: Iterable[IndexFinding], tally: IndexTally, lines: TextIO | None, counter: Counter
) -> list[IndexFinding]:
    shown: list[IndexFinding] = []
    for finding in findings:
        counter.reach(tally.versions, f"{tally.findings.total():,} findings")
        if len(shown) < _SHOWN:
            shown.append(finding)
        if lines:
            print(json.dumps(as_json(finding)), file=lines, flush=True)
    counter.reach(tally.versions, f"{tally.findings.total():,} findings")
    return shown


def _summary(replicas: Sequence[Replica], tally: IndexTally, *, documents: bool) -> dict[str, Any]:
    return {
        "findings": tally.findings.total(),
        "known": tally.versions,
        "documents": documents,
        "replicas": {
            replica.name: {
                "entries": tally.entries[replica.name],
                "unsettled": tally.unsettled[replica.name],
                **{str(kind): tally.findings[replica.name, kind] for kind in IndexProblem},
            }
            for replica in replicas
        },
    }


def _text(summary: dict[str, Any], shown: Sequence[IndexFinding]) -> str:
    columns = ["entries", *map(str, IndexProblem), "unsettled"]
    cells = [["replica", *columns]]
    for name, counts in summary["replicas"].items():
        cells.append([name, *(f"{counts[column]:,}" for column in columns)])
    lines = table(cells)
    lines += [f"{one.kind} on {one.replica}: {one.fqid}: {one.why}" for one in shown]
    if summary["findings"] > len(shown):
        lines.append(f"… and {summary['findings'] - len(shown):,} more (--report lists all)")
    lines.append(f"{summary['findings']:,} findings")
    return "\n".join(lines)


def run_rebuild(context: Context, names: Sequence[str], *, after: str | None) -> int:
    """Rebuild the index of replicas (all, unless named); return the exit code: 1 where anything failed."""
    start = _start(after)
    results: dict[str, dict[str, Any]] = {}
    with operated() as settings:
        dss = open_system(settings)
        replicas = [dss.replicas.named(name) for name in names] or list(dss.replicas)
        if start and len(replicas) > 1:
            raise Refused("--after goes with one --replica")
        for replica in replicas:
            tally = IndexTally()
            with context.counter(
                f"rebuilding the index of {replica.name}", dss.catalog.scan.bundle_count()
            ) as counter:
                outcomes = rebuild_index(dss, replica, after=start, tally=tally)
                results[replica.name] = _rebuilt(replica.name, outcomes, tally, counter)
    failed = sum(result["failed"] for result in results.values())
    columns = ("known", "right", "written", "removed", "failed")
    cells = [["replica", *columns]]
    cells += [[name, *(f"{result[column]:,}" for column in columns)] for name, result in results.items()]
    lines = table(cells)
    for name, result in results.items():
        lines += [f"failed on {name}: {one['fqid']}: {one['why']}" for one in result["failures"]]
    context.show({"failed": failed, "replicas": results}, "\n".join(lines))
    return 1 if failed else 0


def _start(after: str | None) -> Fqid | None:
    try:
        return Fqid.parse(after, "--after") if after else None
    except IllegalArguments as error:
        raise Refused(error.title) from error


def _rebuilt(name: str, outcomes: Iterable[Rebuilt], tally: IndexTally, counter: Counter) -> dict[str, Any]:
    """Count what becomes of entries; tell where to go on, where it ends before its time."""
    counts = dict.fromkeys(("right", "written", "removed", "failed"), 0)
    failures: list[dict[str, str]] = []
    last: Fqid | None = None
    try:
        for outcome in outcomes:
            last = outcome.fqid
            counts["failed" if outcome.failed else outcome.done or "right"] += 1
            if outcome.failed and len(failures) < _SHOWN:
                failures.append({"fqid": str(outcome.fqid), "why": outcome.failed})
            counter.reach(tally.versions, f"{counts['written']:,} written, {counts['failed']:,} failed")
    except BaseException:
        if last:
            counter.note(f"dss: to go on from here: dss admin index rebuild --replica {name} --after {last}")
        raise
    counter.reach(tally.versions, f"{counts['written']:,} written, {counts['failed']:,} failed")
    return {"known": tally.versions, **counts, "failures": failures}
