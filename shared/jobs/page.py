"""What one slice of a run may do, and has done."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from shared.clock import Clock, Deadline

# Seconds after which a slice takes on nothing more. What it is at then has six times as long until Cloud
# Workflows gives the call up (1,800 seconds).
_SLICE_SECONDS = 240
# Lines of one part of a report: some MiB in memory.
_LINES = 20_000


class Page:
    """The lines that a slice reports, what it counts, and whether it should end."""

    def __init__(self, clock: Clock, *, size: int) -> None:
        self._deadline = Deadline(clock, _SLICE_SECONDS)
        self._left = size
        self.lines: list[bytes] = []
        self.counts: Counter[str] = Counter()
        # What the run has to say in the end, where this slice knows more of it.
        self.result: dict[str, Any] = {}

    def taken(self) -> bool:
        """Note that a further item is done with; tell whether that is enough for one slice."""
        self._left -= 1
        return self._left <= 0 or len(self.lines) >= _LINES or self._deadline.passed

    def report(self, line: Mapping[str, Any]) -> None:
        """Add a line to the report."""
        self.lines.append(json.dumps(line, ensure_ascii=False).encode("utf-8", "surrogatepass"))

    def count(self, **numbers: int) -> None:
        """Add to counts of the run."""
        self.counts.update(numbers)
