"""Lines between the system and its back ends, which can be cut, slowed down, or answer that they are busy."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Protocol

from local.servers.latency import pass_on
from local.supervisor.ports import HOST

_BLOCK = 256 * 1024
# What an object store answers that serves nothing: S3 by its code, GCS by the status alone.
_CODES = {429: b"TooManyRequests", 500: b"InternalError", 503: b"SlowDown"}
_LONGEST_SECONDS = 30


class Line:
    """A port that forwards connections to a back end; `http` if it is one of requests and answers."""

    def __init__(self, target: str, port: int, *, http: bool) -> None:
        host, _, target_port = target.rpartition(":")
        self._target = (host, int(target_port))
        self._port = port
        self._http = http
        self._open: set[asyncio.StreamWriter] = set()
        # Seconds by which each block of a request is late; and what is answered if nothing passes, else 0.
        self.delay = 0.0
        self.status = 0

    async def listen(self) -> asyncio.Server:
        """Accept connections."""
        return await asyncio.start_server(self._connected, HOST, self._port, limit=_BLOCK, backlog=1024)

    def cut(self) -> None:
        """End all connections where they are, also within a body."""
        for writer in list(self._open):
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if self.status and not self._http:
                writer.transport.abort()
                return
            answers, upstream = await asyncio.open_connection(*self._target, limit=_BLOCK)
            self._open |= {writer, upstream}
            try:
                await self._forward(reader, upstream, answers, writer)
            finally:
                self._open -= {writer, upstream}
                for each in (writer, upstream):
                    each.close()

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        back = asyncio.create_task(_pass(answers, writer))
        try:
            while block := await reader.read(_BLOCK):
                if self.status:
                    # A request whose answer was not begun; or one in the middle, which breaks off.
                    if self._http and _is_request(block):
                        writer.write(_refusal(self.status))
                        await writer.drain()
                    return
                if self.delay:
                    await asyncio.sleep(self.delay)
                upstream.write(block)
                await upstream.drain()
            upstream.write_eof()
            await back
        finally:
            back.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await back


def _refusal(status: int) -> bytes:
    body = b"<Error><Code>%b</Code></Error>" % _CODES[status]
    return (
        b"HTTP/1.1 %d Refused\r\nContent-Type: application/xml\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (status, len(body), body)
    )


def _is_request(block: bytes) -> bool:
    return block.split(b" ", 1)[0] in {b"GET", b"HEAD", b"PUT", b"POST", b"DELETE", b"PATCH"}


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        await pass_on(reader, writer)
        writer.close()


class Listens(Protocol):
    """A line, of back ends or of messages."""

    async def listen(self) -> asyncio.Server:
        """Accept connections."""
        ...


class Lines:
    """Lines by the name of their back end, served by a thread of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._lines: dict[str, Line] = {}

    def __getitem__(self, name: str) -> Line:
        return self._lines[name]

    @contextlib.contextmanager
    def running(self) -> Iterator["Lines"]:
        """Serve until the end of the block."""
        thread = threading.Thread(target=self._loop.run_forever, name="lines", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(_LONGEST_SECONDS)

    def add(self, name: str, target: str, port: int, *, http: bool) -> None:
        """Listen on a port for a back end at host:port. Raises OSError."""
        line = self._lines[name] = Line(target, port, http=http)
        self.listen(line)

    def listen(self, line: Listens) -> None:
        """Have a line accept connections. Raises OSError."""
        asyncio.run_coroutine_threadsafe(line.listen(), self._loop).result(_LONGEST_SECONDS)

    def cut(self, name: str) -> None:
        """End all connections of a line."""
        self._loop.call_soon_threadsafe(self._lines[name].cut)
