"""Delay every request by a fixed time: a TCP proxy in front of the emulators.

    python -m local.servers.latency MILLISECONDS PORT=HOST:PORT ...

It forwards the bytes of a client after the delay, in order, and those of the server at once. So a request
takes that much longer, with a connection of its own (HTTP/1.1) or a shared one (gRPC). Requests that don't
wait for each other overlap, and a long body is delayed only once, as over a long line. Connecting takes no
longer.
"""

import argparse
import asyncio
import contextlib
import signal
from dataclasses import dataclass

from local.supervisor.ports import HOST

# Bytes read at once, and blocks that wait for their time on one connection: 64 MiB at most.
_BLOCK = 256 * 1024
_WAITING_BLOCKS = 256


@dataclass(frozen=True)
class Route:
    """A port, and the address to which its connections are forwarded."""

    port: int
    host: str
    target_port: int

    @classmethod
    def parse(cls, text: str) -> "Route":
        """Parse PORT=HOST:PORT. Raises ValueError."""
        port, _, target = text.partition("=")
        host, _, target_port = target.rpartition(":")
        return cls(int(port), host, int(target_port))


async def serve(seconds: float, routes: list[Route]) -> list[asyncio.Server]:
    """Listen on every route's port of HOST, and delay requests by `seconds`. Raises OSError."""

    async def listen(route: Route) -> asyncio.Server:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                await _forward(route, seconds, reader, writer)

        return await asyncio.start_server(connected, HOST, route.port, limit=_BLOCK, backlog=1024)

    return [await listen(route) for route in routes]


async def _forward(
    route: Route, seconds: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Forward a connection both ways until one side has closed it."""
    with contextlib.closing(writer):
        answers, upstream = await asyncio.open_connection(route.host, route.target_port, limit=_BLOCK)
        with contextlib.closing(upstream):
            sending = asyncio.create_task(_send_delayed(reader, upstream, seconds))
            try:
                await pass_on(answers, writer)
            finally:
                sending.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError):
                    await sending


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Write all that comes, block by block, until its end. Raises OSError."""
    while block := await reader.read(_BLOCK):
        writer.write(block)
        await writer.drain()


async def _send_delayed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """Send each block `seconds` after it arrived, and the end of the stream as well."""
    clock = asyncio.get_running_loop().time
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_WAITING_BLOCKS)

    async def receive() -> None:
        block = b"-"
        while block:
            try:
                block = await reader.read(_BLOCK)
            except OSError:
                block = b""
            await waiting.put((clock() + seconds, block))

    receiving = asyncio.create_task(receive())
    try:
        while True:
            due, block = await waiting.get()
            await asyncio.sleep(due - clock())
            if not block:
                break
            writer.write(block)
            await writer.drain()
        writer.write_eof()
    finally:
        receiving.cancel()


async def _run(seconds: float, routes: list[Route]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    servers = await serve(seconds, routes)
    await stop.wait()
    for server in servers:
        server.close()


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="Delay every request by a fixed time.")
    parser.add_argument("milliseconds", type=float)
    parser.add_argument("routes", nargs="+", type=Route.parse, metavar="PORT=HOST:PORT")
    arguments = parser.parse_args()
    asyncio.run(_run(arguments.milliseconds / 1000, arguments.routes))


if __name__ == "__main__":
    main()
