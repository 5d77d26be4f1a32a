"""Show backlogs and rates of replication, for `dss admin replication`."""

from collections.abc import Mapping
from typing import Any

from dss.commands.context import Context
from run.admin.operator import operator_settings
from run.admin.report import table
from shared.maintenance.rates import gained_per_minute
from shared.maintenance.sweep import backlogs, unpublished
from shared.system import Dss
from shared.wiring import open_system


def run_replication(context: Context, seconds: float) -> int:
    """Report each replica's backlog, and its rate if `seconds` is more than 0. Return 0."""
    with operator_settings() as settings:
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


def _replication(dss: Dss, rates: Mapping[str, float]) -> dict[str, dict[str, Any]]:
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
