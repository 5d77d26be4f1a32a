"""A relay of TCP connections that a test can hold, as if the server behind it hung, and rewrite."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator


class TcpRelay:
    """Passes bytes between its `address` (host:port) and that of a server, unless `hold` was called.

    `rewrite` changes what clients send, a piece as it was received at a time.
    """

    def __init__(self, server: str, *, rewrite: Callable[[bytes], bytes] = bytes) -> None:
        host, _, port = server.rpartition(":")
        self._server = (host, int(port))
        self._rewrite = rewrite
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._passing = threading.Event()
        self._passing.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self) -> None:
        """Let nothing pass; connections stay open, and others are accepted."""
        self._passing.clear()

    def resume(self) -> None:
        """Let everything pass again, including what was held."""
        self._passing.set()

    def close(self) -> None:
        """Accept no more connections, and let those that there are end."""
        self.resume()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                for way in ((client, server, self._rewrite), (server, client, bytes)):
                    threading.Thread(target=self._pass, args=way, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, rewrite: Callable[[bytes], bytes]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._passing.wait()
                target.sendall(rewrite(data))
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def tcp_relay(server: str, *, rewrite: Callable[[bytes], bytes] = bytes) -> Iterator[TcpRelay]:
    """Run a relay to the server at host:port."""
    relay = TcpRelay(server, rewrite=rewrite)
    try:
        yield relay
    finally:
        relay.close()
