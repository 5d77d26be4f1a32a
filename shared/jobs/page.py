"""One slice of a run: its bounds, and its report."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from shared.clock import Clock, Deadline
from shared.identifiers import Fqid
from shared.jobs.reports import as_line

# Seconds after which a slice begins no further item. The items in work then have six times as long until
# Cloud Workflows gives up the call (1,800 seconds).
SLICE_SECONDS = 240
# Lines of one part of a report: some MiB in memory.
_LINES = 20_000


class Page:
    """The lines and counts that a slice reports, and whether it should end."""

    def __init__(self, clock: Clock, *, size: int) -> None:
        self._deadline = Deadline(clock, SLICE_SECONDS)
        self._left = size
        self.lines: list[bytes] = []
        self.counts: Counter[str] = Counter()
        # Added to the result of the run.
        self.result: dict[str, Any] = {}

    def taken(self, items: int = 1) -> bool:
        """Note that further items are done; return whether that is enough for one slice."""
        self._left -= items
        return self._left <= 0 or len(self.lines) >= _LINES or self._deadline.passed

    def report(self, line: Mapping[str, Any]) -> None:
        """Add a line to the report."""
        self.lines.append(as_line(line))

    def count(self, **numbers: int) -> None:
        """Add to the counts of the run."""
        self.counts.update(numbers)


class Slice:
    """The end of a slice: the FQID after which the next slice begins, empty if there is none."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.after = ""

    def enough(self, fqid: Fqid) -> bool:
        """Note a bundle version, and return whether it is the slice's last."""
        self.after = str(fqid) if self._page.taken() else ""
        return bool(self.after)
