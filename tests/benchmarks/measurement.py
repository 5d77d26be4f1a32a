"""One measurement: a load on an API, and the CPU time that the API and its back ends need."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from local.api import ApiProcess
from tests.benchmarks.load import Plan, Result
from tests.benchmarks.processes import back_ends, cpu_of, used_since


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A request to measure: `UUID` in `target` is a new one in each request."""

    name: str
    method: str
    target: str
    status: int
    body: str = ""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Results; times are seconds, `cores` says how many cores each process used."""

    operation: str
    clients: int
    requests: int
    per_second: float
    p50: float
    p99: float
    cpu_per_request: float
    cores: Mapping[str, float]

    def __str__(self) -> str:
        times = f"p50 {self.p50 * 1000:6.1f} ms  p99 {self.p99 * 1000:6.1f} ms"
        cpu = f"CPU {self.cpu_per_request * 1000:6.2f} ms"
        return f"{self.operation:32} {self.clients} clients {self.per_second:8.0f}/s  {times}  {cpu}"

    @property
    def busiest(self) -> str:
        """The process that had the most CPU time."""
        return max(self.cores, key=lambda name: self.cores[name])


def measure(api: ApiProcess, token: str, operation: Operation, *, clients: int, seconds: float) -> Figures:
    """Return the figures of an operation that `clients` clients send without a pause."""
    where = urlsplit(api.url)
    plan = Plan(
        host=where.hostname or "",
        port=where.port or 0,
        method=operation.method,
        target=operation.target,
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        body=operation.body,
        status=operation.status,
        clients=clients,
        seconds=seconds,
    )
    processes = {"API": api.pid, **back_ends()}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.load"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as load:
        assert load.stdin
        assert load.stdout
        assert load.stderr
        load.stdin.write(json.dumps(asdict(plan)))
        load.stdin.close()
        # From here on every client has been answered once.
        if load.stderr.readline() != "ready\n":
            raise RuntimeError(f"{operation.name}: {load.stderr.read()}")
        before, began = cpu_of(processes), time.monotonic()
        text = load.stdout.read()
        elapsed = time.monotonic() - began
        used = used_since(before, processes)
        if load.wait() != 0:
            raise RuntimeError(f"{operation.name}: {load.stderr.read()}")
    return _figures(operation.name, clients, Result(**json.loads(text)), used, elapsed)


def _figures(name: str, clients: int, result: Result, used: Mapping[str, float], elapsed: float) -> Figures:
    ordered = sorted(result.latencies)
    return Figures(
        operation=name,
        clients=clients,
        requests=len(ordered),
        per_second=len(ordered) / result.seconds,
        p50=ordered[len(ordered) // 2],
        p99=ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
        cpu_per_request=used["API"] / len(ordered),
        cores={process: seconds / elapsed for process, seconds in used.items()},
    )
