"""The report of a run, as a page: what it found, a window of a part at a time."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from run.browse.texts import short
from shared.catalog import AdminRun
from shared.errors import IllegalArguments, ObjectNotFound
from shared.jobs.reports import STATE, Reports
from shared.system import Dss

# Where a line may begin: far behind the end of any part.
MOST_BYTES_OF_PART = 1 << 40
# Bytes that a page reads of a part, and lines and columns that it shows of them.
_WINDOW = 256 * 1024
_MOST_LINES, _MOST_COLUMNS, _MOST_OF_CELL = 50, 8, 120


@dataclass(frozen=True, kw_only=True)
class Report:
    """Lines of a part of a report as a table, where the next ones begin, and where the report is.

    `following` is 0 at the end of the part. `note` says why there are no lines.
    """

    heads: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    following: int = 0
    note: str = ""
    url: str = ""


def report_of(dss: Dss, run: AdminRun, part: int, first: int) -> Report:
    """Return lines of a part of a run's report, from a byte at which a line begins.

    Reads 256 KiB at most. Raises Unavailable, and the errors of the store.
    """
    if not 1 <= part <= run.parts:
        return Report(note="No part of its report is written yet." if run.parts == 0 else "No such part.")
    try:
        reports = Reports(dss)
        data, size = reports.window(run, part, first, _WINDOW)
    except IllegalArguments as error:
        return Report(note=error.title)
    except ObjectNotFound:
        return Report(note="The report is not there any more: its bucket keeps reports for some time only.")
    lines, end = _whole_lines(data, is_last=first + len(data) >= size)
    shown = [line for line in map(_parsed, lines) if STATE not in line]
    heads = list(dict.fromkeys(name for line in shown for name in line))[:_MOST_COLUMNS]
    following = first + end
    return Report(
        heads=heads,
        rows=[[_text(line.get(name)) for name in heads] for line in shown],
        following=following if following < size else 0,
        note="" if shown else "This part of the report has no lines: there was nothing to report.",
        url=reports.url(run),
    )


def _whole_lines(data: bytes, *, is_last: bool) -> tuple[Sequence[bytes], int]:
    """Return the first whole lines, and where they end; a line that is too long counts as its beginning."""
    lines: list[bytes] = []
    end = 0
    while len(lines) < _MOST_LINES and end < len(data):
        newline = data.find(b"\n", end)
        if newline < 0 and lines and not is_last:
            break
        stop = len(data) if newline < 0 else newline + 1
        lines.append(data[end:stop])
        end = stop
    return lines, end


def _parsed(line: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"line": line.decode("utf-8", "replace")}


def _text(value: Any) -> str:
    if value is None:
        return ""
    return short(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), _MOST_OF_CELL)
