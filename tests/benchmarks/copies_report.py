"""Tables of copies by the DSS and by rclone."""

import statistics
from collections.abc import Mapping, Sequence

from tests.benchmarks.copies import Copied


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
            cores_used(row.cores),
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


def cores_used(cores: Mapping[str, float]) -> str:
    """Say how many cores each process used."""
    return ", ".join(f"{name} {used:.2f}" for name, used in cores.items())
