"""What a run would do now: all of its slices are looked at by this process, and nothing is written."""

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from shared.catalog import AdminRun
from shared.jobs.job_types import JOB_TYPES, checked
from shared.jobs.page import Page
from shared.system import Dss

# Lines that are kept of a report that may have millions.
_LINES = 1_000


@dataclass(kw_only=True)
class DryRun:
    """The counts and the result that a run would have, and the first lines of its report."""

    kind: str
    options: dict[str, Any]
    counts: Counter[str] = field(default_factory=Counter)
    result: dict[str, Any] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)

    def add(self, page: Page) -> None:
        """Add what a slice would report."""
        self.counts.update(page.counts)
        self.result |= page.result
        self.lines += map(json.loads, page.lines[: _LINES - len(self.lines)])


def dry_run(dss: Dss, argument: Any) -> DryRun:
    """Return what the run of an argument would do. Raises what the run would, and IllegalArguments."""
    kind, options = checked(dss, argument)
    now = dss.clock.now()
    run = AdminRun(id="dry-run", kind=kind, options=options, created=now, touched=now)
    found = DryRun(kind=kind, options=options)
    while True:
        page = Page(dss.clock, size=options["page"])
        cursor = JOB_TYPES[kind].preview(dss, run, page)
        found.add(page)
        if cursor is None:
            return found
        run = replace(run, cursor=cursor, parts=run.parts + 1, counts=dict(found.counts))
