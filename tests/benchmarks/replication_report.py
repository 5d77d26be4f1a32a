"""The sections of docs/benchmarks/replication.md."""

import statistics
from collections.abc import Mapping, Sequence

from tests.benchmarks.copies import Copied
from tests.benchmarks.lag import DRAIN_SECONDS, FILE_BYTES, FILES_EACH, Lags

_COPIES = """\
Files from GCS to S3, by replication and by `rclone copy`, on one running system, in turns: who begins in one
round is last in the next, so that what else the machine does befalls both.

- The DSS: files are PUT while their events wait in Pub/Sub. Timed is from the first event being handed to
  `sync` to the last file being available on `aws`, by the log of `sync`. For each file that is: blob copied
  and proved, manifest written, catalog updated. moto sends the S3 event of the manifest within the PUT; it
  comes back through SNS, `s3_events` and Pub/Sub, and is found to be done. All processes have opened their
  connections before.
- rclone: timed is from start to exit: it lists both sides, copies the same bytes from staging bucket to
  staging bucket, and looks at each small copy (not at the large one: moto answers 400 to how it asks). No
  manifest, no catalog, no event.
"""

_LAG = """\
From the answer to PUT /bundles on `gcp` to the bundle being available on `aws`; {each} files of
{bytes:,} bytes each, all different, are PUT just before. The load generator is a process of its own
and notes when it was answered; the other end is the time in the log of `sync`, so that nobody
polls. Bundles whose files had not arrived when their event came are tried again by Pub/Sub, a
second later at the earliest. What has not arrived {drain} seconds after the load is counted as
missing, and as infinitely late.
"""


def replication_sections(
    copies: Sequence[Copied], lags: Sequence[Lags], *, rclone: str, loads: Sequence[str], paths: Sequence[str]
) -> str:
    """Return the sections; `loads` are the load averages, `paths` says how large files were copied."""
    lag = _LAG.format(each=FILES_EACH, bytes=FILE_BYTES, drain=DRAIN_SECONDS)
    return "\n".join(
        [
            "## Replication beside rclone",
            "",
            _COPIES,
            *(f"- {line}" for line in (rclone, *loads, *paths)),
            "",
            *table_of_copies(copies),
            "",
            *ratios(copies, goal=1),
            "",
            "## Replication lag",
            "",
            lag,
            *_table_of_lags(lags),
            "",
            "## What limits replication",
            "",
            *_limits(copies, lags),
            "",
        ]
    )


def table_of_copies(copies: Sequence[Copied]) -> list[str]:
    """Return a table with a row for each round of each contestant."""
    rows = [
        "| load | round | who | seconds | MiB/s | files/s | cores |",
        "| --- | ---: | --- | ---: | ---: | ---: | --- |",
    ]
    for row in copies:
        mib = row.load.count * row.load.size / 2**20 / row.seconds
        columns = [
            row.load.name,
            str(row.round),
            row.who,
            f"{row.seconds:.1f}",
            f"{mib:.1f}",
            f"{row.load.count / row.seconds:.1f}",
            _cores(row.cores),
        ]
        rows.append(f"| {' | '.join(columns)} |")
    return rows


def ratios(copies: Sequence[Copied], goal: float | None = None) -> list[str]:
    """Say how the DSS compares with each way to run rclone, round by round, and with a goal."""
    seconds = {(row.load.name, row.who, row.round): row.seconds for row in copies}
    lines = []
    for load, other in dict.fromkeys((row.load.name, row.who) for row in copies):
        if other != "DSS":
            measured = [
                mine / seconds[load, other, number]
                for (name, who, number), mine in seconds.items()
                if (name, who) == (load, "DSS")
            ]
            each = ", ".join(f"{ratio:.2f}" for ratio in measured)
            verdict = "" if goal is None else f" ({_verdict(measured, goal)}: at most {goal:g})"
            lines.append(f"- {load}: the DSS took {each} times as long as {other}{verdict}.")
    return lines


def _verdict(ratios: Sequence[float], goal: float) -> str:
    return "goal met" if statistics.median(ratios) <= goal else "goal missed"


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
            _cores(row.cores),
        ]
        rows.append(f"| {' | '.join(columns)} |")
    return rows


def _limits(copies: Sequence[Copied], lags: Sequence[Lags]) -> list[str]:
    """Say how many cores each process used for the DSS, and how the lags add up."""
    lines = [
        "How many cores each process kept busy while the DSS was measured:",
        "",
    ]
    measured = [(f"{row.load.name}, round {row.round}", row.cores) for row in copies if row.who == "DSS"]
    measured += [(f"{row.offered:g} bundles/s", row.cores) for row in lags]
    lines += [f"- {name}: {_cores(cores)}." for name, cores in measured]
    for row in lags:
        lines.append(
            f"- {row.offered:g} bundles/s: {row.retried} of {row.bundles} came before their files, and "
            f"waited for the second attempt, a second at least; {row.bundles - row.arrived} not within "
            f"{DRAIN_SECONDS} s."
        )
    return lines


def _cores(cores: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {used:.2f}" for name, used in cores.items())
