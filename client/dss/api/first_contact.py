"""Errors of the network that another try can't help: until the first answer, a wrong address stays wrong.

After it the same error may be a restart of the service, or a laptop that changes its network.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from http.client import BadStatusLine, RemoteDisconnected
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import NameResolutionError

from dss.errors import Unreachable

# A packet that opens a connection is sent again after 1 s and 3 s; TLS is negotiated within this time, too.
CONNECT_SECONDS = 4


class FirstContact:
    """What is known of the server at an origin, https://HOST; set `made` at its first answer."""

    def __init__(self, origin: str) -> None:
        self.made = False
        self._looked_up = False
        self._origin = urlsplit(origin)

    def look_up(self) -> None:
        """Raise Unreachable if no name server answers in time where the host is; do nothing after an answer.

        No time-out of a socket ends that wait, which may take minutes.
        """
        host = self._origin.hostname
        if self.made or self._looked_up or not host or _has_proxy(self._origin.geturl()):
            return
        answered = threading.Event()

        def ask() -> None:
            # Whether there is such a host is found by the one who connects.
            with contextlib.suppress(OSError, UnicodeError):
                socket.getaddrinfo(host, self._origin.port or self._origin.scheme, type=socket.SOCK_STREAM)
            answered.set()

        # It may hang for longer than this process is to live.
        threading.Thread(target=ask, daemon=True).start()
        if not answered.wait(CONNECT_SECONDS):
            raise Unreachable(
                f"no name server answers within {CONNECT_SECONDS} s where {host} is; check this machine's "
                "network, and --url, or DSS_URL"
            )
        self._looked_up = True

    def hopeless(self, error: requests.RequestException, *, seconds: float) -> str:
        """Return why an error that came after so many seconds will not go away; empty if it may."""
        host = self._origin.netloc
        causes = list(_causes(error))
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
            return f"this machine does not trust the certificate of {host}"
        if self.made:
            return ""
        if any(isinstance(cause, NameResolutionError) for cause in causes):
            return f"there is no host {self._origin.hostname}; check --url, or DSS_URL"
        silent = isinstance(error, requests.ReadTimeout) and seconds < 2 * CONNECT_SECONDS
        if any(isinstance(cause, ssl.SSLError) for cause in causes) or (silent and self._is_tls):
            return f"{host} does not speak TLS; check --url, or DSS_URL, or try http://{host}"
        if any(_is_other_protocol(cause) for cause in causes):
            return f"{host} does not speak HTTP; check --url, or DSS_URL, or try https://{host}"
        return ""

    @property
    def _is_tls(self) -> bool:
        return self._origin.scheme == "https"


def _has_proxy(url: str) -> bool:
    """Return whether a proxy, by the environment, looks the host up."""
    return bool(requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url)))


def _is_other_protocol(cause: BaseException) -> bool:
    # RemoteDisconnected is a BadStatusLine, and what a server that restarts does.
    return isinstance(cause, BadStatusLine) and not isinstance(cause, RemoteDisconnected)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it wraps: requests and urllib3 put them into `args` and `reason`."""
    waiting: list[object] = [error]
    for _ in range(20):
        if not waiting:
            return
        cause = waiting.pop()
        if isinstance(cause, BaseException):
            yield cause
            waiting += [getattr(cause, "reason", None), *cause.args]
