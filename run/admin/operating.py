"""Audit, rebuild and replication, as `dss admin` runs and reports them."""

import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO

from google.auth.exceptions import GoogleAuthError

from dss.commands.context import Context
from dss.errors import OperationFailed, Refused
from shared.config import Settings
from shared.errors import DssError, IllegalArguments
from shared.jobs.audit import as_json
from shared.maintenance.audit import Finding, Problem, Tally, audit
from shared.maintenance.rates import gained_per_minute
from shared.maintenance.rebuild import Restored, rebuild, section_names
from shared.maintenance.repair import Repair, repaired
from shared.maintenance.sweep import backlogs, unpublished
from shared.replicas import Replica
from shared.system import Dss
from shared.wiring import open_system

# Findings that are shown to a person; the report has all of them.
_SHOWN = 20
# Seconds between two lines of progress.
_PROGRESS = 5


@contextlib.contextmanager
def operated() -> Iterator[Settings]:
    """Give the settings of the environment, and turn the errors of the house into those of the command line.

    Raises Refused where a setting or a credential is missing, and OperationFailed where a cloud says no.
    """
    try:
        settings = Settings.from_environment()
    except ValueError as error:
        raise Refused(str(error)) from error
    try:
        yield settings
    except IllegalArguments as error:
        raise Refused(error.title) from error
    except GoogleAuthError as error:
        raise Refused(f"Google Cloud does not know you: {error}") from error
    except DssError as error:
        raise OperationFailed(error.title) from error


