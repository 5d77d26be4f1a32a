"""How audit and index check report: findings as they appear, counts by replica, a table at the end."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TextIO, TypeVar

Finding = TypeVar("Finding")

# Findings and failures shown to a person; the report file has all findings.
SHOWN = 20


class FindingsReport(Generic[Finding]):
    """Writes each finding as a line of JSON to a file, if there is one, and keeps the first of them."""

    def __init__(self, path: Path | None, as_json: Callable[[Finding], Mapping[str, Any]]) -> None:
        self.first: list[Finding] = []
        self._as_json = as_json
        self._stack = ExitStack()
        self._lines: TextIO | None = self._stack.enter_context(path.open("w")) if path else None

    def add(self, finding: Finding) -> None:
        """Report a finding."""
        if len(self.first) < SHOWN:
            self.first.append(finding)
        self._write(self._as_json(finding))

    def finish(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """Write the summary as the last line; return it with the first findings, as `--json` prints it."""
        self._write({"summary": summary})
        return {**summary, "first": [self._as_json(finding) for finding in self.first]}

    def _write(self, row: Mapping[str, Any]) -> None:
        if self._lines:
            print(json.dumps(row), file=self._lines, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._stack.close()


def counts_by_replica(
    names: Iterable[str],
    problems: type[StrEnum],
    *,
    seen: Mapping[str, Counter[str]],
    findings: Mapping[tuple[str, Any], int],
) -> dict[str, dict[str, int]]:
    """Return for each replica the counters of `seen`, then the number of findings of each problem."""
    return {
        name: {
            **{column: counter[name] for column, counter in seen.items()},
            **{str(problem): findings[name, problem] for problem in problems},
        }
        for name in names
    }


def findings_text(
    summary: Mapping[str, Any], problems: type[StrEnum], lines: Iterable[str], *, seen: str, end: str
) -> str:
    """Return a table of the replicas in a summary, the lines of the first findings, and how it ended."""
    shown = list(lines)
    columns = [seen, *map(str, problems), "unsettled"]
    rows = [["replica", *columns]]
    for name, counts in summary["replicas"].items():
        rows.append([name, *(f"{counts[column]:,}" for column in columns)])
    if summary["findings"] > len(shown):
        shown.append(f"… and {summary['findings'] - len(shown):,} more (--report lists all)")
    return "\n".join([*table(rows), *shown, end])


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines with aligned columns: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
