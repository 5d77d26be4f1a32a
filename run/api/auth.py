"""Sign-in: callers prove who they are by a JWT of the configured issuer or of a trusted service account."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import jwt

from run.api.key_sets import AccountKeys, KeySet
from shared.access import Principal
from shared.config import Settings
from shared.errors import Forbidden, Unauthorized

_ALGORITHM = "RS256"
# Seconds by which the clocks of an issuer and of this machine may differ.
_LEEWAY_SECONDS = 30
# RFC 5321: an address has at most 254 characters.
_MOST_CHARACTERS = 254


class Authenticator:
    """Verifies tokens."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._issuer_keys = KeySet(discover=settings.oidc_issuer)
        self._account_keys = AccountKeys(settings.service_account_jwks_url)
        projects = "|".join(map(re.escape, settings.trusted_projects))
        self._trusted_account = re.compile(rf"[a-z0-9-]+@({projects})\.iam\.gserviceaccount\.com")

    def caller(self, authorization: str | None) -> Principal:
        """Return the principal that an `Authorization` header proves.

        Raise Unauthorized if it is missing or proves nothing, Forbidden if the token's issuer is not trusted,
        and Unavailable if the issuer's keys cannot be fetched.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorized("Authorization: send a header of the form `Bearer <token>`")
        claims = self._verified(token.strip())
        email = self._email(claims)
        # Also halves of surrogate pairs, which no document can hold, are not printable.
        if not isinstance(email, str) or not 0 < len(email) <= _MOST_CHARACTERS or not email.isprintable():
            raise Unauthorized(f"the token has no valid claim {self._settings.oidc_email_claim[0]!r}")
        # OpenID Connect Core 5.1: false if the issuer did not check the address. Some issuers send text.
        if str(claims.get("email_verified", True)).lower() != "true":
            raise Unauthorized("email_verified: the issuer has not verified this e-mail address")
        groups = self._claim(claims, self._settings.oidc_group_claim)
        listed = groups if isinstance(groups, list) else [groups]
        return Principal(
            email=email,
            issuer=str(claims["iss"]),
            groups=frozenset(group for group in listed if isinstance(group, str)),
            is_admin=email in self._settings.admin_user_emails,
        )

    def _verified(self, token: str) -> Mapping[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            claimed = jwt.decode(token, options={"verify_signature": False})
            key = self._key(claimed, str(header.get("kid", "")))
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

    def _key(self, claims: Mapping[str, Any], key_id: str) -> jwt.PyJWK:
        """Return a key of the issuer that a token claims; its claims are not verified yet."""
        issuer = claims.get("iss")
        if not isinstance(issuer, str) or not issuer:
            raise Unauthorized("the token has no issuer (claim 'iss')")
        if issuer.rstrip("/") == self._settings.oidc_issuer.rstrip("/"):
            return self._issuer_keys.key(key_id)
        if self._trusted_account.fullmatch(issuer) and issuer == claims.get("sub") == self._email(claims):
            return self._account_keys.key(issuer, key_id)
        raise Forbidden(f"tokens of issuer {issuer[:200]!r} are not accepted")

    def _email(self, claims: Mapping[str, Any]) -> Any:
        """Return the e-mail of a token; without such a claim a service account's is its name."""
        issuer = claims.get("iss")
        own = issuer if isinstance(issuer, str) and self._trusted_account.fullmatch(issuer) else None
        names = (*self._settings.oidc_email_claim, *(("email",) if own else ()))
        email = self._claim(claims, names)
        return own if email is None else email

    @staticmethod
    def _claim(claims: Mapping[str, Any], names: Iterable[str]) -> Any:
        return next((claims[name] for name in names if name in claims), None)
