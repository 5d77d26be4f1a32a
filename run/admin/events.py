"""Publish events, put them into journals, and list them."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from dss.commands.context import Context
from run.admin.looks import Outcome, named, report_outcomes
from run.admin.operator import operator_settings, replicas_named
from run.admin.report import table
from shared.errors import DssError
from shared.events.journal import compact, uncompacted
from shared.identifiers import check_version
from shared.maintenance.event_keys import Published, publish_named
from shared.wiring import open_system


def record(
    context: Context, keys: Sequence[str], list_: Path | None, *, names: Sequence[str], dry_run: bool
) -> int:
    """Publish the events of bundles and tombstones. Return 1 if one could not be, else 0."""
    with operator_settings() as settings, named(keys, list_) as given:
        dss = open_system(settings)
        published = publish_named(dss, given, replicas_named(dss, names), dry_run=dry_run)
        return report_outcomes(context, map(_outcome, published), dry_run=dry_run)


def _outcome(done: Published) -> Outcome:
    state = "waits" if done.waits else "published" if done.events else "left"
    why = done.why or ", ".join(f"{event.type} at {event.timestamp}" for event in done.events)
    return Outcome(key=done.key, replica=done.replica, state=state, why=why, is_right=not done.waits)


def journal(context: Context, names: Sequence[str], *, dry_run: bool) -> int:
    """Write the journals that are due, or say how much is in none. Return 1 if a replica failed, else 0."""
    rows: list[dict[str, Any]] = []
    with operator_settings() as settings, context.progress("journals", unit="objects") as progress:
        dss = open_system(settings)
        for replica in replicas_named(dss, names):
            row: dict[str, Any] = {"replica": replica.name, "journals": 0, "events": 0, "failed": ""}
            rows.append(row)
            try:
                for made in () if dry_run else compact(dss, replica):
                    row["journals"] += 1
                    row["events"] += len(made.entries)
                    progress.reach(sum(each["journals"] for each in rows), f"{row['events']:,} events")
                row["left"], row["oldest"] = uncompacted(dss, replica.name)
            except DssError as error:
                row["failed"] = error.title
    lines = [
        f"{row['replica']}: {row['failed']}"
        if row["failed"]
        else f"{row['replica']}: {row['events']:,} events put into {row['journals']:,} journals; "
        f"{row['left']:,} in none{f', since {oldest}' if (oldest := row['oldest']) else ''}"
        for row in rows
    ]
    context.show({"dry_run": dry_run, "replicas": rows}, "\n".join(lines))
    return 1 if any(row["failed"] for row in rows) else 0


def list_events(context: Context, names: Sequence[str], *, since: str, until: str, at_most: int) -> int:
    """List events in order of time, of each replica. Return 0. Raises InvalidInput for a malformed time."""
    with operator_settings() as settings:
        for option, value in (("--since", since), ("--until", until)):
            if value:
                check_version(value, option)
        dss = open_system(settings)
        rows = [
            {
                "replica": event.replica,
                "timestamp": event.timestamp,
                "type": event.type,
                "bundle": str(event.fqid),
                "bytes": event.size,
                "event": event.id,
            }
            for replica in replicas_named(dss, names)
            for event in islice(
                dss.catalog.events.since(replica.name, start=since, stop=until, count=at_most), at_most
            )
        ]
    head = ["replica", "timestamp", "type", "bundle", "bytes"]
    lines = table([head, *([str(row[name]) for name in head] for row in rows)])
    more = [f"--max {at_most:,} of each replica; go on with --since"] if len(rows) >= at_most else []
    context.show({"events": rows}, "\n".join([*lines, *more]))
    return 0
