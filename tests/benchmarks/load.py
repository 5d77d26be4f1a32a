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
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The requests: `UUID` in the target is a new one in each. Every answer must have `status`.

    `pause` is the seconds between the requests of a client. If they are `limited`, 429 is an answer too; its
    latency does not count.
    """

    host: str
    port: int
    method: str
    target: str
    headers: dict[str, str]
    body: str
    status: int
    clients: int
    seconds: float
    pause: float = 0.0
    limited: bool = False


@dataclass(frozen=True, kw_only=True)
class Result:
    """The latency of every request, in seconds, how long all of it took, and how many requests got 429.

    `began` has the moment of `time.monotonic()`, which all processes share, at which each was sent.
    """

    latencies: list[float]
    seconds: float
    refused: int = 0
    began: list[float] = field(default_factory=list)


def _client(plan: Plan, ready: Any, results: Any) -> None:
    connection = http.client.HTTPConnection(plan.host, plan.port, timeout=60)
    body = plan.body.encode() or None
    latencies, moments, refused = [], [], 0
    # The first request opens the connection, and anything else the server opens once.
    _ask(connection, plan, body)
    ready.wait()
    end = time.monotonic() + plan.seconds
    while (began := time.monotonic()) < end:
        if _ask(connection, plan, body):
            latencies.append(time.monotonic() - began)
            moments.append(began)
        else:
            refused += 1
        if plan.pause:
            time.sleep(plan.pause)
    results.put((latencies, moments, refused))


def _ask(connection: http.client.HTTPConnection, plan: Plan, body: bytes | None) -> bool:
    """Send a request; return False if it was refused by 429."""
    connection.request(plan.method, plan.target.replace("UUID", str(uuid.uuid4())), body, plan.headers)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status == 429 and plan.limited:
        return False
    if answer.status != plan.status:
        raise SystemExit(f"{plan.method} {plan.target}: {answer.status} {content[:500]!r}")
    return True


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
    found = [results.get(timeout=plan.seconds + 60) for _ in clients]
    seconds = time.monotonic() - began
    for client in clients:
        client.join()
    return Result(
        latencies=[latency for latencies, _, _ in found for latency in latencies],
        seconds=seconds,
        refused=sum(refused for _, _, refused in found),
        began=[moment for _, moments, _ in found for moment in moments],
    )


if __name__ == "__main__":
    json.dump(asdict(run(Plan(**json.load(sys.stdin)))), sys.stdout)
