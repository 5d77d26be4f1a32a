"""The section on the API's requests."""

from collections.abc import Sequence

from tests.benchmarks.measurement import Figures

# CPU ms.
_TARGETS = {
    "HEAD file, version": 0.8,
    "GET file, version": 1.0,
    "GET bundle, 100 presigned URLs": 8,
    "GET bundle, 100 presigned URLs by HMAC": 8,
    "PUT file, gcp": 5,
    "PUT bundle, 1,000 files": 70,
    "PUT bundle, 10,000 files": 900,
}


def operations_section(setting: str, figures: Sequence[Figures], enumeration: str) -> str:
    """Return the section; the first of the figures is the floor of all others."""
    return "\n".join(
        [
            "## Operations",
            "",
            setting,
            "",
            *_table(figures),
            "",
            "`x` is the CPU time as a multiple of that of `GET /version`, which asks no back end: it is what",
            "HTTP, Flask and the request log cost. Cores are those that a process kept busy meanwhile.",
            "",
            "## Targets",
            "",
            "CPU ms of the API a request, with one client.",
            "",
            "| operation | CPU ms | target | |",
            "| --- | ---: | ---: | --- |",
            *_targets(figures),
            "",
            "## Enumeration",
            "",
            enumeration,
            "",
            "## What limits",
            "",
            *_limits(figures),
            "",
        ]
    )


def _targets(figures: Sequence[Figures]) -> list[str]:
    measured = {row.operation: row.cpu_per_request * 1000 for row in figures if row.clients == 1}
    return [
        f"| {name} | {measured[name]:,.2f} | {target:,} | {'met' if measured[name] < target else 'missed'} |"
        for name, target in _TARGETS.items()
    ]


def _table(figures: Sequence[Figures]) -> list[str]:
    rows = [
        "| operation | clients | requests/s | p50 ms | p99 ms | CPU ms | x | API cores | back ends' cores |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    floor = {row.clients: row.cpu_per_request for row in figures if row.operation == figures[0].operation}
    for row in figures:
        others = [
            f"{name} {cores:.1f}" for name, cores in row.cores.items() if name != "API" and cores > 0.05
        ]
        columns = [
            row.operation,
            str(row.clients),
            f"{row.per_second:,.0f}",
            *(f"{seconds * 1000:.1f}" for seconds in (row.p50, row.p99, row.cpu_per_request)),
            f"{row.cpu_per_request / floor[row.clients]:.1f}",
            f"{row.cores['API']:.1f}",
            ", ".join(others),
        ]
        rows.append(f"| {' | '.join(columns)} |")
    return rows


def _limits(figures: Sequence[Figures]) -> list[str]:
    """Say which process used most CPU time at the highest load."""
    most = max(row.clients for row in figures)
    by_process: dict[str, list[str]] = {}
    for row in figures:
        if row.clients == most:
            busy = f"{row.operation} ({row.cores[row.busiest]:.1f} cores)"
            by_process.setdefault(row.busiest, []).append(busy)
    lines = [f"- {process} had the most CPU time with {most} clients at: " for process in by_process]
    return [line + ", ".join(rows) + "." for line, rows in zip(lines, by_process.values(), strict=True)]
