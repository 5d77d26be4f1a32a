"""The sections of docs/benchmarks/replication.md."""

from collections.abc import Sequence

from tests.benchmarks.copies_report import cores_used
from tests.benchmarks.lag import DRAIN_SECONDS, FILE_BYTES, FILES_EACH, Lags

_LAG = """\
From the answer to PUT /bundles on `gcp` to the bundle being available on `aws`; {each} files of
{bytes:,} bytes each, all different, are PUT just before. The load generator is a process of its own
and notes when it was answered; the other end is the time in the log of `sync`, so that nobody
polls. Bundles whose files had not arrived when their event came are tried again by Pub/Sub, a
second later at the earliest. What has not arrived {drain} seconds after the load is counted as
missing, and as infinitely late.
"""


def lag_sections(lags: Sequence[Lags], *, loads: Sequence[str]) -> str:
    """Return the sections; `loads` are the load averages."""
    lag = _LAG.format(each=FILES_EACH, bytes=FILE_BYTES, drain=DRAIN_SECONDS)
    return "\n".join(
        [
            "## Replication lag",
            "",
            lag,
            *(f"- {line}" for line in loads),
            "",
            *_table_of_lags(lags),
            "",
            "## What limits it",
            "",
            *_limits(lags),
            "",
        ]
    )


def _table_of_lags(lags: Sequence[Lags]) -> list[str]:
    rows = [
        "| offered/s | reached/s | bundles | arrived | p50 s | p95 s | longest s | tried again | failures "
        "| cores |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in lags:
        times = [f"{seconds:.2f}" for seconds in (row.p50, row.p95, row.longest)]
        columns = [
            f"{row.offered:g}",
            f"{row.reached:.1f}",
            str(row.bundles),
            str(row.arrived),
            *times,
            str(row.retried),
            str(row.failures),
            cores_used(row.cores),
        ]
        rows.append(f"| {' | '.join(columns)} |")
    return rows


def _limits(lags: Sequence[Lags]) -> list[str]:
    """Say how many cores each process used, and how the lags add up."""
    lines = []
    for row in lags:
        lines += [
            f"- {row.offered:g} bundles/s: {cores_used(row.cores)}.",
            f"- {row.offered:g} bundles/s: {row.retried} of {row.bundles} came before their files, and "
            f"waited for the second attempt, a second at least; {row.bundles - row.arrived} not within "
            f"{DRAIN_SECONDS} s.",
        ]
    return lines
