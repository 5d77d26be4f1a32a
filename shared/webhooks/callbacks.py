"""Calls of URLs that users give, as subscribers do: one request each, to a checked address, with a deadline.

A user may give any URL, and this system calls it from within its own network. So each call resolves the
host name, checks all its addresses, and connects to one of those: a second lookup could return another
address (DNS rebinding).
"""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests_http_signature import HTTPSignatureAuth

from shared.errors import DssError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# As `socket.getaddrinfo` of a host and port.
Resolve = Callable[[str, int], Sequence[Any]]

# RFC 6052: the last 32 bits are an IPv4 address, to which a gateway forwards packets.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# RFC 8215: the same, for use within a network.
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
# Networks of the IANA registries of special-purpose addresses that some releases of Python count as global:
# protocol assignments (RFC 6890), 6to4 relays (RFC 7526), and documentation (RFC 9637).
_NOT_GLOBAL = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))
# Lookups at once in a process; name servers may hang, too.
_LOOKUPS = 32
_HEADERS = {"User-Agent": "DSS", "Connection": "close"}


class CallFailed(DssError):
    """A call was not answered with 2xx; `status` is that of the answer, if there was one.

    `seconds` is how long it took, if the caller has set it.
    """

    seconds = 0.0

    def __init__(self, title: str, *, status: int | None = None) -> None:
        super().__init__(title)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Callback:
    """A request to send. With a `secret` it is signed (draft-cavage-http-signatures, hmac-sha256)."""

    url: str
    method: str
    body: bytes
    form_fields: Mapping[str, str] | None = None
    payload_form_field: str = ""
    key_id: str = ""
    secret: str | None = None


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """The answer to a request: its status, headers by their names in any case, and its whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Callbacks:
    """Makes calls. `allowed` are networks that may be called although they are not public."""

    def __init__(
        self,
        allowed: Sequence[Network] = (),
        *,
        resolve: Resolve | None = None,
        authorities: str | None = None,
    ) -> None:
        """`authorities` is a file with certificates (PEM) to trust instead of the public authorities."""
        self._allowed = tuple(allowed)
        self._resolve = resolve or partial(
            socket.getaddrinfo, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
        self._authorities = authorities
        self._lookups = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="lookup")

    def call(self, callback: Callback, *, seconds: float, turn: int = 0) -> int:
        """Make one request, and return the status of its answer, 2xx. The answer's body is not read.

        Redirects are not followed. The lookup, connection and answer take `seconds` at most in all. `turn`
        selects one of several addresses. Raises CallFailed.
        """
        with _translated(seconds):
            prepared = _prepared(callback)
            with _Deadline(seconds) as deadline, self._sent(prepared, deadline, turn) as answer:
                pass
        if 200 <= answer.status_code < 300:
            return answer.status_code
        redirect = 300 <= answer.status_code < 400
        detail = "a redirect, which is not followed" if redirect else "not 2xx"
        raise CallFailed(f"answered {answer.status_code}: {detail}", status=answer.status_code)

    def fetch(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str], seconds: float, most: int
    ) -> Fetched:
        """Make one request, and return its answer with a body of `most` bytes at most, not decoded.

        Redirects are not followed. All of it takes `seconds` at most. Raises CallFailed.
        """
        with _translated(seconds):
            prepared = requests.Request(method, url, headers={**headers, **_HEADERS}).prepare()
            prepared.headers["Host"] = _host_header(prepared.url or "")
            with _Deadline(seconds) as deadline, self._sent(prepared, deadline, 0) as answer:
                body = answer.raw.read(most + 1, decode_content=False)
        if len(body) > most:
            raise CallFailed(f"its answer has more than {most} bytes", status=answer.status_code)
        return Fetched(status=answer.status_code, headers=answer.headers, body=body)

    @contextmanager
    def _sent(
        self, prepared: requests.PreparedRequest, deadline: "_Deadline", turn: int
    ) -> Iterator[requests.Response]:
        address = self._address(prepared.url or "", deadline, turn)
        with _PinnedAdapter(address, deadline) as adapter:
            answer = adapter.send(
                prepared, stream=True, timeout=deadline.left, verify=self._authorities or True
            )
            try:
                yield answer
            finally:
                answer.close()

    def _address(self, url: str, deadline: "_Deadline", turn: int) -> str:
        parts = urllib3.util.parse_url(url)
        host = (parts.host or "").strip("[]")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        lookup = self._lookups.submit(self._resolve, host, port)
        try:
            rows = lookup.result(timeout=deadline.left)
        except FutureTimeout:
            # If other lookups hang, it may not have started yet.
            lookup.cancel()
            raise CallFailed(f"{host}: the name was not resolved within {deadline.seconds:g} s") from None
        except (OSError, UnicodeError) as error:
            raise CallFailed(f"{host}: the name cannot be resolved: {error}") from error
        addresses = list(dict.fromkeys(row[4][0] for row in rows))
        for address in addresses:
            self._check(host, address)
        if not addresses:
            raise CallFailed(f"{host}: the name has no address")
        return str(addresses[turn % len(addresses)])

    def _check(self, host: str, text: str) -> None:
        if not _may_be_called(ipaddress.ip_address(text.partition("%")[0]), self._allowed):
            raise CallFailed(f"{host}: its address {text} is not public, and is not called")


def networks_of(texts: Iterable[str]) -> list[Network]:
    """Parse networks like `10.1.0.0/16`. Raises ValueError."""
    return [ipaddress.ip_network(text) for text in texts]


def check_literal_address(host: str, allowed: Sequence[Network]) -> None:
    """Raise ValueError if a URL's host is an address that is never called, in any notation, or `localhost`.

    Other names are checked when they are called.
    """
    address = _literal_address(host)
    if address is not None and not _may_be_called(address, allowed):
        raise ValueError(f"the address {address} is not public, and this system is not configured to call it")


def _literal_address(host: str) -> Address | None:
    name = host.strip("[]").partition("%")[0].rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return ipaddress.IPv4Address("127.0.0.1")
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        pass
    try:
        # Resolvers also accept `2130706433`, `0x7f.1` and `127.1`.
        return ipaddress.IPv4Address(socket.inet_aton(name))
    except OSError:
        return None


def _may_be_called(address: Address, allowed: Sequence[Network]) -> bool:
    return is_public(address) or any(
        address in network for network in allowed if network.version == address.version
    )


def is_public(address: Address) -> bool:
    """Return whether an address is on the public Internet, and so is the address that it embeds, if any."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _LOCAL_NAT64 or address.is_site_local:
            return False
        embedded = _embedded(address)
        if embedded is not None:
            return is_public(embedded)
    # Python counts multicast and some reserved addresses as global, and depends on its release for others.
    if (
        address.is_multicast
        or address.is_reserved
        or any(address in network for network in _NOT_GLOBAL if network.version == address.version)
    ):
        return False
    return address.is_global


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address.teredo:
        return address.teredo[1]
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _prepared(callback: Callback) -> requests.PreparedRequest:
    signature = (
        HTTPSignatureAuth(key=callback.secret.encode(), key_id=callback.key_id) if callback.secret else None
    )
    content: dict[str, Any] = {"data": callback.body, "headers": {"Content-Type": "application/json"}}
    if callback.form_fields is not None:
        fields = [(name, (None, value)) for name, value in callback.form_fields.items()]
        # Last: object stores that accept forms ignore the fields after the content.
        payload = (callback.payload_form_field, (None, callback.body, "application/json"))
        content = {"files": [*fields, payload]}
    request = requests.Request(callback.method, callback.url, auth=signature, **content)
    request.headers |= _HEADERS
    prepared = request.prepare()
    # The connection knows the address only.
    prepared.headers["Host"] = _host_header(prepared.url or "")
    return prepared


