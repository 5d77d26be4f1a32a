"""`index-check` and `index-rebuild`: compare the index with the catalog, and correct it.

Options of both: `replicas` (all). Of a check: `names_only` (false), which finds no stale entries. Of a
rebuild: `confirmation`, the id of a check of these replicas that has succeeded within the last day: it shows
how many entries the rebuild removes because the catalog does not have them.
A line of the report is a finding, or an entry that was written, was removed, or failed.
"""

from collections import Counter
from datetime import timedelta
from typing import Any

from shared.catalog import AdminRun, JobState
from shared.errors import IllegalArguments
from shared.identifiers import Fqid
from shared.jobs.argument import Argument, checked_id
from shared.jobs.page import Page, Slice
from shared.maintenance import index_check as checking
from shared.maintenance.index_rebuild import rebuild_index
from shared.system import Dss

CHECK = "index-check"

# Documents at once: parsed, each takes some 30 MiB at most, and the function has 1 GiB.
_THREADS = 8
_CONFIRMS = timedelta(days=1)


def check_options(dss: Dss, argument: Argument) -> dict[str, Any]:
    """Return the options of a check. Raises IllegalArguments."""
    return {"replicas": argument.replicas(dss), "names_only": argument.flag("names_only")}


def check(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Check from the cursor on; see `JobType`. A rebuild would correct what this finds."""
    tally, part = checking.IndexTally(), Slice(page)
    for finding in checking.check(
        dss,
        [dss.replicas.named(name) for name in run.options["replicas"]],
        documents=not run.options.get("names_only"),
        tally=tally,
        after=_after(run),
        enough=part.enough,
        threads=_THREADS,
    ):
        page.report(checking.as_json(finding))
    page.counts.update(_counts_of(tally))
    return {"after": part.after} if part.after else None


def rebuild_options(dss: Dss, argument: Argument) -> dict[str, Any]:
    """Return the options of a rebuild. Raises IllegalArguments if no check confirms it."""
    replicas, confirmation = argument.replicas(dss), argument.text("confirmation")
    checked = dss.catalog.runs.get(checked_id(confirmation))
    if checked is None or checked.kind != CHECK or checked.state is not JobState.SUCCEEDED:
        raise IllegalArguments(
            f"confirmation: {confirmation[:80]!r} is not the id of an {CHECK} that has succeeded"
        )
    if not set(replicas) <= set(checked.options["replicas"]):
        raise IllegalArguments(
            f"confirmation: that run checked only {', '.join(checked.options['replicas'])}; "
            f"check {', '.join(replicas)}"
        )
    if dss.clock.now() - checked.touched > _CONFIRMS:
        raise IllegalArguments(f"confirmation: that check is older than a day; run a new {CHECK}")
    return {"replicas": replicas, "confirmation": confirmation}


def rebuild(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Rebuild from the cursor on, one replica after another; see `JobType`."""
    replicas: list[str] = run.options["replicas"]
    after, first = _after(run), run.cursor.get("replica", replicas[0])
    for name in replicas[replicas.index(first) :]:
        tally, part = checking.IndexTally(), Slice(page)
        for outcome in rebuild_index(
            dss,
            dss.replicas.named(name),
            after=after,
            tally=tally,
            enough=part.enough,
            threads=_THREADS,
        ):
            done = {"failed": outcome.failed} if outcome.failed else {"done": outcome.done}
            if outcome.failed or outcome.done:
                page.report({"replica": name, "fqid": str(outcome.fqid), **done})
            page.counts.update({f"{name} {outcome.done or 'right'}": int(not outcome.failed)})
            page.count(failed=int(bool(outcome.failed)))
        if part.after:
            return {"replica": name, "after": part.after}
        after = None
    return None


def _after(run: AdminRun) -> Fqid | None:
    return Fqid.parse(run.cursor["after"]) if run.cursor else None


def _counts_of(tally: checking.IndexTally) -> Counter[str]:
    """Return a tally as named numbers; those of a replica begin with its name: `gcp stale`."""
    counts = Counter(known=tally.versions, findings=tally.findings.total())
    counts.update({f"{name} entries": number for name, number in tally.entries.items()})
    counts.update({f"{name} unsettled": number for name, number in tally.unsettled.items()})
    counts.update({f"{name} {kind}": number for (name, kind), number in tally.findings.items()})
    return counts
