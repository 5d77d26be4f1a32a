"""`python -m tests.benchmarks [NAME...]` measures the system on this machine: all parts, or those named.

Each part writes a report of its own, docs/benchmarks/NAME.md, when it ends, and prints how long it took. With
`DSS_BENCH=full` all are of the sizes that the goals are about, which takes more than an hour.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from local.errors import LocalError
from tests.benchmarks.client import client
from tests.benchmarks.commits_load import commits_load
from tests.benchmarks.contract import contract
from tests.benchmarks.drs import drs
from tests.benchmarks.explore import explore
from tests.benchmarks.explore_load import explore_load
from tests.benchmarks.growth import growth
from tests.benchmarks.ingest import ingest
from tests.benchmarks.latency import latency
from tests.benchmarks.limits import limits
from tests.benchmarks.manifests import manifests
from tests.benchmarks.notifications import notifications
from tests.benchmarks.operations import operations
from tests.benchmarks.pages import pages
from tests.benchmarks.publishing import publishing
from tests.benchmarks.rclone import find_rclone
from tests.benchmarks.replication import replication
from tests.benchmarks.scale import scale
from tests.benchmarks.search import search
from tests.benchmarks.sizes import IS_FULL
from tests.benchmarks.start import start

REPORTS = Path(__file__).parents[2] / "docs" / "benchmarks"
# Each function measures a part and returns its sections; it raises LocalError.
PARTS: Mapping[str, Callable[[], str]] = {
    "start": start,
    "contract": contract,
    "drs": drs,
    "limits": limits,
    "operations": operations,
    "growth": growth,
    "latency": latency,
    "replication": replication,
    "ingest": ingest,
    "publishing": publishing,
    "notifications": notifications,
    "search": search,
    "explore": explore,
    "explore-load": explore_load,
    "manifests": manifests,
    "pages": pages,
    "commits-load": commits_load,
    "scale": scale,
    "client": client,
}

_HEADER = """\
# Benchmarks: {name}

Written by `python -m tests.benchmarks {name}`; do not edit. The whole system runs on one machine, load
generator included, so figures compare with others of the same run; they do not tell what a deployment does.

- cores: {cores}
- memory: {memory:.0f} GiB
- system: {system}; Python {python}
- load before the run: {load:.1f}
- {date} UTC; the run took {seconds:.0f} s, at {size} size

"""


def measure_part(name: str) -> Path:
    """Measure a part, write its report, and return the path of that."""
    load, began = os.getloadavg()[0], time.monotonic()
    sections = PARTS[name]()
    header = _HEADER.format(
        name=name,
        cores=f"{len(os.sched_getaffinity(0))} of {_processor()}",
        memory=int(Path("/proc/meminfo").read_text().split()[1]) / 1024**2,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        load=load,
        date=f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        seconds=time.monotonic() - began,
        size="full" if IS_FULL else "the usual",
    )
    report = REPORTS / f"{name}.md"
    report.write_text(header + sections)
    return report


def _processor() -> str:
    named = (line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line)
    return next(named, ":?").partition(":")[2].strip()


def main() -> None:
    """Measure the parts that are named, or all."""
    parser = argparse.ArgumentParser(description="Measure the system on this machine.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PARTS)}; all by default")
    names = parser.parse_args().names
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(PARTS)}")
    try:
        # Before minutes are spent.
        find_rclone()
        began = time.monotonic()
        for name in names or PARTS:
            part_began = time.monotonic()
            report = measure_part(name)
            print(f"written in {time.monotonic() - part_began:.0f} s: {report}", flush=True)
        print(f"all: {time.monotonic() - began:.0f} s", flush=True)
    except LocalError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
