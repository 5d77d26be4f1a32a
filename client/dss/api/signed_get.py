"""GET of signed URLs, at little cost for each: a bundle may have thousands of small files.

`requests.Session` looks at the whole environment for each request, which takes longer than the request
itself; here proxies and certificates are read from it once for each host. No token, no cookie and no password
of ~/.netrc is sent: a store refuses a signed URL that comes with one.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from dss.api.direct_gets import READ_SECONDS, DirectGets, NotUnderstood
from dss.api.first_contact import CONNECT_SECONDS
from dss.errors import CallFailed

# Connections to one host; each thread of a download uses one at a time.
_CONNECTIONS = 64
_MOST_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class SignedAnswer(Protocol):
    """The answer of a store, its body unread; `headers` have names in lower case."""

    @property
    def status(self) -> int:
        """The status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""
        ...

    def stream(self, amount: int) -> Iterator[bytes]:
        """Yield the body as it is sent, in pieces of at most so many bytes; it may end too early.

        Raises the errors of requests and of urllib3.
        """
        ...

    def failure(self, note: str = "") -> CallFailed:
        """Return the error that this answer is."""
        ...

    def close(self) -> None:
        """End; the rest of the body is not read."""
        ...


class SignedGets:
    """Opens signed URLs; threads share its connections."""

    def __init__(self, user_agent: str) -> None:
        self._user_agent = user_agent
        self._adapter = HTTPAdapter(pool_maxsize=_CONNECTIONS)
        self._routes: dict[str, _Route] = {}

    @contextmanager
    def open(self, url: str, headers: Mapping[str, str]) -> Iterator[SignedAnswer]:
        """Give the answer of a URL. Follows redirects; raises what requests raises."""
        headers = {"User-Agent": self._user_agent, **headers}
        for _ in range(_MOST_REDIRECTS):
            answer = self._open_once(url, headers)
            try:
                following = answer.headers.get("location")
                if answer.status not in _REDIRECTS or not following:
                    yield answer
                    return
            finally:
                answer.close()
            url = urljoin(url, following)
        raise requests.TooManyRedirects(f"more than {_MOST_REDIRECTS} redirects")

    def _open_once(self, url: str, headers: Mapping[str, str]) -> SignedAnswer:
        route = self._route(url)
        # Another thread may find out meanwhile that this host is not understood.
        direct = route.direct
        if direct:
            try:
                return direct.open(url, headers)
            except NotUnderstood:
                route.direct = None
        # A signed URL is quoted as it has to be; to prepare it again takes half the time of the request.
        request = requests.PreparedRequest()
        request.method, request.url, request.headers = "GET", url, CaseInsensitiveDict(headers)
        timeout = (CONNECT_SECONDS, READ_SECONDS)
        return _AnswerOfRequests(
            self._adapter.send(
                request, stream=True, timeout=timeout, verify=route.verify, proxies=route.proxies
            )
        )

    def _route(self, url: str) -> "_Route":
        scheme, _, rest = url.partition("://")
        origin = f"{scheme}://{rest.partition('/')[0]}"
        if origin not in self._routes:
            self._routes.setdefault(origin, _Route.of(origin))
        return self._routes[origin]


@dataclass
class _Route:
    """How a host is reached: `direct` until it answers what that does not understand."""

    proxies: Mapping[str, str]
    verify: Any
    direct: DirectGets | None

    @classmethod
    def of(cls, origin: str) -> "_Route":
        """Return what requests would read from the environment for a host."""
        found = requests.Session().merge_environment_settings(origin, {}, None, None, None)
        proxies, verify = found["proxies"], found["verify"]
        direct = None
        if urlsplit(origin).hostname and not requests.utils.select_proxy(origin, proxies):
            direct = DirectGets(
                origin, requests.utils.DEFAULT_CA_BUNDLE_PATH if verify is True else str(verify)
            )
        return cls(proxies=proxies, verify=verify, direct=direct)


class _AnswerOfRequests:
    """An answer that requests has received."""

    def __init__(self, answer: requests.Response) -> None:
        self.status = answer.status_code
        self.headers = {name.lower(): value for name, value in answer.headers.items()}
        self._answer = answer

    def stream(self, amount: int) -> Iterator[bytes]:
        pieces: Iterator[bytes] = self._answer.raw.stream(amount, decode_content=False)
        return pieces

    def failure(self, note: str = "") -> CallFailed:
        return CallFailed.of(self._answer, note)

    def close(self) -> None:
        self._answer.close()
