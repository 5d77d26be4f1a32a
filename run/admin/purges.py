"""The list of purges, for `dss admin purges`."""

from dss.commands.context import Context
from run.admin.operator import operator_settings
from run.admin.report import table
from shared.catalog import Purge
from shared.purges.records import newest
from shared.wiring import open_system


def show_purges(context: Context) -> int:
    """List all records of purges, the oldest first. Return 0."""
    with operator_settings() as settings:
        dss = open_system(settings)
        found = sorted(dss.catalog.purges.scan(), key=lambda purge: purge.fqid.version)
        states = [_state(purge, counts=newest(dss, purge) == purge) for purge in found]
    rows = [["name", "state", "by", "removed after", "reason"]]
    rows += [
        [purge.subject, state, purge.by, purge.due, purge.reason]
        for purge, state in zip(found, states, strict=True)
    ]
    listed = [
        {
            "name": purge.subject,
            "record": str(purge.fqid),
            "state": state,
            "by": purge.by,
            "reason": purge.reason,
            "removed_after": purge.due,
            "part_of": purge.part_of,
        }
        for purge, state in zip(found, states, strict=True)
    ]
    context.show({"purges": listed}, "\n".join(table(rows)))
    return 0


def _state(purge: Purge, *, counts: bool) -> str:
    if purge.undone:
        return "undone"
    if not counts:
        return "replaced by a later record"
    return "withheld" if purge.open else "removed"
