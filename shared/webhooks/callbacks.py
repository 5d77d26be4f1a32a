"""Calls of subscribers' URLs: one request each, to an address that may be called, ended in time.

A subscriber names any URL, and this system calls it from within its own network. So the name is resolved at
every call, every address that it has is checked, and the connection goes to one that was: nobody asks the
name servers a second time, who might then say something else.
"""

import ipaddress
import socket
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
# What `socket.getaddrinfo` answers of a host and port.
Resolve = Callable[[str, int], Sequence[Any]]

# RFC 6052: the last 32 bits are an IPv4 address, to which a gateway would pass on what is sent.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# RFC 8215: as above, for use within a network.
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
# Names that are looked up at once in a process. A name server may take its time as well.
_LOOK_UPS = 32


class CallFailed(DssError):
    """A call got no answer of 2xx; `status` is that of its answer, if there was one.

    It took `seconds`, where whoever called has noted that.
    """

    seconds = 0.0

    def __init__(self, title: str, *, status: int | None = None) -> None:
        super().__init__(title)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Callback:
    """What is sent where. With a `secret` it is signed (draft-cavage-http-signatures, hmac-sha256)."""

    url: str
    method: str
    body: bytes
    form_fields: Mapping[str, str] | None = None
    payload_form_field: str = ""
    key_id: str = ""
    secret: str | None = None


