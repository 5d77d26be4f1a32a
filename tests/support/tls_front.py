"""TLS in front of an API, for clients that speak https to the host that the contract names."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from local.issuer.keys import Key
from local.supervisor.ports import HOST

NAME = "localhost"
# Bytes that are passed on at a time.
CHUNK = 64 * 1024


class TlsFront:
    """Listens at `url`, and forwards to the address of the last call of `towards`."""

    def __init__(self, directory: Path) -> None:
        key = Key.new()
        private, self.certificate = directory / "key.pem", directory / "certificate.pem"
        private.write_text(key.pem())
        self.certificate.write_text(key.certificate(NAME))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.certificate, private)
        self._target = ("", 0)
        self.url = ""

    def towards(self, url: str) -> None:
        """Pass on to the server at `url`, which speaks HTTP."""
        host, _, port = url.removeprefix("http://").partition(":")
        self._target = (host, int(port))

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Listen, at a free port."""
        async with await asyncio.start_server(self._connection, HOST, 0, ssl=self._context) as server:
            self.url = f"https://{NAME}:{server.sockets[0].getsockname()[1]}"
            yield

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection(*self._target)
        await asyncio.gather(_pass_on(reader, behind_writer), _pass_on(behind_reader, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # Either side may go when it likes.
    with contextlib.suppress(OSError), contextlib.closing(writer):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()


@contextlib.contextmanager
def tls_front(directory: Path) -> Iterator[TlsFront]:
    """Run a front in a thread of this process; `directory` gets its certificate."""
    front, listening, loop, over = (
        TlsFront(directory),
        threading.Event(),
        asyncio.new_event_loop(),
        asyncio.Event(),
    )

    async def serve() -> None:
        async with front.serving():
            listening.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert listening.wait(timeout=60)
    try:
        yield front
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(timeout=60)