class Progress:
    """Lines on stderr, not too many of them."""

    def __init__(self, context: Context) -> None:
        self._silent = context.json
        self._last = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line, unless the last one is fresh."""
        if not self._silent and time.monotonic() - self._last > _PROGRESS:
            self._last = time.monotonic()
            print(text, file=sys.stderr, flush=True)


def run_audit(
    context: Context, names: Sequence[str], *, report: Path | None, repair: bool, settled_after: float
) -> int:
    """Audit replicas (all, unless named), report, and return the exit code: 1 where anything was found."""
    with operated() as settings, contextlib.ExitStack() as stack:
        dss = open_system(settings)
        replicas = [dss.replicas.named(name) for name in names] or list(dss.replicas)
        lines = stack.enter_context(report.open("w")) if report else None
        tally = Tally()
        findings = audit(dss, replicas, settled_after=timedelta(seconds=settled_after), tally=tally)
        outcomes = repaired(dss, findings) if repair else (Repair(finding=finding) for finding in findings)
        shown, done = _write(context, outcomes, tally, lines)
        summary = _summary(replicas, tally, done)
        if lines:
            print(json.dumps({"summary": summary}), file=lines)
    context.show({**summary, "first": [as_json(outcome) for outcome in shown]}, _text(summary, shown))
    return 1 if summary["findings"] else 0


def _write(
    context: Context, outcomes: Iterable[Repair], tally: Tally, lines: TextIO | None
) -> tuple[list[Repair], int]:
    """Report what is found as it is found; return the first of it, and how much was repaired."""
    shown: list[Repair] = []
    done = 0
    progress = Progress(context)
    for outcome in outcomes:
        done += bool(outcome.done)
        if len(shown) < _SHOWN:
            shown.append(outcome)
        if lines:
            print(json.dumps(as_json(outcome)), file=lines, flush=True)
        progress.say(f"{tally.objects.total():,} objects seen, {tally.findings.total():,} findings")
    return shown, done


def _summary(replicas: Sequence[Replica], tally: Tally, done: int) -> dict[str, Any]:
    return {
        "findings": tally.findings.total(),
        "repaired": done,
        "known": tally.known,
        "replicas": {
            replica.name: {
                "objects": tally.objects[replica.name],
                "unsettled": tally.unsettled[replica.name],
                **{str(kind): tally.findings[replica.name, kind] for kind in Problem},
            }
            for replica in replicas
        },
    }


def _text(summary: dict[str, Any], shown: Sequence[Repair]) -> str:
    columns = ["objects", *map(str, Problem), "unsettled"]
    rows = [["replica", *columns]]
    for name, counts in summary["replicas"].items():
        rows.append([name, *(f"{counts[column]:,}" for column in columns)])
    lines = table(rows)
    lines += [_line(outcome.finding, outcome) for outcome in shown]
    if summary["findings"] > len(shown):
        lines.append(f"… and {summary['findings'] - len(shown):,} more (--report lists all)")
    lines.append(f"{summary['findings']:,} findings, {summary['repaired']:,} of them repaired")
    return "\n".join(lines)


def _line(finding: Finding, outcome: Repair) -> str:
    what = f"{finding.kind} on {finding.replica}: {finding.key}: {finding.why}"
    if outcome.done:
        return f"{what}; repaired: {outcome.done}"
    return f"{what}; left: {outcome.left}" if outcome.left else what


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines in which the columns stand under each other, the first to the left, the others right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def run_rebuild(context: Context, name: str, *, dry_run: bool) -> int:
    """Rebuild the catalog from a replica, report, and return the exit code: 1 where anything failed."""
    sections: dict[str, Counter[str]] = {section: Counter() for section in section_names()}
    failed: list[Restored] = []
    progress = Progress(context)
    with operated() as settings:
        dss = open_system(settings)
        for restored in rebuild(dss, dss.replicas.named(name), dry_run=dry_run):
            counts = sections[restored.section]
            counts.update(objects=1, new=int(restored.new), failed=int(bool(restored.failed)))
            if restored.failed:
                failed.append(restored)
            progress.say(f"{restored.section}: {counts['objects']:,} seen, {counts['failed']:,} failed")
    _show_rebuild(context, name, sections, failed, dry_run=dry_run)
    return 1 if failed else 0


def _show_rebuild(
    context: Context,
    replica: str,
    sections: dict[str, Counter[str]],
    failed: Sequence[Restored],
    *,
    dry_run: bool,
) -> None:
    columns = ("objects", "new", "failed")
    result = {
        "replica": replica,
        "dry_run": dry_run,
        **{section: {column: counts[column] for column in columns} for section, counts in sections.items()},
        "failures": [{"key": one.key, "why": one.failed} for one in failed],
    }
    rows = [["", "objects", "lacking" if dry_run else "restored", "failed"]]
    rows += [[section, *(f"{counts[name]:,}" for name in columns)] for section, counts in sections.items()]
    context.show(result, "\n".join(table(rows)))
    for one in failed[:_SHOWN]:
        print(f"dss: {one.key}: {one.failed}", file=sys.stderr)
    if len(failed) > _SHOWN:
        print(f"dss: … and {len(failed) - _SHOWN:,} more (--json lists all)", file=sys.stderr)


def run_replication(context: Context, seconds: float) -> int:
    """Report each replica's backlog, and its rate where that is measured."""
    with operated() as settings:
        dss = open_system(settings)
        rates = gained_per_minute(dss, seconds=seconds) if seconds else {}
        result = _replication(dss, rates)
    rows = [["replica", "missing", "oldest", "gained/min", "unpublished", "oldest"]]
    for name, row in result.items():
        rate = row["gained_per_minute"]
        rows.append(
            [
                name,
                f"{row['missing']:,}",
                f"{row['oldest_seconds']:,.0f} s",
                "-" if rate is None else f"{rate:,.1f}",
                f"{row['unpublished']:,}",
                f"{row['unpublished_oldest_seconds']:,.0f} s",
            ]
        )
    context.show({"replicas": result, "measured_seconds": seconds}, "\n".join(table(rows)))
    return 0


def _replication(dss: Dss, rates: Any) -> dict[str, dict[str, Any]]:
    return {
        backlog.replica: {
            "missing": backlog.objects,
            "oldest_seconds": backlog.oldest_seconds,
            "gained_per_minute": rates.get(backlog.replica),
            "unpublished": events.objects,
            "unpublished_oldest_seconds": events.oldest_seconds,
        }
        for backlog, events in zip(backlogs(dss), unpublished(dss), strict=True)
    }
