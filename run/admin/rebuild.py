"""Rebuild the catalog from a bucket, for `dss admin rebuild`."""

import sys
from collections import Counter
from collections.abc import Sequence

from dss.commands.context import Context
from run.admin.operator import operator_settings
from run.admin.report import SHOWN, table
from shared.maintenance.rebuild import Restored, rebuild, section_names
from shared.wiring import open_system


def run_rebuild(context: Context, name: str, *, dry_run: bool) -> int:
    """Rebuild the catalog from a replica, and report. Return 1 if anything failed, else 0."""
    sections: dict[str, Counter[str]] = {section: Counter() for section in section_names()}
    failed: list[Restored] = []
    with operator_settings() as settings, context.progress("rebuild", unit="objects") as progress:
        dss = open_system(settings)
        for number, restored in enumerate(rebuild(dss, dss.replicas.named(name), dry_run=dry_run), start=1):
            counts = sections[restored.section]
            counts.update(objects=1, new=int(restored.new), failed=int(bool(restored.failed)))
            if restored.failed:
                failed.append(restored)
            progress.reach(
                number, f"{restored.section}: {counts['objects']:,} seen, {counts['failed']:,} failed"
            )
    _show(context, name, sections, failed, dry_run=dry_run)
    return 1 if failed else 0


def _show(
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
        "failures": [{"key": restored.key, "why": restored.failed} for restored in failed],
    }
    rows = [["", "objects", "lacking" if dry_run else "restored", "failed"]]
    rows += [[section, *(f"{counts[name]:,}" for name in columns)] for section, counts in sections.items()]
    context.show(result, "\n".join(table(rows)))
    for restored in failed[:SHOWN]:
        print(f"dss: {restored.key}: {restored.failed}", file=sys.stderr)
    if len(failed) > SHOWN:
        print(f"dss: … and {len(failed) - SHOWN:,} more (--json lists all)", file=sys.stderr)
