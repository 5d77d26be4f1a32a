"""GET of signed URLs, at little cost for each: a bundle may have thousands of small files.

`requests.Session` looks at the whole environment for each request, which takes longer than the request
itself; here proxies and certificates are read from it once for each host. No token, no cookie and no password
of ~/.netrc is sent: a store refuses a signed URL that comes with one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from dss.api.first_contact import CONNECT_SECONDS

_READ_SECONDS = 60
# Connections to one host; each thread of a download uses one at a time.
_CONNECTIONS = 64
_MOST_REDIRECTS = 3


@dataclass(frozen=True, kw_only=True)
class _Route:
    """How a host is reached: what requests reads from the environment for it."""

    proxies: Mapping[str, str]
    verify: Any


class SignedGets:
    """Opens signed URLs; threads share its connections."""

    def __init__(self, user_agent: str) -> None:
        self._user_agent = user_agent
        self._adapter = HTTPAdapter(pool_maxsize=_CONNECTIONS)
        self._routes: dict[str, _Route] = {}

    def open(self, url: str, headers: Mapping[str, str]) -> requests.Response:
        """Return the response of a URL, its body unread. Follows redirects; raises what requests raises."""
        for _ in range(_MOST_REDIRECTS):
            answer = self._open_once(url, headers)
            following = answer.headers.get("Location")
            if not answer.is_redirect or not following:
                return answer
            answer.close()
            url = requests.compat.urljoin(url, following)
        raise requests.TooManyRedirects(f"more than {_MOST_REDIRECTS} redirects")

    def _open_once(self, url: str, headers: Mapping[str, str]) -> requests.Response:
        route = self._route(url)
        return self._adapter.send(
            self._prepared(url, headers),
            stream=True,
            timeout=(CONNECT_SECONDS, _READ_SECONDS),
            verify=route.verify,
            proxies=route.proxies,
        )

    def _prepared(self, url: str, headers: Mapping[str, str]) -> requests.PreparedRequest:
        # A signed URL is quoted as it has to be; to prepare it again takes half the time of the request.
        request = requests.PreparedRequest()
        request.method, request.url = "GET", url
        request.headers = CaseInsensitiveDict({"User-Agent": self._user_agent, **headers})
        return request

    def _route(self, url: str) -> _Route:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._routes:
            # Threads may look at once, and find the same.
            found = requests.Session().merge_environment_settings(origin, {}, None, None, None)
            self._routes[origin] = _Route(proxies=found["proxies"], verify=found["verify"])
        return self._routes[origin]
