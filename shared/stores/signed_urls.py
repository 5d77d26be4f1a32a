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
    """Makes URLs below `base`, and knows its own again. Raises ValueError for a key of less than 32 bytes."""

    base: str
    key: bytes
    clock: Clock

    def __post_init__(self) -> None:
        if len(self.key) < _SHORTEST_KEY:
            raise ValueError(f"signing_key_file: a key of at least {_SHORTEST_KEY} bytes is wanted")

    def sign(self, bucket: str, key: str, lifetime: timedelta, disposition: str | None) -> str:
        """Return a URL by which an object can be fetched until its lifetime is over, to the second."""
        query = {"expires": str(int((self.clock.now() + lifetime).timestamp()))}
        if disposition:
            query["disposition"] = disposition
        query["signature"] = self._signature(bucket, key, query)
        return f"{self.base}/{bucket}/{quote(key, safe='/~')}?{urlencode(query)}"

    def verify(self, bucket: str, key: str, query: Mapping[str, str]) -> None:
        """Return if `sign` made this URL and its time is not over. Raises AccessDenied."""
        # Compared as bytes: what came may be no ASCII.
        came, wanted = query.get("signature", "").encode(), self._signature(bucket, key, query).encode()
        if not hmac.compare_digest(came, wanted):
            raise AccessDenied("signature: it is not that of this URL")
        if int(query["expires"]) <= self.clock.now().timestamp():
            raise AccessDenied("expires: the time of this URL is over")

    def _signature(self, bucket: str, key: str, query: Mapping[str, str]) -> str:
        signed = json.dumps(["dss-object-1", bucket, key, query.get("expires"), query.get("disposition")])
        return hmac.new(self.key, signed.encode(), hashlib.sha256).hexdigest()