def _host_header(url: str) -> str:
    parts = urllib3.util.parse_url(url)
    is_default = parts.port in (None, 443 if parts.scheme == "https" else 80)
    return parts.host or "" if is_default else f"{parts.host}:{parts.port}"


class _Deadline:
    """Ends a call when its time is up, even if single bytes keep arriving."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._expired = False

    @property
    def left(self) -> float:
        """The remaining seconds; never zero, which means no timeout for a socket."""
        return max(self._ends - time.monotonic(), 0.001)

    def end(self, connection: socket.socket) -> None:
        """Have a connection shut down at the deadline."""
        with self._lock:
            # A duplicate, because TLS detaches the socket that it wraps.
            self._socket = connection.dup()
            if self._expired:
                self._shut_down()

    def __enter__(self) -> "_Deadline":
        self._timer.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._timer.cancel()
        with self._lock:
            if self._socket:
                self._socket.close()
                self._socket = None
        # An answer that was cut off after its first bytes looks complete to the libraries.
        if self._expired and not isinstance(error, CallFailed):
            raise CallFailed(f"no answer within {self.seconds:g} s") from error

    def _expire(self) -> None:
        with self._lock:
            self._expired = True
            self._shut_down()

    def _shut_down(self) -> None:
        if self._socket:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                # It is closed already.
                return


class _PinnedAdapter(HTTPAdapter):
    """Connects to one address instead of the URL's host; Host, SNI and certificate are those of the host."""

    def __init__(self, address: str, deadline: "_Deadline") -> None:
        self._address = address
        self._deadline = deadline
        self._pools: list[urllib3.HTTPConnectionPool] = []
        super().__init__()

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, *_: Any, **__: Any
    ) -> urllib3.HTTPConnectionPool:
        """Return a pool of connections to the address. `send` sets its certificates."""
        url = urllib3.util.parse_url(request.url or "")
        pool: urllib3.HTTPConnectionPool
        if url.scheme == "https":
            pool = urllib3.HTTPSConnectionPool(
                self._address,
                url.port or 443,
                server_hostname=(url.host or "").strip("[]"),
                ssl_context=_EndedContext.of(self._deadline),
            )
        else:
            pool = _EndedPool(self._address, url.port or 80, deadline=self._deadline)
        self._pools.append(pool)
        return pool

    def __enter__(self) -> "_PinnedAdapter":
        return self

    def __exit__(self, *_: object) -> None:
        for pool in self._pools:
            pool.close()
        self.close()


