"""`index-check` and `index-rebuild`: the index compared with the catalog, and made anew where it is wrong.

Options of both: `replicas` (all). Of a check: `names_only` (false), by which nothing stale is found. Of a
rebuild: `confirmation`, the id of a check of these replicas that has come to its end within the last day: who
has it removed what the catalog does not know has seen how much that is.
A line of the report is a finding, or an entry that was written, removed, or could not be made.
"""

from collections import Counter
from datetime import timedelta
from typing import Any

from shared.catalog import AdminRun, JobState
from shared.errors import IllegalArguments
from shared.identifiers import Fqid
from shared.jobs.argument import Argument, checked_id
from shared.jobs.page import Page
from shared.maintenance import index_check as checking
from shared.maintenance.index_rebuild import rebuild_index
from shared.system import Dss

CHECK = "index-check"

# Documents at once: parsed, one is of some 30 MiB at most, and the function has 1 GiB.
_THREADS = 8
_CONFIRMS = timedelta(days=1)


class _Slice:
    """What a slice has come to: the FQID behind which the next one goes on, empty where none does."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.after = ""

    def enough(self, fqid: Fqid) -> bool:
        """Note a bundle version, and tell whether it is the slice's last."""
        self.after = str(fqid) if self._page.taken() else ""
        return bool(self.after)


def check_options(dss: Dss, argument: Argument) -> dict[str, Any]:
    """Return the options of a check. Raises IllegalArguments."""
    return {"replicas": _replicas(dss, argument), "names_only": argument.flag("names_only")}


def check(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Check from the cursor on; see `Kind`."""
    tally, part = checking.IndexTally(), _Slice(page)
    for finding in checking.check(
        dss,
        [dss.replicas.named(name) for name in run.options["replicas"]],
        documents=not run.options["names_only"],
        tally=tally,
        after=_after(run),
        enough=part.enough,
        threads=_THREADS,
    ):
        page.report(checking.as_json(finding))
    page.counts.update(_counts_of(tally))
    return {"after": part.after} if part.after else None


def rebuild_options(dss: Dss, argument: Argument) -> dict[str, Any]:
    """Return the options of a rebuild. Raises IllegalArguments where no check confirms it."""
    replicas, confirmation = _replicas(dss, argument), argument.text("confirmation")
    checked = dss.catalog.runs.get(checked_id(confirmation))
    if checked is None or checked.kind != CHECK or checked.state is not JobState.SUCCEEDED:
        raise IllegalArguments(f"confirmation: {confirmation[:80]!r} is no {CHECK} that has succeeded")
    if not set(replicas) <= set(checked.options["replicas"]):
        raise IllegalArguments(f"confirmation: that checked {', '.join(checked.options['replicas'])} only")
    if dss.clock.now() - checked.touched > _CONFIRMS:
        raise IllegalArguments("confirmation: that check is older than a day")
    return {"replicas": replicas, "confirmation": confirmation}


def rebuild(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Rebuild from the cursor on, one replica after the other; see `Kind`."""
    replicas: list[str] = run.options["replicas"]
    after, first = _after(run), run.cursor.get("replica", replicas[0])
    for name in replicas[replicas.index(first) :]:
        tally, part = checking.IndexTally(), _Slice(page)
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


def _replicas(dss: Dss, argument: Argument) -> list[str]:
    names = argument.texts("replicas")
    return [dss.replicas.named(name).name for name in names] or list(dss.replicas.names)


def _after(run: AdminRun) -> Fqid | None:
    return Fqid.parse(run.cursor["after"]) if run.cursor else None


def _counts_of(tally: checking.IndexTally) -> Counter[str]:
    """Return a tally as numbers with names, those of a replica behind its name: `gcp stale`."""
    counts = Counter(known=tally.versions, findings=tally.findings.total())
    counts.update({f"{name} entries": number for name, number in tally.entries.items()})
    counts.update({f"{name} unsettled": number for name, number in tally.unsettled.items()})
    counts.update({f"{name} {kind}": number for (name, kind), number in tally.findings.items()})
    return counts
