"""Sign-in: who is asking, proved by a JWT that the configured issuer or a trusted service account signed."""

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
# Keys are fetched anew after this, and earlier, but not more often than the second number says, when a token
# names one that is not known: issuers rotate keys, and strangers invent key ids.
_KEYS_LIVE_SECONDS = 3600
_KEYS_REST_SECONDS = 10
_TIMEOUT_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Somebody who has signed in."""

    email: str
    groups: frozenset[str]
    is_admin: bool

    def require_group(self, groups: Iterable[str]) -> None:
        """Raise Forbidden unless the caller is in one of the groups, or is an admin."""
        if not self.is_admin and self.groups.isdisjoint(groups):
            raise Forbidden(f"{self.email} is in none of the groups that may do this")

    def require_self(self, email: str) -> None:
        """Raise Forbidden unless the caller is the person of this address, or an admin."""
        if not self.is_admin and self.email != email:
            raise Forbidden(f"{self.email} is not its owner")

    def require_admin(self) -> None:
        """Raise Forbidden unless the caller is an admin."""
        if not self.is_admin:
            raise Forbidden(f"{self.email} is no admin")


class Authenticator:
    """Tells callers by their tokens."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys: dict[str, KeySet] = {}
        projects = "|".join(map(re.escape, settings.trusted_projects))
        self._trusted_account = re.compile(rf"[a-z0-9-]+@({projects})\.iam\.gserviceaccount\.com")

    def caller(self, authorization: str | None) -> Caller:
        """Return who signed in with an `Authorization` header.

        Raises Unauthorized where it is missing or proves nothing, Forbidden where the token is of an issuer
        that is not trusted, and Unavailable where the issuer's keys cannot be had.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorized("Authorization: a header of the form `Bearer <token>` is wanted")
        claims = self._verified(token.strip())
        email = self._claim(claims, self._settings.oidc_email_claim)
        if not isinstance(email, str) or not email:
            raise Unauthorized(f"the token has no claim {self._settings.oidc_email_claim[0]!r}")
        # OpenID Connect Core 5.1: the issuer may have taken the person's word for it. Some say it as text.
        if str(claims.get("email_verified", True)).lower() != "true":
            raise Unauthorized("email_verified: the issuer has not verified that the e-mail is this person's")
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
        """Return the keys of a token's issuer, whose claims are not proved yet."""
        issuer = str(claims.get("iss", ""))
        if issuer.rstrip("/") == self._settings.oidc_issuer.rstrip("/"):
            return self._keys.setdefault(issuer, KeySet(discover=issuer))
        own = issuer == claims.get("sub") == self._claim(claims, (*self._settings.oidc_email_claim, "email"))
        if own and self._trusted_account.fullmatch(issuer):
            url = self._settings.service_account_jwks_url.replace("{email}", issuer)
            return self._keys.setdefault(issuer, KeySet(url=url))
        raise Forbidden(f"tokens of issuer {issuer[:200]!r} are not accepted here")

    @staticmethod
    def _claim(claims: Mapping[str, Any], names: Iterable[str]) -> Any:
        return next((claims[name] for name in names if name in claims), None)


class KeySet:
    """The public keys of one issuer, fetched when needed."""

    def __init__(self, *, url: str = "", discover: str = "") -> None:
        """Keys are at `url`, or where the OpenID configuration of the issuer `discover` says."""
        self._url = url
        self._discover = discover
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = float("-inf")

    def key(self, key_id: str) -> jwt.PyJWK:
        """Return a key by its id. Raises PyJWTError where the issuer has no such key, or Unavailable."""
        with self._lock:
            age = time.monotonic() - self._fetched
            if age > (_KEYS_LIVE_SECONDS if key_id in self._keys else _KEYS_REST_SECONDS):
                self._fetch()
            if key_id not in self._keys:
                raise jwt.InvalidKeyError(f"the issuer has no key {key_id[:80]!r}")
            return self._keys[key_id]

    def _fetch(self) -> None:
        try:
            if not self._url:
                where = self._discover.rstrip("/") + "/.well-known/openid-configuration"
                self._url = requests.get(where, timeout=_TIMEOUT_SECONDS).json()["jwks_uri"]
            answer = requests.get(self._url, timeout=_TIMEOUT_SECONDS)
            if answer.status_code == 404:
                keys = []
            else:
                answer.raise_for_status()
                keys = jwt.PyJWKSet.from_dict(answer.json()).keys
        except (requests.RequestException, KeyError) as error:
            raise Unavailable("the issuer's keys cannot be fetched, so no token can be checked") from error
        self._keys = {str(key.key_id): key for key in keys}
        self._fetched = time.monotonic()
