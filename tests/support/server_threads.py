"""Servers of a test's own, each in a thread of the test's process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseServer

# Seconds between two looks at whether a server is to stop. By Python's default of half a second, the tests of
# the suite that end a server would take a minute longer altogether.
_LOOK_SECONDS = 0.02


@contextmanager
def in_thread(server: BaseServer) -> Iterator[None]:
    """Let a server answer until the block ends, then stop it and close its socket."""
    thread = threading.Thread(target=server.serve_forever, args=(_LOOK_SECONDS,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)
