"""Check V4 signatures of URLs.

https://cloud.google.com/storage/docs/authentication/canonical-requests
"""

import contextlib
import hashlib
import hmac
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from gcs_server.errors import BadSignature, BadSignedUrl, ExpiredUrl, Forbidden
from gcs_server.preconditions import whole_number
from gcs_server.wire import Request

PARAMETERS = frozenset(
    f"X-Goog-{name}" for name in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
)
_RSA, _HMAC = "GOOG4-RSA-SHA256", "GOOG4-HMAC-SHA256"
# https://cloud.google.com/storage/docs/access-control/signed-urls: seconds
_LONGEST = 7 * 24 * 60 * 60
_CLOCK_SKEW = timedelta(minutes=15)
_CREDENTIAL = re.compile(r"([^/]+)/(\d{8}/[^/]+/storage/goog4_request)")
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")
_DATE = "%Y%m%dT%H%M%SZ"


class Signatures:
    """Checks signed URLs against keys; a signature by any public key is good."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        """Take PEM certificates or public keys, and HMAC keys as GCS describes them in JSON.

        Raises ValueError for anything else.
        """
        self._keys: list[RSAPublicKey] = []
        # By access id.
        self._secrets: dict[str, str] = {}
        for key in keys:
            if key.lstrip().startswith(b"{"):
                self._secrets.update([_hmac_key(key)])
            else:
                self._keys.append(_public_key(key))

    def verify(self, request: Request) -> None:
        """Return if a known key signed this request, and the signature is valid now.

        Raises Forbidden for an unsigned request, BadSignedUrl for a malformed one, ExpiredUrl,
        BadSignature.
        """
        query = parse_qsl(request.query, keep_blank_values=True)
        parameters = dict(query)
        if "X-Goog-Signature" not in parameters:
            raise Forbidden("Access denied.", "Anonymous caller does not have storage access.")
        missing = PARAMETERS - set(parameters)
        if missing:
            raise BadSignedUrl("A query parameter is missing.", ", ".join(sorted(missing)))
        name, scope = _credential(parameters)
        signed_at = _signed_at(parameters, scope)
        _check_time(signed_at, whole_number("X-Goog-Expires", parameters["X-Goog-Expires"]))
        canonical = canonical_request(request, query, parameters["X-Goog-SignedHeaders"])
        digest = hashlib.sha256(canonical).hexdigest()
        algorithm = parameters["X-Goog-Algorithm"]
        signed = "\n".join((algorithm, parameters["X-Goog-Date"], scope, digest)).encode()
        signature = parameters["X-Goog-Signature"]
        if algorithm == _RSA and self._is_by_a_public_key(signature, signed):
            return
        secret = self._secrets.get(name, "")
        if algorithm == _HMAC and secret and signature == _hmac_signature(secret, scope, signed):
            return
        raise BadSignature(
            "Access denied.",
            "The request signature we calculated does not match the signature you provided. Check your "
            f"Google secret key and signing method. Canonical request: {canonical.decode('latin-1')}",
        )

    def _is_by_a_public_key(self, signature: str, signed: bytes) -> bool:
        for key in self._keys:
            with contextlib.suppress(InvalidSignature, ValueError):
                key.verify(bytes.fromhex(signature), signed, PKCS1v15(), SHA256())
                return True
        return False


def _hmac_signature(secret: str, scope: str, signed: bytes) -> str:
    """Return the signature by a key that is derived from a secret, step by step of the scope."""
    key = b"GOOG4" + secret.encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    return hmac.digest(key, signed, "sha256").hex()


def _hmac_key(text: bytes) -> tuple[str, str]:
    try:
        key = json.loads(text)
        return str(key["metadata"]["accessId"]), str(key["secret"])
    except (KeyError, TypeError) as error:
        raise ValueError("an HMAC key has `metadata.accessId` and `secret`") from error


def canonical_request(request: Request, query: list[tuple[str, str]], signed_headers: str) -> bytes:
    """Return the canonical request. Raises BadSignedUrl if the signed headers aren't those of the request."""
    names = signed_headers.split(";")
    _check_headers(request, names)
    headers = "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in names)
    pairs = sorted(f"{_quoted(name)}={_quoted(value)}" for name, value in query if name != "X-Goog-Signature")
    payload = request.headers.get("x-goog-content-sha256", "UNSIGNED-PAYLOAD")
    path = quote(unquote_to_bytes(request.path), safe="/~")
    lines = (request.method, path, "&".join(pairs), headers, signed_headers, payload)
    return "\n".join(lines).encode("latin-1")


def _quoted(text: str) -> str:
    # To quote what needs no quoting takes ten times as long as to see that.
    return text if _PLAIN.fullmatch(text) else quote(text, safe="~")


def _check_headers(request: Request, names: list[str]) -> None:
    if "host" not in names:
        raise BadSignedUrl("The host header must be signed.", "X-Goog-SignedHeaders")
    for name in names:
        if name not in request.headers:
            raise BadSignedUrl(
                "Your request has a malformed header.",
                f"Header was included in signedheaders, but not in the request: {name}",
            )
    for name in request.headers:
        if name.startswith("x-goog-") and name not in names:
            raise BadSignedUrl(
                "Your request has a malformed header.",
                f"Header was included in the request, but not in signedheaders: {name}",
            )


def _public_key(pem: bytes) -> RSAPublicKey:
    if b"BEGIN CERTIFICATE" in pem:
        key = x509.load_pem_x509_certificate(pem).public_key()
    else:
        key = load_pem_public_key(pem)  # type: ignore[assignment]
    if not isinstance(key, RSAPublicKey):
        raise ValueError("a signing key must be RSA")
    return key


def _credential(parameters: dict[str, str]) -> tuple[str, str]:
    """Return who signs, and the scope."""
    if parameters["X-Goog-Algorithm"] not in (_RSA, _HMAC):
        raise BadSignedUrl("The algorithm is not served.", parameters["X-Goog-Algorithm"])
    credential = _CREDENTIAL.fullmatch(parameters["X-Goog-Credential"])
    if not credential:
        raise BadSignedUrl("The credential is malformed.", parameters["X-Goog-Credential"])
    return credential[1], credential[2]


def _signed_at(parameters: dict[str, str], scope: str) -> datetime:
    text = parameters["X-Goog-Date"]
    try:
        moment = datetime.strptime(text, _DATE).replace(tzinfo=UTC)
    except ValueError as error:
        raise BadSignedUrl("The date is malformed.", text) from error
    if not scope.startswith(text[:8]):
        raise BadSignedUrl("The date isn't the credential's.", text)
    return moment


def _check_time(signed_at: datetime, lifetime: int) -> None:
    if not 0 < lifetime <= _LONGEST:
        raise BadSignedUrl(f"X-Goog-Expires must be between 1 and {_LONGEST} seconds.", str(lifetime))
    now = datetime.now(UTC)
    if signed_at - now > _CLOCK_SKEW:
        raise Forbidden("Request is not yet valid.", signed_at.isoformat())
    if now >= signed_at + timedelta(seconds=lifetime):
        ended = (signed_at + timedelta(seconds=lifetime)).strftime("%Y-%m-%dT%H:%M:%SZ")
        raise ExpiredUrl("The provided token has expired.", f"Request signature expired at: {ended}")
