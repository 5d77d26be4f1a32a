"""Migrate the catalog to the schema of this release, for `dss admin migrate`."""

from typing import Any

from dss.commands.context import Context
from run.admin.operator import operator_settings
from shared.catalog import SCHEMA
from shared.maintenance.migrations import Step, migrate, pending
from shared.wiring import open_system


def run_migrate(context: Context, *, dry_run: bool) -> int:
    """Migrate, or say what would be done. Return 0. Raises InvalidInput if the catalog is newer."""
    with operator_settings() as settings, context.progress("migrate", unit="objects") as progress:
        dss = open_system(settings)
        before = dss.catalog.switches.get().migrated
        steps = {step.number: step for step in pending(dss)} if dry_run else {}
        for step in () if dry_run else migrate(dss):
            steps[step.number] = step
            progress.reach(step.documents, f"to schema {step.number}")
    lines = [_line(step, dry_run=dry_run) for step in steps.values()]
    lines.append(f"catalog: schema {before if dry_run else SCHEMA} of {SCHEMA}")
    rows: list[dict[str, Any]] = [vars(step) for step in steps.values()]
    result = {"dry_run": dry_run, "before": before, "schema": SCHEMA, "steps": rows}
    context.show(result, "\n".join(lines))
    return 0


def _line(step: Step, *, dry_run: bool) -> str:
    verb = "would be changed" if dry_run else "changed"
    return f"to {step.number}: {step.summary}: {step.documents:,} documents {verb}"
