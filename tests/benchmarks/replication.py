"""The lag of replication."""

import os

from tests.benchmarks.lag import Lags, measure_lag
from tests.benchmarks.paused_stack import PausedStack, paused_stack
from tests.benchmarks.replication_report import lag_sections

# Bundles a second, and for how many seconds.
RATES = {1: 20.0, 10: 20.0, 50: 10.0}


def replication() -> str:
    """Measure, and return the sections of the report. Raises LocalError."""
    with paused_stack() as stack:
        loads = [_load_average("before")]
        lags = _lags(stack)
        loads.append(_load_average("at the end"))
    return lag_sections(lags, loads=loads)


def _lags(stack: PausedStack) -> list[Lags]:
    rows = []
    with stack.pushed():
        # All processes open their connections.
        measure_lag(stack, 1, 1.0)
        for rate, seconds in RATES.items():
            row = measure_lag(stack, rate, seconds)
            print(row, flush=True)
            rows.append(row)
    return rows


def _load_average(when: str) -> str:
    one, five, _ = os.getloadavg()
    return f"load average {when}: {one:.1f} (1 minute), {five:.1f} (5 minutes)"
