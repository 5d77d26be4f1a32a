"""A login: made of an issuer's answer, stored, refreshed by one process at a time, ended."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dss.errors import InvalidInput, SignInFailed
from dss.sign_in.provider import Provider, Refused, post
from dss.sign_in.registration import Registration
from dss.sign_in.sources import Issued, RefreshedToken
from dss.sign_in.store import LoginStore, StoredLogin
from dss.tokens import claims_of

# Seconds: providers that don't say how long a token lives have such as live an hour.
_LIFETIME = 3600.0


def new_login(
    url: str,
    provider: Provider,
    registration: Registration,
    answer: Mapping[str, Any],
    *,
    nonce: str | None = None,
) -> StoredLogin:
    """Return the login at a DSS that an issuer's answer makes. Raises SignInFailed if it lacks something.

    The ID token came from the issuer itself, so that its signature need not be verified (OpenID Connect Core
    1.0, 3.1.3.7); issuer, audience and nonce must be right.
    """
    claims = _claims(answer.get("id_token"))
    if claims:
        _check(claims, provider.issuer, registration.client_id, nonce)
    issued = _issued(answer, registration.token_type)
    refresh_token = _text(answer.get("refresh_token"))
    return StoredLogin(
        url=url,
        issuer=provider.issuer,
        client_id=registration.client_id,
        client_secret=registration.client_secret,
        token_endpoint=provider.token_endpoint,
        revocation_endpoint=provider.revocation_endpoint,
        token_type=registration.token_type,
        token=issued.token,
        refresh_token=refresh_token,
        # What can't be refreshed is used to its end.
        refresh_at=issued.refresh_at if refresh_token else issued.expires_at,
        expires_at=issued.expires_at,
        claims=claims,
    )


def _claims(id_token: Any) -> dict[str, Any]:
    try:
        return claims_of(id_token) if isinstance(id_token, str) else {}
    except InvalidInput as error:
        raise SignInFailed(f"the issuer's ID token is not a JWT: {error}") from error


def _check(claims: Mapping[str, Any], issuer: str, client_id: str, nonce: str | None) -> None:
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if str(claims.get("iss")).rstrip("/") != issuer.rstrip("/"):
        raise SignInFailed(f"the ID token is of another issuer, {claims.get('iss')!r}")
    if client_id not in audiences:
        raise SignInFailed(f"the ID token is for another client, {audience!r}")
    if nonce is not None and claims.get("nonce") != nonce:
        raise SignInFailed("the ID token belongs to another sign-in (its nonce differs); start again")


def _issued(answer: Mapping[str, Any], token_type: str) -> Issued:
    """Return the token that is sent to the DSS. Its life is counted from now: clocks may differ."""
    token = _text(answer.get(token_type))
    if token is None:
        raise SignInFailed(f"the issuer sent no {token_type}; it sent: {', '.join(sorted(answer))}")
    return Issued.now(token, _lifetime(token, answer))


def _lifetime(token: str, answer: Mapping[str, Any]) -> float:
    try:
        claims = claims_of(token)
    except InvalidInput:
        claims = {}
    expires, issued = claims.get("exp"), claims.get("iat")
    if isinstance(expires, int | float) and isinstance(issued, int | float) and expires > issued:
        return float(expires - issued)
    seconds = answer.get("expires_in")
    return float(seconds) if isinstance(seconds, int | float) and seconds > 0 else _LIFETIME


def _text(value: Any) -> str | None:
    return value if value and isinstance(value, str) else None


class Login(RefreshedToken):
    """The stored login at a DSS. Of all processes that use it, one refreshes it, and the others read that."""

    def __init__(self, login: StoredLogin, store: LoginStore) -> None:
        super().__init__(f"login at {login.issuer}")
        self._url = login.url
        self._store = store
        self._current = _issued_of(login)

    def _issue(self, current: Issued | None) -> Issued:
        with self._store.lock():
            login = self._store.load(self._url)
            if login is None:
                raise SignInFailed(f"you have logged out of {self._url}; run `dss login`")
            if current is None or login.token == current.token or time.time() >= login.refresh_at:
                login = refreshed(login)
                self._store.save(login)
        return _issued_of(login)


def _issued_of(login: StoredLogin) -> Issued:
    return Issued(token=login.token, expires_at=login.expires_at, refresh_at=login.refresh_at)


def refreshed(login: StoredLogin) -> StoredLogin:
    """Return a login with a new token. Raises SignInFailed if the issuer has ended it, and Unreachable."""
    again = f"run `dss login --url {login.url}`"
    if login.refresh_token is None:
        if time.time() < login.expires_at:
            raise SignInFailed(f"{login.issuer} gives no other token for your login at {login.url}; {again}")
        raise SignInFailed(
            f"your login at {login.url} has expired, and {login.issuer} does not refresh it; {again}"
        )
    fields = {
        "grant_type": "refresh_token",
        "refresh_token": login.refresh_token,
        "client_id": login.client_id,
        "client_secret": login.client_secret,
    }
    try:
        answer = post(login.token_endpoint, fields)
    except Refused as error:
        raise SignInFailed(f"your login at {login.url} has ended ({error}); {again}") from error
    issued = _issued(answer, login.token_type)
    return replace(
        login,
        token=issued.token,
        refresh_at=issued.refresh_at,
        expires_at=issued.expires_at,
        refresh_token=_text(answer.get("refresh_token")) or login.refresh_token,
        claims=_claims(answer.get("id_token")) or login.claims,
    )


def has_revocable(login: StoredLogin) -> bool:
    """Return whether a login has a token that an issuer may revoke: to refresh it, or for access."""
    return login.refresh_token is not None or login.token_type == "access_token"


def revoke(login: StoredLogin) -> bool:
    """Revoke a login at its issuer (RFC 7009), if it can; return whether. Raises Refused, Unreachable.

    An ID token alone can't be revoked; issuers answer to one as if it could.
    """
    if not login.revocation_endpoint or not has_revocable(login):
        return False
    post(
        login.revocation_endpoint,
        {
            "token": login.refresh_token or login.token,
            "token_type_hint": "refresh_token" if login.refresh_token else "access_token",
            "client_id": login.client_id,
            "client_secret": login.client_secret,
        },
    )
    return True