class Callbacks:
    """Makes calls. `allowed` are the networks that may be called although they are not public."""

    def __init__(
        self,
        allowed: Sequence[Network] = (),
        *,
        resolve: Resolve | None = None,
        authorities: str | None = None,
    ) -> None:
        """`authorities` is a file with the certificates (PEM) of those who vouch for servers."""
        self._allowed = tuple(allowed)
        self._resolve = resolve or partial(
            socket.getaddrinfo, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
        self._authorities = authorities
        self._look_ups = ThreadPoolExecutor(_LOOK_UPS, thread_name_prefix="look-up")

    def call(self, callback: Callback, *, seconds: float, turn: int = 0) -> int:
        """Make one request, and return the status of its answer, 2xx; the answer's body is not read.

        Redirects are not followed. All of it takes `seconds` at most. Of several addresses `turn` picks one.
        Raises CallFailed.
        """
        with _told(seconds):
            prepared = _prepared(callback)
            with _Watch(seconds) as watch:
                address = self._address(prepared.url or "", watch, turn)
                with _PinnedAdapter(address, watch) as adapter:
                    answer = adapter.send(
                        prepared, stream=True, timeout=watch.left, verify=self._authorities or True
                    )
                    answer.close()
        if 200 <= answer.status_code < 300:
            return answer.status_code
        redirect = 300 <= answer.status_code < 400
        said = "a redirect, which is not followed" if redirect else "no success"
        raise CallFailed(f"answered {answer.status_code}: {said}", status=answer.status_code)

    def _address(self, url: str, watch: "_Watch", turn: int) -> str:
        parts = urllib3.util.parse_url(url)
        host = (parts.host or "").strip("[]")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        looking = self._look_ups.submit(self._resolve, host, port)
        try:
            found = looking.result(timeout=watch.left)
        except FutureTimeout:
            # Where others' names hold up all look-ups, it need not be begun any more.
            looking.cancel()
            raise CallFailed(f"{host}: the name was not resolved within {watch.seconds:g} s") from None
        except (OSError, UnicodeError) as error:
            raise CallFailed(f"{host}: the name cannot be resolved: {error}") from error
        addresses = list(dict.fromkeys(row[4][0] for row in found))
        for address in addresses:
            self._check(host, address)
        if not addresses:
            raise CallFailed(f"{host}: the name has no address")
        chosen: str = addresses[turn % len(addresses)]
        return chosen

    def _check(self, host: str, text: str) -> None:
        address = ipaddress.ip_address(text.partition("%")[0])
        if not is_public(address) and not any(
            address in network for network in self._allowed if network.version == address.version
        ):
            raise CallFailed(f"{host}: its address {text} is not public, and must not be called")


def networks_of(texts: Iterable[str]) -> list[Network]:
    """Return the networks that texts name, as `10.1.0.0/16`. Raises ValueError."""
    return [ipaddress.ip_network(text) for text in texts]


def is_public(address: Address) -> bool:
    """Tell whether an address is of the public Internet, whatever address it holds within it included."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _LOCAL_NAT64 or address.is_site_local:
            return False
        within = _embedded(address)
        if within is not None:
            return is_public(within)
    # Python calls multicast global, and some of what is reserved for the future.
    return address.is_global and not (address.is_multicast or address.is_reserved)


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
        # Last: stores that take forms ignore what comes after the content.
        payload = (callback.payload_form_field, (None, callback.body, "application/json"))
        content = {"files": [*fields, payload]}
    request = requests.Request(callback.method, callback.url, auth=signature, **content)
    request.headers |= {"User-Agent": "DSS", "Connection": "close"}
    return request.prepare()


class _Watch:
    """Ends a call when its time is up, whatever it is at, also where single bytes keep coming."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._ended = False

    @property
    def left(self) -> float:
        """The seconds that there are still; a socket takes none for time without end."""
        return max(self._ends - time.monotonic(), 0.001)

    def over(self, connection: socket.socket) -> None:
        """Watch over a connection from here on. TLS takes the socket away from its owner, hence a second."""
        with self._lock:
            self._socket = connection.dup()
            if self._ended:
                self._shut_down()

    def __enter__(self) -> "_Watch":
        self._timer.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._timer.cancel()
        with self._lock:
            if self._socket:
                self._socket.close()
                self._socket = None
        # What was cut off looks like an answer that came whole, if it had begun.
        if self._ended and not isinstance(error, CallFailed):
            raise CallFailed(f"no answer within {self.seconds:g} s") from error

    def _end(self) -> None:
        with self._lock:
            self._ended = True
            self._shut_down()

    def _shut_down(self) -> None:
        if self._socket:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                # It has ended by itself.
                return


class _PinnedAdapter(HTTPAdapter):
    """Connects to one address, whatever the URL's host; Host, SNI and certificate are those of the host."""

    def __init__(self, address: str, watch: _Watch) -> None:
        self._address = address
        self._watch = watch
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        """Make pools whose connections go where they must."""
        super().init_poolmanager(*arguments, **more)
        open_socket = partial(_open, self._address, self._watch)

        class _Plain(urllib3.connection.HTTPConnection):
            _new_conn = lambda connection: open_socket(connection)  # noqa: E731

        class _Secure(urllib3.connection.HTTPSConnection):
            _new_conn = lambda connection: open_socket(connection)  # noqa: E731

        class _PlainPool(urllib3.HTTPConnectionPool):
            ConnectionCls = _Plain

        class _SecurePool(urllib3.HTTPSConnectionPool):
            ConnectionCls = _Secure

        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}

    def __enter__(self) -> "_PinnedAdapter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open(address: str, watch: _Watch, connection: Any) -> socket.socket:
    try:
        opened = socket.create_connection((address, connection.port), timeout=watch.left)
    except TimeoutError as error:
        raise urllib3.exceptions.ConnectTimeoutError(connection, "no connection") from error
    except OSError as error:
        raise urllib3.exceptions.NewConnectionError(connection, str(error)) from error
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    watch.over(opened)
    return opened


@contextmanager
def _told(seconds: float) -> Iterator[None]:
    """Turn the libraries' errors into one that says in a line what happened."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise CallFailed(f"TLS: {_innermost(error)}") from error
    except requests.Timeout as error:
        raise CallFailed(f"no answer within {seconds:g} s") from error
    except requests.RequestException as error:
        raise CallFailed(f"no answer: {_innermost(error)}") from error
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise CallFailed(f"no call could be made: {_innermost(error)}") from error


def _innermost(error: BaseException) -> str:
    """Return what a chain of errors ends with, without the addresses of Python's objects."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
