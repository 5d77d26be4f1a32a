"""HTTP connections with limits: the time and size of a request's head, and the number of connections.

uvicorn has no such limits. A client that exceeds one gets an error, or loses its connection. It never holds a
thread, and holds memory for some seconds only.
"""

import asyncio
import http
from asyncio.events import TimerHandle
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from run.api.errors import problem_body
from shared.errors import Unavailable

# Bytes. Most proxies allow less.
MAX_HEAD = 64 * 1024
# Bytes. Old clients repeat their query, tokens included, in the URLs of pages.
MAX_URL = 8190
# File descriptors are limited, often to 1024; connections to back ends need some.
MAX_CONNECTIONS = 800


class Connection(HttpToolsProtocol):
    """A connection of a client, with `client_seconds` of the application for each thing that it has to do.

    These are: to send the head of a request, from its first byte or from the beginning of the connection, and
    after an answer to send the rest of its request or to receive the rest of the answer. The application gets
    `scope["abort"]`, which drops the connection.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.url = b""
        self._seconds: float = self.app.client_seconds
        self._head_timer: TimerHandle | None = None
        self._linger_timer: TimerHandle | None = None
        self._reading_body = False
        self._head_size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for a head; refuse one connection too many."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self._refuse(503, "service_unavailable", "too many connections are open; try again later")
        else:
            self._head_timer = self._restart(None, self._head_too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._head_timer = self._stop(self._head_timer)
        self._linger_timer = self._stop(self._linger_timer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse data; refuse a head that is too large."""
        if self.transport.is_closing():
            return
        self._head_size += len(data)
        super().data_received(data)
        if self._reading_body or self.transport.is_closing():
            return
        # What the parser keeps of a head in many pieces; one in a single piece is complete by now.
        if len(self.url) > MAX_URL:
            self._refuse(414, "request_uri_too_long", f"the URL is longer than {MAX_URL} bytes")
        elif self._head_size > MAX_HEAD:
            self._refuse(431, "request_header_fields_too_large", f"the head is longer than {MAX_HEAD} bytes")

    def on_message_begin(self) -> None:
        """Start to wait for the head, if it is not the first on its connection."""
        super().on_message_begin()
        self.scope["abort"] = self.transport.abort  # type: ignore[typeddict-unknown-key]
        self._linger_timer = self._stop(self._linger_timer)
        if not self._head_timer:
            self._head_timer = self._restart(None, self._head_too_slow)

    def on_headers_complete(self) -> None:
        """Start the application, or refuse a request for which it has no place."""
        self._head_timer = self._stop(self._head_timer)
        self._reading_body = True
        if not self._shed():
            super().on_headers_complete()

    def _shed(self) -> bool:
        """Answer a request as the application would that has no place for it; return whether that was done.

        The first request of a connection goes to the application, and so does one before which there is an
        answer that was not sent to its end.
        """
        if self.cycle is None or not self.cycle.response_complete or self.transport.get_write_buffer_size():
            return False
        if not self.parser.should_keep_alive():
            return False
        address = self.client[0] if self.client else ""
        refusal = self.app.shedding.refusal(self.parser.get_method(), self.url, self.headers, address)
        if refusal is None:
            return False
        date = b"".join(b"%s: %s\r\n" % field for field in self.server_state.default_headers)
        self.transport.write(STATUS_LINE[503] + date + refusal)
        self.server_state.total_requests += 1
        return True

    def on_message_complete(self) -> None:
        """Expect the next request."""
        super().on_message_complete()
        self._reading_body = False
        self._head_size = 0
        self.url = b""
        if self.cycle.response_complete and not self.transport.is_closing():
            # The rest of a body that the answer did not wait for. Now the connection is idle.
            self._linger_timer = self._stop(self._linger_timer)
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """Give the client time for the rest of its request, or of the answer."""
        super().on_response_complete()
        if not self.cycle.response_complete:
            # A pipelined request is next.
            return
        if self._reading_body:
            self._linger_timer = self._restart(self._linger_timer, self.transport.abort)
        elif self.transport.get_write_buffer_size():
            self._linger_timer = self._restart(self._linger_timer, self._abort_if_unread)

    def timeout_keep_alive_handler(self) -> None:
        """End an idle connection, even if its client never received the last answer."""
        self._abort_if_unread()
        super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        self._refuse(400, "illegal_arguments", "the request is not valid HTTP/1.1")

    def _head_too_slow(self) -> None:
        if self._head_size:
            self._refuse(408, "request_timeout", f"the head took more than {self._seconds} seconds")
        else:
            self.transport.close()

    def _abort_if_unread(self) -> None:
        # Closing would wait until the client has received everything.
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _refuse(self, status: int, code: str, title: str) -> None:
        """Answer outside of the application, and close."""
        body = problem_body(status, code, title).encode()
        retry_after = (
            f"retry-after: {Unavailable.retry_after}\r\n"
            if status == http.HTTPStatus.SERVICE_UNAVAILABLE
            else ""
        )
        head = (
            f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\n{retry_after}"
            f"content-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
        self._linger_timer = self._restart(self._linger_timer, self.transport.abort)

    def _restart(self, timer: TimerHandle | None, act: Callable[[], None]) -> TimerHandle:
        self._stop(timer)
        return self.loop.call_later(self._seconds, act)

    @staticmethod
    def _stop(timer: TimerHandle | None) -> None:
        if timer:
            timer.cancel()
