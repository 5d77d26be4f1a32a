"""How long a bundle takes from PUT's answer on `gcp` to being available on `aws`, at several rates.

The first time is taken by the load generator, the second from the log of `sync`, so measuring costs the
system nothing; both are on one machine, with one clock.
"""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from tests.benchmarks.bundle_load import BundlePlan, BundleResult
from tests.benchmarks.paused_stack import PausedStack, busy_cores
from tests.support.clouds import Clouds

FILES_EACH = 2
FILE_BYTES = 1024
# Seconds to wait for what has not come when the load has ended.
DRAIN_SECONDS = 25
_TIMEOUT_SECONDS = 120
_STAGING_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class Lags:
    """What one rate gave; times are seconds. A bundle that never came counts as infinitely late."""

    offered: float
    reached: float
    bundles: int
    arrived: int
    p50: float
    p95: float
    longest: float
    # Bundles whose event came before their files, and was delivered again.
    retried: int
    failures: int
    cores: Mapping[str, float]

    def __str__(self) -> str:
        return (
            f"{self.offered:g} bundles/s: reached {self.reached:.1f}, p50 {self.p50:.2f} s, "
            f"p95 {self.p95:.2f} s, longest {self.longest:.2f} s, {self.arrived} of {self.bundles} arrived, "
            f"{self.retried} came again, {self.failures} failures {dict(self.cores)}"
        )


def measure_lag(stack: PausedStack, rate: float, seconds: float) -> Lags:
    """Return the lags at so many bundles a second; to be called while events are pushed."""
    plan = _plan(stack, rate, round(rate * seconds))
    log = stack.sync_log()
    before, began = stack.cpu(), time.monotonic()
    result = _loaded(plan)
    cores = busy_cores(before, stack.cpu(), time.monotonic() - began)
    keys = {fqid: f"bundles/{fqid}" for fqid in result.answered}
    log.wait_for(list(keys.values()), replica="aws", seconds=DRAIN_SECONDS)
    # The event may be faster than the answer: such a bundle is no time behind.
    lags = sorted(
        max(0.0, log.done[key].ended - result.answered[fqid]) if key in log.done else float("inf")
        for fqid, key in keys.items()
    )
    if not lags:
        raise RuntimeError(f"no bundle was taken at {rate:g} a second: {result.failures[:1]}")
    return Lags(
        offered=rate,
        reached=len(lags) / result.seconds,
        bundles=len(lags),
        arrived=sum(key in log.done for key in keys.values()),
        p50=percentile(lags, 50),
        p95=percentile(lags, 95),
        longest=lags[-1],
        retried=len(log.retried.intersection(keys.values())),
        failures=len(result.failures) + len(log.failures),
        cores=cores,
    )


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Return the smallest value that so many percent of all do not exceed (nearest rank)."""
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]


def _plan(stack: PausedStack, rate: float, bundles: int) -> BundlePlan:
    clouds, where = Clouds(stack.env), urlsplit(stack.env["DSS_URL"])

    def stage(_: int) -> str:
        # No content is like another: nothing is spared because it is there already.
        return clouds.stage("gcp", os.urandom(FILE_BYTES))

    with ThreadPoolExecutor(_STAGING_THREADS) as threads:
        sources = list(threads.map(stage, range(bundles * FILES_EACH)))
    return BundlePlan(
        host=where.hostname or "",
        port=where.port or 0,
        token=stack.env["DSS_TOKEN"],
        rate=rate,
        files_each=FILES_EACH,
        sources=sources,
    )


def _loaded(plan: BundlePlan) -> BundleResult:
    answer = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.bundle_load"],
        input=json.dumps(asdict(plan)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=_TIMEOUT_SECONDS,
    )
    return BundleResult(**json.loads(answer.stdout))
