"""Audit the buckets, for `dss admin audit`."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from dss.commands.context import Context
from run.admin.operator import operator_settings, replicas_named
from run.admin.report import FindingsReport, counts_by_replica, findings_text
from shared.jobs.audit import as_json
from shared.maintenance.audit import Problem, Tally, audit
from shared.maintenance.repair import Repair, prospect, repaired
from shared.wiring import open_system


def run_audit(
    context: Context,
    names: Sequence[str],
    *,
    report: Path | None,
    repair: bool,
    settled_after: float,
    dry_run: bool,
) -> int:
    """Audit the named replicas (default: all), and report. Return 1 if anything is found, else 0.

    With `dry_run` nothing is repaired: findings say if a repair would leave them.
    """
    tally, repairs = Tally(), 0
    with operator_settings() as settings:
        dss = open_system(settings)
        replicas = replicas_named(dss, names)
        findings = audit(dss, replicas, settled_after=timedelta(seconds=settled_after), tally=tally)
        if repair and not dry_run:
            outcomes = repaired(dss, findings)
        else:
            outcomes = (prospect(one) if repair else Repair(finding=one) for one in findings)
        with FindingsReport(report, as_json) as lines, context.progress("audit", unit="objects") as progress:
            for outcome in outcomes:
                lines.add(outcome)
                repairs += bool(outcome.done)
                progress.reach(tally.objects.total(), f"{tally.findings.total():,} findings")
            seen = {"objects": tally.objects, "unsettled": tally.unsettled}
            summary = {
                "findings": tally.findings.total(),
                "repaired": repairs,
                "known": tally.known,
                "replicas": counts_by_replica(
                    [replica.name for replica in replicas], Problem, seen=seen, findings=tally.findings
                ),
            }
            result = lines.finish(summary)
    end = f"{summary['findings']:,} findings, {repairs:,} of them repaired"
    end += "; a repair would try those that are not left" if repair and dry_run else ""
    text = findings_text(summary, Problem, map(_line, lines.first), seen="objects", end=end)
    context.show(result, text)
    return 1 if summary["findings"] else 0


def _line(outcome: Repair) -> str:
    finding = outcome.finding
    line = f"{finding.kind} on {finding.replica}: {finding.key}: {finding.why}"
    if outcome.done:
        return f"{line}; repaired: {outcome.done}"
    return f"{line}; left: {outcome.left}" if outcome.left else line
