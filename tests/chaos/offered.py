"""Offer requests at a rate, answered or not: `python -m tests.chaos.offered < plan > result`.

Plan and result are JSON. Clients at large do not wait for each other: what is not answered does not keep the
next request from being sent.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field

# Seconds after which a client gives up.
_PATIENCE = 40.0


@dataclass(frozen=True, kw_only=True)
class Offer:
    """`rate` requests a second for `seconds`, or, with rate 0, as many as `clients` get answered."""

    host: str
    port: int
    targets: list[str]
    headers: dict[str, str]
    seconds: float
    rate: float = 0.0
    clients: int = 0


@dataclass
class Answers:
    """How often each status came within the time, 0 for no answer, and the latencies of each in seconds.

    `offered` counts the requests; `without_retry_after` those that were refused without saying for how long.
    """

    offered: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    latencies: dict[int, list[float]] = field(default_factory=dict)
    without_retry_after: int = 0
    seconds: float = 0.0


class _Clients:
    """Connections that are kept, as many as are needed."""

    def __init__(self, offer: Offer) -> None:
        self._offer = offer
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._head = "".join(f"{name}: {value}\r\n" for name, value in offer.headers.items())
        self.answers = Answers()

    async def ask(self, number: int, ends: float) -> None:
        """Send a request, and count its answer if it comes before the end."""
        target = self._offer.targets[number % len(self._offer.targets)]
        self.answers.offered += 1
        began = time.monotonic()
        try:
            async with asyncio.timeout(_PATIENCE):
                status, may_retry = await self._ask(target)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            status, may_retry = 0, True
        now = time.monotonic()
        if now <= ends:
            self.answers.statuses[status] = self.answers.statuses.get(status, 0) + 1
            self.answers.latencies.setdefault(status, []).append(now - began)
            self.answers.without_retry_after += not may_retry

    async def _ask(self, target: str) -> tuple[int, bool]:
        if self._idle:
            reader, writer = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection(self._offer.host, self._offer.port)
        try:
            writer.write(f"GET {target} HTTP/1.1\r\nHost: {self._offer.host}\r\n{self._head}\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
            fields = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
            await reader.readexactly(int(fields.get("content-length", 0)))
        except BaseException:
            writer.close()
            raise
        if fields.get("connection") == "close":
            writer.close()
        else:
            self._idle.append((reader, writer))
        status = int(head[0].split()[1])
        return status, status not in (429, 503) or "retry-after" in fields


async def offer(plan: Offer) -> Answers:
    """Carry out a plan."""
    clients = _Clients(plan)
    began = time.monotonic()
    ends = began + plan.seconds

    async def repeat(first: int) -> None:
        number = first
        while time.monotonic() < ends:
            await clients.ask(number, ends)
            number += plan.clients

    if not plan.rate:
        await asyncio.gather(*(repeat(first) for first in range(plan.clients)))
    else:
        under_way: set[asyncio.Task[None]] = set()
        number = 0
        while (now := time.monotonic()) < ends:
            while number < (now - began) * plan.rate:
                task = asyncio.create_task(clients.ask(number, ends))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                number += 1
            await asyncio.sleep(0.002)
        for task in under_way:
            task.cancel()
    clients.answers.seconds = plan.seconds
    return clients.answers


def main() -> None:
    """Carry out the plan of standard input."""
    answers = asyncio.run(offer(Offer(**json.load(sys.stdin))))
    json.dump(asdict(answers), sys.stdout)


if __name__ == "__main__":
    main()
