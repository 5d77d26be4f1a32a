"""`audit`: compares the catalog with the buckets, and repairs what differs if `repair` is true.

Options: `replicas` (all), `repair` (false), `settled_after` (seconds, 900), and `shards`, how many key ranges
of a section are worked on side by side (by the number of files that the catalog has).
A line of the report is a finding.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from shared.catalog import AdminRun
from shared.jobs import sharding
from shared.jobs.argument import Argument
from shared.jobs.page import Page
from shared.maintenance.audit import Audit, Position, Tally, stages
from shared.maintenance.repair import Repair, repaired
from shared.maintenance.spans import Span
from shared.system import Dss

_DAY = 86_400


def check(dss: Dss, argument: Argument) -> dict[str, Any]:
    """Return the options. Raises IllegalArguments."""
    return {
        "replicas": argument.replicas(dss),
        "repair": argument.flag("repair"),
        "settled_after": argument.number("settled_after", 900, least=0, most=_DAY),
        "shards": sharding.shards_option(dss, argument),
    }


def work(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Audit from the cursor on, or go on to the next section if it is split; see `JobType`."""
    if run.options.get("shards", 1) == 1:
        return _audited(dss, run, page, Position(**run.cursor) if run.cursor else None)
    order = stages(run.options["replicas"])

    def following(phase: sharding.Phase | None, _: Mapping[str, int]) -> sharding.Phase | None:
        names = [*order][1 + [*order].index(phase.name) if phase else 0 :]
        return sharding.Phase(names[0], split=order[names[0]]) if names else None

    return sharding.advance(dss, run, page, following)


def work_on_shard(dss: Dss, shard: AdminRun, page: Page) -> dict[str, Any] | None:
    """Audit what is in the key range of a shard from its cursor on; see `JobType`."""
    position = Position(shard.options["phase"], shard.cursor.get("after", ""))
    return _audited(dss, shard, page, position, sharding.span_of(shard))


def _audited(
    dss: Dss, run: AdminRun, page: Page, position: Position | None, span: Span | None = None
) -> dict[str, Any] | None:
    tally = Tally()
    audit = Audit(
        dss,
        [dss.replicas.named(name) for name in run.options["replicas"]],
        settled_after=timedelta(seconds=run.options["settled_after"]),
        tally=tally,
        position=position,
        span=span,
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
    return work(dss, replace(run, options={**run.options, "repair": False, "shards": 1}), page)


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
