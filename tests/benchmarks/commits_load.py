"""Commits of bundles with readers, searches and facets beside them, at higher and higher rates.

By Locust (`tests/load/commits_locust.py`), on the whole local system: which rate it holds, and which process
is the first that has no more time.
"""

import importlib.util
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.stack import Stack
from tests.benchmarks.explore_charts import draw, draw_steps
from tests.benchmarks.locust_runs import Rows, run_locust
from tests.benchmarks.paused_stack import NAMES
from tests.benchmarks.processes import cpu_of, descendants, used_since
from tests.benchmarks.sizes import sized
from tests.benchmarks.text import paragraph
from tests.support.dss import open_dss

TARGET = 50
# Bundles a second, of ten files each, until one is reached by less than LEAST; and seconds of each.
RATES = (2, 5, 10, 20, 30, TARGET)
SECONDS = 20
# Seconds of the highest rate that was held, which is offered again.
HELD_SECONDS = sized(300, 60)
# A rate is held if so many of the commits that were to be made were, and no request failed.
HELD, LEAST = 0.9, 0.75
_BESIDE = 5 + 2 + 2
_COMMIT = "commit: bundle"
_CHARTS = Path(__file__).parents[2] / "docs" / "benchmarks"
_COLUMNS = ("Name", "Request Count", "Failure Count", "50%", "95%", "99%")


@dataclass(frozen=True, kw_only=True)
class Step:
    """A rate that was offered for some seconds, and what came of it; cores are those that a process used."""

    offered: int
    seconds: float
    rows: Rows
    history: Rows
    cores: Mapping[str, float]
    unpublished: int

    @property
    def commit(self) -> Mapping[str, str]:
        """The statistics of the PUTs of bundles."""
        return next((row for row in self.rows if row["Name"] == _COMMIT), {})

    @property
    def reached(self) -> float:
        """Commits a second that were answered well."""
        well = int(self.commit.get("Request Count", 0)) - int(self.commit.get("Failure Count", 0))
        return well / self.seconds

    @property
    def failures(self) -> int:
        """Requests of any kind that failed."""
        return sum(int(row["Failure Count"]) for row in self.rows if row["Name"] != "Aggregated")

    @property
    def is_held(self) -> bool:
        """Whether the rate was held."""
        return self.reached >= HELD * self.offered and not self.failures

    @property
    def busiest(self) -> str:
        """The process that used most of the cores."""
        return max(self.cores, key=lambda name: self.cores[name])


def commits_load() -> str:
    """Measure, and return the section of the report. Raises LocalError."""
    if importlib.util.find_spec("locust") is None:
        return "## Commits\n\nLocust is not installed: skipped\n"
    # All of them are one caller here.
    caller = {**os.environ, "DSS_PRINCIPAL_UNITS": "0", "DSS_ADDRESS_UNITS": "0"}
    steps: list[Step] = []
    with Stack(port=0, caller=caller).running() as env:
        for rate in RATES:
            steps.append(_step(env, rate, SECONDS))
            print(_row(steps[-1]), flush=True)
            if steps[-1].reached < LEAST * rate:
                break
        highest = next((step.offered for step in reversed(steps) if step.is_held), RATES[0])
        chosen = _step(env, highest, HELD_SECONDS)
        print(_row(chosen), flush=True)
    (_CHARTS / "commits-load.svg").write_bytes(draw(chosen.rows, chosen.history))
    (_CHARTS / "commits-load-steps.svg").write_bytes(
        draw_steps(
            [step.offered for step in steps], [step.reached for step in steps], [step.cores for step in steps]
        )
    )
    return _section(steps, chosen)


def _step(env: Mapping[str, str], rate: int, seconds: float) -> Step:
    processes = descendants(NAMES)
    before, began = cpu_of(processes), time.monotonic()
    environment = {"DSS_TOKEN": env["DSS_TOKEN"], "DSS_LOAD_RATE": str(rate)}
    rows, history = run_locust(
        "commits_locust.py", env["DSS_URL"], users=rate + _BESIDE, seconds=seconds, environment=environment
    )
    elapsed = time.monotonic() - began
    cores = {name: used / elapsed for name, used in used_since(before, processes).items()}
    with open_dss(env) as dss:
        left = dss.catalog.scan.bundle_count() - dss.catalog.events.count("gcp")
    return Step(offered=rate, seconds=seconds, rows=rows, history=history, cores=cores, unpublished=left)


def _row(step: Step) -> str:
    used = sorted(step.cores.items(), key=lambda pair: -pair[1])
    cores = ", ".join(f"{name} {cores:.2f}" for name, cores in used if cores > 0.05)
    p50, p95 = (step.commit.get(name, "") for name in ("50%", "95%"))
    return (
        f"| {step.offered} | {step.reached:.1f} | {'yes' if step.is_held else 'no'} | {step.failures} "
        f"| {p50} | {p95} | {step.unpublished:,} | {cores} |"
    )


def _section(steps: Sequence[Step], chosen: Step) -> str:
    last = steps[-1]
    held = chosen.offered if chosen.is_held else 0
    if held >= TARGET:
        verdict = f"{TARGET} bundles a second are held for {chosen.seconds:.0f} s."
    else:
        used, together = last.cores[last.busiest], sum(last.cores.values())
        verdict = (
            f"{held} of {TARGET} bundles a second are held for {chosen.seconds:.0f} s here; at "
            f"{last.offered} offered, {last.reached:.1f} were reached, {last.reached / last.offered:.0%} of "
            f"them, and {last.busiest} used most, {used:.2f} of {os.cpu_count()} cores. All of the system's "
            f"processes together had {together:.2f}; the users and what else the machine did had the rest."
        )
    lines = [
        "## Commits",
        "",
        paragraph(verdict),
        "",
        paragraph(
            f"Each rate for {SECONDS} s, and the highest that was held for {HELD_SECONDS} s again: a commit "
            "is a request that creates ten JSON files, and a PUT of a bundle of them. Beside it five users "
            "read what was committed, two search by content, two look at facets. The whole local system "
            "works meanwhile: both clouds, replication, index, catalogue and events, on the same cores as "
            "the users. `behind`: bundles whose event was not in the journal when the load ended."
        ),
        "",
        "![Rates and cores](commits-load-steps.svg)",
        "",
        "| offered/s | reached/s | held | failed requests | PUT bundle p50 ms | p95 ms | behind | cores |",
        "| ---: | ---: | --- | ---: | ---: | ---: | ---: | --- |",
        *map(_row, steps),
        "",
        f"## At {chosen.offered} bundles a second, for {chosen.seconds:.0f} s",
        "",
        paragraph(
            f"{chosen.reached:.1f} were reached, {chosen.failures} requests failed, and at the end "
            f"{chosen.unpublished:,} bundles were behind."
        ),
        "",
        "![Requests and their times](commits-load.svg)",
        "",
        "| request | requests | failed | p50 ms | p95 ms | p99 ms |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *("| " + " | ".join(row[name] for name in _COLUMNS) + " |" for row in chosen.rows),
        "",
    ]
    return "\n".join(lines)
