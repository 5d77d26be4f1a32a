"""`audit`: compares the catalog with the buckets, and repairs what differs if `repair` is true.

Options: `replicas` (all), `repair` (false), `settled_after` (seconds, 900).
A line of the report is a finding.
"""

from collections import Counter
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from shared.catalog import AdminRun
from shared.jobs.argument import Argument
from shared.jobs.page import Page
from shared.maintenance.audit import Audit, Position, Tally
from shared.maintenance.repair import Repair, repaired
from shared.system import Dss

_DAY = 86_400


def check(dss: Dss, argument: Argument) -> dict[str, Any]:
    """Return the options. Raises IllegalArguments."""
    return {
        "replicas": argument.replicas(dss),
        "repair": argument.flag("repair"),
        "settled_after": argument.number("settled_after", 900, least=0, most=_DAY),
    }


def work(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Audit from the cursor on; see `JobType`."""
    tally = Tally()
    audit = Audit(
        dss,
        [dss.replicas.named(name) for name in run.options["replicas"]],
        settled_after=timedelta(seconds=run.options["settled_after"]),
        tally=tally,
        position=Position(**run.cursor) if run.cursor else None,
    )
    findings = audit.findings(page.taken)
    if run.options["repair"]:
        # Copies that take longer than a step are done by the copy workflow.
        outcomes = repaired(dss, findings, inline=dss.settings.inline_copy_bytes)
    else:
        outcomes = (Repair(finding=finding) for finding in findings)
    for outcome in outcomes:
        page.report(as_json(outcome))
        page.count(repaired=bool(outcome.done), copying=bool(outcome.copying))
    page.counts.update(counts_of(tally))
    return asdict(audit.position) if audit.position else None


def preview(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Audit from the cursor on, and repair nothing; see `JobType`."""
    return work(dss, replace(run, options={**run.options, "repair": False}), page)


def as_json(outcome: Repair) -> dict[str, Any]:
    """Return a line of the report: a finding, and its repair."""
    repair = {
        "repaired": outcome.done,
        "left": outcome.left,
        "copying": outcome.copying,
        "copy_job": outcome.copy_job,
    }
    return {**asdict(outcome.finding), **{name: text for name, text in repair.items() if text}}


def counts_of(tally: Tally) -> Counter[str]:
    """Return a tally as named numbers; those of a replica begin with its name: `gcp lost`."""
    counts = Counter(known=tally.known, findings=tally.findings.total())
    counts.update({f"{name} objects": number for name, number in tally.objects.items()})
    counts.update({f"{name} unsettled": number for name, number in tally.unsettled.items()})
    counts.update({f"{name} {kind}": number for (name, kind), number in tally.findings.items()})
    return counts
