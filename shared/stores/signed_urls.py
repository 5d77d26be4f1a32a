"""URLs of objects that the API serves, signed by HMAC-SHA256 with a key that all its processes share."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote, urlencode

from shared.clock import Clock
from shared.errors import AccessDenied

# RFC 2104: a key shorter than the digest weakens it.
_SHORTEST_KEY = 32


@dataclass(frozen=True, kw_only=True)
class SignedUrls:
    """Signs URLs below `base`, and verifies them. Raises ValueError for a key of less than 32 bytes."""

    base: str
    key: bytes
    clock: Clock

    def __post_init__(self) -> None:
        if len(self.key) < _SHORTEST_KEY:
            raise ValueError(f"signing_key_file: {len(self.key)} bytes; it needs at least {_SHORTEST_KEY}")

    def sign(self, bucket: str, key: str, lifetime: timedelta, **headers: str | None) -> str:
        """Return a URL of an object that is valid for `lifetime`, in whole seconds.

        `headers` (`disposition` and `type`) are members of the URL by which the answer is to be served.
        """
        query = {"expires": str(int((self.clock.now() + lifetime).timestamp()))}
        query |= {name: value for name, value in headers.items() if value}
        query["signature"] = self._signature(bucket, key, query)
        return f"{self.base}/{bucket}/{quote(key, safe='/~')}?{urlencode(query)}"

    def verify(self, bucket: str, key: str, query: Mapping[str, str]) -> None:
        """Return if `sign` made this URL and it has not expired. Raises AccessDenied."""
        # Compared as bytes: a caller's signature may not be ASCII.
        given, expected = query.get("signature", "").encode(), self._signature(bucket, key, query).encode()
        if not hmac.compare_digest(given, expected):
            raise AccessDenied("signature: it does not match this URL")
        if int(query["expires"]) <= self.clock.now().timestamp():
            raise AccessDenied("expires: this URL has expired")

    def _signature(self, bucket: str, key: str, query: Mapping[str, str]) -> str:
        members = [query.get(name) for name in ("expires", "disposition", "type")]
        signed = json.dumps(["dss-object-2", bucket, key, *members])
        return hmac.new(self.key, signed.encode(), hashlib.sha256).hexdigest()
