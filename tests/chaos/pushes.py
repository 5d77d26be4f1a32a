"""Lines between Pub/Sub's push side and the functions, which lose, double and delay messages or answers."""

import asyncio
import contextlib
import random

from local.supervisor.ports import HOST

# What a line does with a message.
LOST, DOUBLED, UNANSWERED, LATE = "lost", "doubled", "unanswered", "late"
# Seconds by which a message is late at most.
_LATEST = 3.0
_BLOCK = 256 * 1024
_ACKNOWLEDGED = b"HTTP/1.1 204 No Content\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class PushLine:
    """A port that takes one message for each connection, and passes it on to a function."""

    def __init__(self, target: str, port: int) -> None:
        host, _, target_port = target.rpartition(":")
        self._target = (host, int(target_port))
        self._port = port
        # An event loop itself holds tasks only weakly: one that waits for a frozen process would be lost.
        self._under_way: set[asyncio.Task[None] | None] = set()
        self.mode = ""

    async def listen(self) -> asyncio.Server:
        """Accept connections."""
        return await asyncio.start_server(self._connected, HOST, self._port, limit=_BLOCK, backlog=1024)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task: asyncio.Task[None] | None = asyncio.current_task()
        self._under_way.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                message = await _read_request(reader)
                if answer := await self._answer(message, self.mode):
                    writer.write(answer)
                    await writer.drain()
        finally:
            self._under_way.discard(task)
            writer.close()

    async def _answer(self, message: bytes, mode: str) -> bytes:
        """Return the answer to a message; none if it is to be lost."""
        if mode == LOST:
            return _ACKNOWLEDGED
        if mode == LATE:
            await asyncio.sleep(random.uniform(0, _LATEST))
        times = 2 if mode == DOUBLED else 1
        answers = await asyncio.gather(*(self._passed_on(message) for _ in range(times)))
        return b"" if mode == UNANSWERED else answers[-1]

    async def _passed_on(self, message: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self._target, limit=_BLOCK)
        try:
            writer.write(message)
            await writer.drain()
            return await reader.read(-1)
        finally:
            writer.close()


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    """Return a request, so that its receiver closes the connection after its answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    kept, size = [], 0
    for line in head.split(b"\r\n")[:-2]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            size = int(value)
        if name.lower() != b"connection":
            kept.append(line)
    return b"\r\n".join([*kept, b"Connection: close", b"", b""]) + await reader.readexactly(size)