class _EndedConnection(urllib3.connection.HTTPConnection):
    """A connection that ends at a deadline."""

    def __init__(self, *arguments: Any, deadline: _Deadline, **more: Any) -> None:
        self._deadline = deadline
        super().__init__(*arguments, **more)

    def connect(self) -> None:
        """Connect, and end the connection at the deadline."""
        super().connect()
        self._deadline.end(self.sock)


class _EndedPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _EndedConnection


class _EndedContext(ssl.SSLContext):
    """A TLS context whose connections end at a deadline, even during their handshake."""

    _deadline: _Deadline

    @classmethod
    def of(cls, deadline: _Deadline) -> "_EndedContext":
        """Return a context for clients, which verifies certificates and host names."""
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context._deadline = deadline
        return context

    def wrap_socket(self, sock: socket.socket, *arguments: Any, **more: Any) -> ssl.SSLSocket:
        """Return a socket for TLS. The deadline ends its handshake, too."""
        self._deadline.end(sock)
        return super().wrap_socket(sock, *arguments, **more)


@contextmanager
def _translated(seconds: float) -> Iterator[None]:
    """Map the libraries' errors to CallFailed, with the cause in one line."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise CallFailed(f"TLS: {_innermost(error)}") from error
    except requests.Timeout as error:
        raise CallFailed(f"no answer within {seconds:g} s") from error
    except requests.RequestException as error:
        raise CallFailed(f"no answer: {_innermost(error)}") from error
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise CallFailed(f"the call could not be made: {_innermost(error)}") from error


def _innermost(error: BaseException) -> str:
    """Return the first cause in a chain of errors, without the addresses of Python objects."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
