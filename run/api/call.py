"""One request, as the handlers see it: who asks, by which address, and what they may use to answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import request

from run.api.auth import Caller
from run.api.memory_budget import MemoryBudget
from shared.config import Settings
from shared.errors import Unauthorized
from shared.system import Dss


@dataclass(frozen=True, kw_only=True)
class Call:
    """What a handler is given beside the arguments that the contract names.

    `repeat_key` is what the header `Idempotency-Key` says, by which a request that is sent again is known.
    """

    dss: Dss
    caller: Caller | None
    base_url: str
    path: str
    query: Mapping[str, str]
    rooms: MemoryBudget
    repeat_key: str = ""

    @property
    def signed_in(self) -> Caller:
        """The caller of a secured operation. Raises Unauthorized in one that is not."""
        if self.caller is None:
            raise Unauthorized("this operation wants a token")
        return self.caller

    def url(self, **changes: str | int) -> str:
        """Return the absolute URL of this request, with these query parameters put in or replaced.

        The changed ones come first: old clients append the original query to what they are given, and of
        two parameters with one name the first counts.
        """
        kept = {name: value for name, value in self.query.items() if name not in changes}
        return f"{self.base_url}{self.path}?{urlencode({**changes, **kept})}"


def base_url(settings: Settings) -> str:
    """Return `scheme://host` by which the client of the current request reaches the API."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    scheme = _first(request.headers.get("X-Forwarded-Proto")) or request.scheme
    host = _first(request.headers.get("X-Forwarded-Host")) or request.host
    return f"{scheme}://{host}"


def _first(header: str | None) -> str:
    """Return the entry that the outermost proxy wrote."""
    return (header or "").partition(",")[0].strip()
