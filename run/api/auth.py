"""Sign-in: callers prove who they are by a JWT of the configured issuer or of a trusted service account."""

import re
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import requests

from shared.config import Settings
from shared.errors import Forbidden, Unauthorized, Unavailable

_ALGORITHM = "RS256"
# Seconds by which the clocks of an issuer and of this machine may differ.
_LEEWAY_SECONDS = 30
# Keys are fetched again after the first number of seconds, or earlier for a token with an unknown key id, but
# not within the second: issuers rotate keys, and strangers invent key ids.
_KEY_LIFETIME_SECONDS = 3600
_MIN_FETCH_INTERVAL_SECONDS = 10
_TIMEOUT_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A person or service account that has signed in."""

    email: str
    groups: frozenset[str]
    is_admin: bool

    def require_group(self, groups: Iterable[str]) -> None:
        """Raise Forbidden unless the caller is in one of the groups, or is an admin."""
        if not self.is_admin and self.groups.isdisjoint(groups):
            raise Forbidden(f"{self.email} is not a member of any group that may write")

    def require_self(self, email: str) -> None:
        """Raise Forbidden unless the caller has this e-mail address, or is an admin."""
        if not self.is_admin and self.email != email:
            raise Forbidden(f"{self.email} is not the owner")

    def require_admin(self) -> None:
        """Raise Forbidden unless the caller is an admin."""
        if not self.is_admin:
            raise Forbidden(f"{self.email} is not an admin")


class Authenticator:
    """Verifies tokens."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys: dict[str, KeySet] = {}
        projects = "|".join(map(re.escape, settings.trusted_projects))
        self._trusted_account = re.compile(rf"[a-z0-9-]+@({projects})\.iam\.gserviceaccount\.com")

    def caller(self, authorization: str | None) -> Caller:
        """Return the caller that an `Authorization` header proves.

        Raise Unauthorized if it is missing or proves nothing, Forbidden if the token's issuer is not trusted,
        and Unavailable if the issuer's keys cannot be fetched.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorized("Authorization: send a header of the form `Bearer <token>`")
        claims = self._verified(token.strip())
        email = self._claim(claims, self._settings.oidc_email_claim)
        if not isinstance(email, str) or not email:
            raise Unauthorized(f"the token has no claim {self._settings.oidc_email_claim[0]!r}")
        if not email.isprintable():
            # A lone surrogate, say, which no answer or document can hold.
            raise Unauthorized("the token's email has characters that cannot be printed")
        # OpenID Connect Core 5.1: false if the issuer did not check the address. Some issuers send text.
        if str(claims.get("email_verified", True)).lower() != "true":
            raise Unauthorized("email_verified: the issuer has not verified this e-mail address")
        groups = self._claim(claims, self._settings.oidc_group_claim)
        listed = groups if isinstance(groups, list) else [groups]
        return Caller(
            email=email,
            groups=frozenset(group for group in listed if isinstance(group, str)),
            is_admin=email in self._settings.admin_user_emails,
        )

    def _verified(self, token: str) -> Mapping[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            claimed = jwt.decode(token, options={"verify_signature": False})
            key = self._key_set(claimed).key(str(header.get("kid", "")))
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key=key,
                algorithms=[_ALGORITHM],
                audience=self._settings.oidc_audience,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss"]},
            )
        except jwt.PyJWTError as error:
            raise Unauthorized(f"the token is not valid: {error}") from error
        return claims

    def _key_set(self, claims: Mapping[str, Any]) -> "KeySet":
        """Return the keys of the issuer that a token claims; its claims are not verified yet."""
        issuer = str(claims.get("iss", ""))
        if issuer.rstrip("/") == self._settings.oidc_issuer.rstrip("/"):
            return self._keys.setdefault(issuer, KeySet(discover=issuer))
        own = issuer == claims.get("sub") == self._claim(claims, (*self._settings.oidc_email_claim, "email"))
        if own and self._trusted_account.fullmatch(issuer):
            url = self._settings.service_account_jwks_url.replace("{email}", issuer)
            return self._keys.setdefault(issuer, KeySet(url=url))
        raise Forbidden(f"tokens of issuer {issuer[:200]!r} are not accepted")

    @staticmethod
    def _claim(claims: Mapping[str, Any], names: Iterable[str]) -> Any:
        return next((claims[name] for name in names if name in claims), None)


class KeySet:
    """The public keys of one issuer, fetched when they are needed."""

    def __init__(self, *, url: str = "", discover: str = "") -> None:
        """Fetch keys from `url`, or from the URL in the OpenID configuration of the issuer `discover`."""
        self._url = url
        self._discover = discover
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = float("-inf")

    def key(self, key_id: str) -> jwt.PyJWK:
        """Return a key by its id. Raise PyJWTError if there is none, Unavailable if the issuer is down."""
        with self._lock:
            age = time.monotonic() - self._fetched
            if age > (_KEY_LIFETIME_SECONDS if key_id in self._keys else _MIN_FETCH_INTERVAL_SECONDS):
                self._fetch()
            if key_id not in self._keys:
                raise jwt.InvalidKeyError(f"the issuer has no key {key_id[:80]!r}")
            return self._keys[key_id]

    def _fetch(self) -> None:
        try:
            if not self._url:
                configuration = self._discover.rstrip("/") + "/.well-known/openid-configuration"
                self._url = requests.get(configuration, timeout=_TIMEOUT_SECONDS).json()["jwks_uri"]
            answer = requests.get(self._url, timeout=_TIMEOUT_SECONDS)
            if answer.status_code == 404:
                keys = []
            else:
                answer.raise_for_status()
                keys = jwt.PyJWKSet.from_dict(answer.json()).keys
        except (requests.RequestException, KeyError) as error:
            raise Unavailable("the token issuer's keys cannot be fetched; try again later") from error
        self._keys = {str(key.key_id): key for key in keys}
        self._fetched = time.monotonic()
