"""The load generator, a process of its own: `python -m tests.benchmarks.load < plan > result`, both JSON.

Each client is a process with one connection, and sends a request as soon as the last one is answered. It does
as little as possible besides: the system needs the CPU time.
"""

import http.client
import json
import multiprocessing
import sys
import time
import uuid
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The requests: `UUID` in the target is a new one in each. Every answer must have `status`."""

    host: str
    port: int
    method: str
    target: str
    headers: dict[str, str]
    body: str
    status: int
    clients: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """The latency of every request, in seconds, and how long all of it took."""

    latencies: list[float]
    seconds: float


def _client(plan: Plan, ready: Any, results: Any) -> None:
    connection = http.client.HTTPConnection(plan.host, plan.port, timeout=60)
    body = plan.body.encode() or None
    latencies = []
    # The first request opens the connection, and anything else the server opens once.
    _ask(connection, plan, body)
    ready.wait()
    end = time.monotonic() + plan.seconds
    now = time.monotonic()
    while now < end:
        began = now
        _ask(connection, plan, body)
        now = time.monotonic()
        latencies.append(now - began)
    results.put(latencies)


def _ask(connection: http.client.HTTPConnection, plan: Plan, body: bytes | None) -> None:
    connection.request(plan.method, plan.target.replace("UUID", str(uuid.uuid4())), body, plan.headers)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != plan.status:
        raise SystemExit(f"{plan.method} {plan.target}: {answer.status} {content[:500]!r}")


def run(plan: Plan) -> Result:
    """Carry out a plan, from processes that start together."""
    context = multiprocessing.get_context("fork")
    ready, results = context.Barrier(plan.clients + 1), context.Queue()
    clients = [context.Process(target=_client, args=(plan, ready, results)) for _ in range(plan.clients)]
    for client in clients:
        client.start()
    ready.wait(timeout=60)
    print("ready", file=sys.stderr, flush=True)
    began = time.monotonic()
    latencies = [latency for _ in clients for latency in results.get(timeout=plan.seconds + 60)]
    seconds = time.monotonic() - began
    for client in clients:
        client.join()
    return Result(latencies=latencies, seconds=seconds)


if __name__ == "__main__":
    json.dump(asdict(run(Plan(**json.load(sys.stdin)))), sys.stdout)
