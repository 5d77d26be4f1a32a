"""Sign-in: callers prove who they are by a token of an issuer that this deployment trusts."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jwt

from run.api.access_tokens import AccessTokens
from run.api.issuers import Issuer, OpenIdProvider, ServiceAccounts
from run.api.verified_tokens import Verified, VerifiedTokens
from shared.access import Principal
from shared.config import Settings
from shared.errors import Forbidden, Unauthorized

ALGORITHM = "RS256"
# Seconds by which the clocks of an issuer and of this machine may differ.
LEEWAY_SECONDS = 30


class Authenticator:
    """Verifies tokens: JSON Web Tokens of all issuers, and access tokens if the settings allow them."""

    def __init__(self, settings: Settings) -> None:
        self._admins = frozenset(settings.admin_user_emails)
        accounts = ServiceAccounts(settings)
        first, *others = settings.issuers
        providers = (OpenIdProvider(first, is_first=True), *map(OpenIdProvider, others))
        self._issuers: tuple[Issuer, ...] = (*providers, accounts)
        self._verified = VerifiedTokens(leeway=LEEWAY_SECONDS)
        self._access_tokens = (
            AccessTokens(settings.token_info_url, clients=settings.token_info_clients, trusts=accounts.trusts)
            if settings.token_info_url
            else None
        )

    def caller(self, authorization: str | None, client: str = "") -> Principal:
        """Return the principal that an `Authorization` header proves; `client` is the address of its sender.

        Raise Unauthorized if it is missing or proves nothing, Forbidden if the token's issuer is not trusted,
        and Unavailable if the issuer does not answer, or if the client has sent too many forged tokens.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorized("Authorization: send a header of the form `Bearer <token>`")
        who = self._identity(token.strip(), client)
        return replace(who, is_admin=who.email in self._admins)

    def _identity(self, token: str, client: str) -> Principal:
        try:
            if known := self._verified.find(token, client):
                return known
            header = _header(token)
            if header is None and self._access_tokens:
                return self._access_tokens.identity(token, client)
            # What has expired proves nothing, whether or not its issuer answers.
            claimed = jwt.decode(
                token, leeway=LEEWAY_SECONDS, options={"verify_signature": False, "verify_exp": True}
            )
            issuer, key_id = self._issuer(claimed), str((header or {}).get("kid", ""))
            key = issuer.key(claimed, key_id, client)
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key=key,
                algorithms=[ALGORITHM],
                audience=issuer.audiences,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss"]},
            )
        except jwt.PyJWTError as error:
            raise Unauthorized(f"the token is not valid: {error}") from error
        who = issuer.identity(claims)
        verified = Verified(who=who, issuer=issuer, claims=claims, key_id=key_id, key=key)
        self._verified.remember(token, verified)
        return who

    def _issuer(self, claims: Mapping[str, Any]) -> Issuer:
        """Return the issuer that a token claims; its claims are not verified yet."""
        name = claims.get("iss")
        if not isinstance(name, str) or not name:
            raise Unauthorized("the token has no issuer (claim 'iss')")
        for issuer in self._issuers:
            if issuer.signs(claims):
                return issuer
        raise Forbidden(f"tokens of issuer {name[:200]!r} are not accepted")


def _header(token: str) -> Mapping[str, Any] | None:
    """Return the header of a JWT, or None if a token is none. Raise PyJWTError if its header is not valid."""
    try:
        header: Mapping[str, Any] = jwt.get_unverified_header(token)
    except jwt.DecodeError:
        return None
    return header
