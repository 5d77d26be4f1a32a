"""V4 signed URLs of GCS: what the client library makes, at half of what it takes beside the signature itself.

https://cloud.google.com/storage/docs/authentication/canonical-requests
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

import google.auth.credentials

# GCS: a V4 signed URL is valid for at most seven days.
_LONGEST = timedelta(days=7)
_ALGORITHM = "GOOG4-RSA-SHA256"


class UrlSigner:
    """Signs GETs of objects at `endpoint`; one key signs all of them."""

    def __init__(self, credentials: google.auth.credentials.Signing, endpoint: str) -> None:
        self._credentials = credentials
        self._endpoint = endpoint
        self._host = urlsplit(endpoint).netloc

    def sign(
        self, bucket: str, key: str, query: Mapping[str, str], *, lifetime: timedelta, now: datetime
    ) -> str:
        """Return a URL that serves an object for `lifetime`, in whole seconds, from `now` on.

        `query` has further parameters of the request, whose names begin with a small letter. Raises
        ValueError for a lifetime beyond seven days, and what the credentials raise.
        """
        if lifetime > _LONGEST:
            raise ValueError(f"lifetime: {lifetime}; a signed URL of GCS is valid for {_LONGEST} at most")
        moment = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        scope = f"{moment[:8]}/auto/storage/goog4_request"
        signer = quote(self._credentials.signer_email or "", safe="~")
        # In order, as GCS sorts them: capitals come first. All else here needs no quoting.
        parameters = [
            f"X-Goog-Algorithm={_ALGORITHM}",
            f"X-Goog-Credential={signer}%2F{scope.replace('/', '%2F')}",
            f"X-Goog-Date={moment}",
            f"X-Goog-Expires={int(lifetime.total_seconds())}",
            "X-Goog-SignedHeaders=host",
            *sorted(f"{name}={quote(value, safe='~')}" for name, value in query.items()),
        ]
        sent = "&".join(parameters)
        path = f"/{bucket}/{quote(key, safe='/~')}"
        request = f"GET\n{path}\n{sent}\nhost:{self._host}\n\nhost\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(request.encode("ascii")).hexdigest()
        signed = f"{_ALGORITHM}\n{moment}\n{scope}\n{digest}"
        signature: bytes = self._credentials.sign_bytes(signed.encode("ascii"))
        return f"{self._endpoint}{path}?{sent}&X-Goog-Signature={signature.hex()}"
