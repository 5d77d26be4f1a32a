"""GETs over connections that stay open, at a third of what they cost by way of requests.

Of a download of thousands of small files the requests are most of the work, and most of a request is spent on
what these don't need: cookies, proxies, redirects, encodings, and headers that are read as those of an
e-mail. An answer whose length is not announced, and any other that is not understood, is left to requests.
"""

import http.client
import io
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import requests

from dss.api.first_contact import CONNECT_SECONDS
from dss.errors import CallFailed

READ_SECONDS = 60
# Bytes that are received at once: mostly an answer as a whole.
_BUFFER_BYTES = 64 * 1024
# Bytes of a line, and lines of headers, as in http.client.
_MOST_LINE_BYTES = 65536
_MOST_LINES = 100


class NotUnderstood(Exception):
    """The answer needs more of HTTP than is known here."""


class DirectAnswer:
    """An answer to a GET, its body unread; `headers` have names in lower case."""

    def __init__(self, url: str, connection: "_Connection", idle: "list[_Connection]") -> None:
        self.status, self.reason, self.headers = connection.read_head()
        self._left = _length_of(self.headers, self.status)
        self._url = url
        self._connection = connection
        self._idle = idle

    def stream(self, amount: int) -> Iterator[bytes]:
        """Yield the body as it arrives, in pieces of at most so many bytes; it may end too early."""
        while self._left:
            with _as_of_requests():
                piece = self._connection.reader.read(min(amount, self._left))
            if not piece:
                return
            self._left -= len(piece)
            yield piece

    def close(self) -> None:
        """Keep the connection for the next GET if the whole body was read; close it if not."""
        if self._left or "close" in self.headers.get("connection", "").lower():
            self._connection.close()
        else:
            self._idle.append(self._connection)

    def failure(self, note: str = "") -> CallFailed:
        """Return the error that this answer is, with what the beginning of its body says."""
        answer = requests.Response()
        answer.status_code, answer.reason = self.status, self.reason
        body = b""
        with suppress(requests.RequestException):
            # An answer that nobody asked for may be of any size.
            body = next(self.stream(_BUFFER_BYTES), b"")
        answer.raw = io.BytesIO(body)
        answer.request = requests.Request("GET", self._url).prepare()
        return CallFailed.of(answer, note)


class DirectGets:
    """GETs of one host, without a proxy; threads share its connections.

    `authorities` is the file or directory of certificates that the host's has to be signed by.
    """

    def __init__(self, origin: str, authorities: str) -> None:
        parts = urlsplit(origin)
        self._host, self._port, self._name = parts.hostname or "", parts.port, parts.netloc.rpartition("@")[2]
        self._context = _context(authorities) if parts.scheme == "https" else None
        self._idle: list[_Connection] = []

    def open(self, url: str, headers: Mapping[str, str]) -> DirectAnswer:
        """Return the answer to a GET, which is to be closed.

        Raises NotUnderstood, and requests' errors for those of the network.
        """
        request = self._request(url, headers)
        while True:
            try:
                connection, is_new = self._idle.pop(), False
            except IndexError:
                with _as_of_requests():
                    connection, is_new = self._connected(), True
            try:
                with _as_of_requests():
                    connection.socket.sendall(request)
                    return DirectAnswer(url, connection, self._idle)
            except requests.ConnectionError:
                connection.close()
                # The server may have closed a connection while nobody used it.
                if is_new:
                    raise
            except BaseException:
                connection.close()
                raise

    def _request(self, url: str, headers: Mapping[str, str]) -> bytes:
        _, _, after = url.partition("://")
        _, slash, target = after.partition("/")
        target = f"{slash}{target}".partition("#")[0]
        # A signed URL is quoted as it has to be. One that is not would be another request.
        if not slash or not target.isascii() or not target.isprintable() or " " in target:
            raise NotUnderstood(url)
        lines = [f"GET {target} HTTP/1.1", f"Host: {self._name}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _connected(self) -> "_Connection":
        timeout = CONNECT_SECONDS
        # For what it knows of connecting: addresses, names in certificates, Nagle's algorithm.
        made = (
            http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._context)
            if self._context
            else http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        )
        made.connect()
        made.sock.settimeout(READ_SECONDS)
        return _Connection(made.sock)


class _Connection:
    """A connection on which answers are read."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.reader = cast(io.BufferedReader, connected.makefile("rb", _BUFFER_BYTES))

    def read_head(self) -> tuple[int, str, dict[str, str]]:
        """Return status, reason and headers of the next answer. Raises ConnectionError at the end."""
        status, *lines = self._lines()
        words = status.split(maxsplit=2)
        if len(words) < 2 or words[0] not in ("HTTP/1.1", "HTTP/1.0") or not words[1].isdecimal():
            raise NotUnderstood(status)
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return int(words[1]), words[2] if len(words) > 2 else "", headers

    def _lines(self) -> list[str]:
        # Mostly a head has come as a whole.
        end = self.reader.peek(1).find(b"\r\n\r\n")
        if end >= 0:
            return self.reader.read(end + 4)[:end].decode("latin-1").split("\r\n")
        lines: list[str] = []
        while len(lines) <= _MOST_LINES:
            line = self.reader.readline(_MOST_LINE_BYTES)
            if not line:
                raise ConnectionResetError("the server closed the connection without an answer")
            if not line.endswith(b"\n"):
                raise NotUnderstood("a line that is too long, or ends too early")
            if lines and not line.rstrip(b"\r\n"):
                return lines
            lines.append(line.decode("latin-1").rstrip("\r\n"))
        raise NotUnderstood("too many headers")

    def close(self) -> None:
        self.reader.close()
        self.socket.close()


def _length_of(headers: Mapping[str, str], status: int) -> int:
    length = headers.get("content-length", "")
    if "transfer-encoding" in headers or not length.isdecimal() or status < 200:
        raise NotUnderstood("an answer of unknown length")
    return int(length)


def _context(authorities: str) -> ssl.SSLContext:
    is_directory = Path(authorities).is_dir()
    context = ssl.create_default_context(
        cafile=None if is_directory else authorities, capath=authorities if is_directory else None
    )
    context.set_alpn_protocols(["http/1.1"])
    return context


@contextmanager
def _as_of_requests() -> Iterator[None]:
    """Raise the errors of sockets as those of requests."""
    try:
        yield
    except ssl.SSLError as error:
        raise requests.exceptions.SSLError(error) from error
    except TimeoutError as error:
        raise requests.Timeout(error) from error
    except OSError as error:
        raise requests.ConnectionError(error) from error
