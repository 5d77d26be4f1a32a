"""Times of replication beside rclone, and its lag."""

import os

from shared.checksums import MIB
from shared.config import Settings
from tests.benchmarks.copies import Contest, Copied, Load
from tests.benchmarks.lag import Lags, measure_lag
from tests.benchmarks.paused_stack import PausedStack, paused_stack
from tests.benchmarks.rclone import find_rclone, rclone_version
from tests.benchmarks.replication_report import replication_sections

LOADS = (
    Load(name="1,000 files of 100 KiB", count=1000, size=100 * 1024, rounds=2),
    Load(name="1 file of 1 GiB", count=1, size=1024 * MIB, rounds=2),
)
# Bundles a second, and for how many seconds.
RATES = {1: 20.0, 10: 20.0, 50: 10.0}


def replication() -> str:
    """Measure, and return the sections of the report. Raises LocalError."""
    find_rclone()
    with paused_stack() as stack:
        loads = [_load_average("before the copies")]
        copies = _copies(stack)
        loads.append(_load_average("before the lags"))
        lags = _lags(stack)
        loads.append(_load_average("at the end"))
        limit = Settings.from_environment({**os.environ, **stack.env}).inline_copy_bytes
    paths = [f"{load.name}: {_path(load, limit)}" for load in LOADS]
    return replication_sections(copies, lags, rclone=rclone_version(), loads=loads, paths=paths)


def _copies(stack: PausedStack) -> list[Copied]:
    contest = Contest(stack)
    contest.warm_up()
    return [row for load in LOADS for row in contest.run(load)]


def _lags(stack: PausedStack) -> list[Lags]:
    rows = []
    with stack.pushed():
        # The emulator gives the first events to the process that pushed before, and again when that has not
        # acknowledged them for some seconds.
        measure_lag(stack, 1, 1.0)
        for rate, seconds in RATES.items():
            row = measure_lag(stack, rate, seconds)
            print(row, flush=True)
            rows.append(row)
    return rows


def _path(load: Load, limit: int) -> str:
    """Say how the files were copied: `sync` logs as replicated only what it copied itself."""
    way = "streamed through `sync`" if load.size <= limit else "by the copy workflow"
    return f"{way} (what is larger than {limit:,} bytes goes to the copy workflow)"


def _load_average(when: str) -> str:
    one, five, _ = os.getloadavg()
    return f"load average {when}: {one:.1f} (1 minute), {five:.1f} (5 minutes)"
