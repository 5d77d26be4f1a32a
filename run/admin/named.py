"""Verify, repair and sync named objects, for the commands of these names."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dss.commands.context import Context
from run.admin.looks import Outcome, named, report_outcomes
from run.admin.operator import operator_settings, replicas_named
from shared.maintenance.named import Look, Sent, State, expand, look_at, publish_missing, repair_looks
from shared.maintenance.repair import Repair
from shared.system import Dss
from shared.wiring import open_system

# Seconds between two looks at what is to be replicated.
_POLL_SECONDS = 2.0
# Keys whose outcomes are printed; all are counted.
_KEPT = 1000


def verify(
    context: Context,
    keys: Sequence[str],
    list_: Path | None,
    *,
    names: Sequence[str],
    with_files: bool,
    report: Path | None,
) -> int:
    """Show what named objects are on each replica. Return 1 if one is not right, else 0."""
    with operator_settings() as settings, named(keys, list_) as given:
        dss = open_system(settings)
        looks = look_at(dss, expand(dss, given, with_files=with_files), replicas_named(dss, names))
        return report_outcomes(context, map(_seen, looks), report)


def repair(
    context: Context,
    keys: Sequence[str],
    list_: Path | None,
    *,
    names: Sequence[str],
    with_files: bool,
    report: Path | None,
    dry_run: bool,
) -> int:
    """Repair named objects. Return 1 if one is not right at the end, else 0."""
    with operator_settings() as settings, named(keys, list_) as given:
        dss = open_system(settings)
        looks = look_at(dss, expand(dss, given, with_files=with_files), replicas_named(dss, names))
        repairs = repair_looks(dss, looks, dry_run=dry_run)
        outcomes = (_repaired(look, outcome) for look, outcome in repairs)
        return report_outcomes(context, outcomes, report, dry_run=dry_run)


def sync(
    context: Context,
    keys: Sequence[str],
    list_: Path | None,
    *,
    with_files: bool,
    wait: float,
    dry_run: bool,
) -> int:
    """Have replicas gain named objects that they lack. Return 1 if one is nowhere, or not in time, else 0."""
    with (
        operator_settings() as settings,
        named(keys, list_) as given,
        context.progress("sync", unit="objects") as progress,
    ):
        dss = open_system(settings)
        counts: Counter[str] = Counter()
        rows: list[dict[str, Any]] = []
        sent: list[str] = []
        for one in publish_missing(dss, expand(dss, given, with_files=with_files), dry_run=dry_run):
            counts["published" if one.source else "left"] += 1
            counts["nowhere"] += one.why == "no replica has it"
            if len(rows) < _KEPT:
                rows.append({"key": one.key, "source": one.source, "why": one.why})
            # Only who waits needs them again.
            sent += [one.key] if one.source and wait else []
            progress.reach(counts["published"] + counts["left"], f"{counts['published']:,} published")
        late = _wait(dss, sent, wait) if wait and not dry_run else []
    lines = [_sent_line(Sent(**row), dry_run=dry_run) for row in rows]
    lines.append(f"{counts['published']:,} published, {counts['left']:,} left")
    lines += [f"{key}: not everywhere after {wait:g} s: dss admin dead-letters list" for key in late]
    result = {"dry_run": dry_run, **{name: counts[name] for name in ("published", "left", "nowhere")}}
    context.show({**result, "keys": rows, "late": late}, "\n".join(lines))
    return 1 if counts["nowhere"] or late else 0


def _wait(dss: Dss, keys: Sequence[str], seconds: float) -> list[str]:
    """Wait until all replicas have these objects, and return those that one still lacks."""
    ends = time.monotonic() + seconds
    left = list(keys)
    while left:
        lacking = {look.key for look in look_at(dss, left, dss.replicas) if not look.is_right}
        left = [key for key in left if key in lacking]
        if time.monotonic() >= ends:
            break
        if left:
            dss.clock.sleep(_POLL_SECONDS)
    return left


def _seen(look: Look) -> Outcome:
    why = look.why
    if look.state is State.MISSING:
        why += "; dss admin sync replicates it"
    return Outcome(key=look.key, replica=look.replica, state=str(look.state), why=why, is_right=look.is_right)


def _repaired(look: Look, repair: Repair | None) -> Outcome:
    seen = _seen(look)
    if repair is None:
        return seen
    if repair.done:
        return replace(
            seen, state="repaired", is_right=True, more={"was": str(look.state), "done": repair.done}
        )
    more = {name: text for name in ("left", "copying") if (text := getattr(repair, name))}
    return replace(seen, more=more)


def _sent_line(sent: Sent, *, dry_run: bool) -> str:
    verb = "would be published" if dry_run else "published"
    return f"{sent.key}: {f'{verb}, from {sent.source}' if sent.source else sent.why}"
