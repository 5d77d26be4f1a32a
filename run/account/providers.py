"""Sign-in by OpenID Connect: the authorization code grant with PKCE, `state` and `nonce`.

RFC 6749 (4.1), RFC 7636 (S256), RFC 9207 (`iss`), OpenID Connect Core 1.0 (3.1.3.7). Tokens are verified as
those of all callers are, so this needs no library beside those that `run/api/auth.py` uses.
"""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from hmac import compare_digest
from threading import Lock
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import jwt
import requests
import urllib3

from run.api.auth import ALGORITHM, LEEWAY_SECONDS, Authenticator
from run.api.issuers import OpenIdProvider
from run.browse.sessions import MOST_SECONDS, Session
from shared.config import Settings
from shared.deadlines import limited
from shared.errors import Forbidden, IllegalArguments, Unauthorized, Unavailable
from shared.issuer_settings import is_secure
from shared.sign_in_settings import SignInClient

# Seconds: how long an answer may take, how long a provider's description counts, and how long one that does
# not answer is left alone.
_SECONDS = 8.0
_SECONDS_KNOWN = 3600.0
_SECONDS_AFTER_FAILURE = 5.0
# Bytes: descriptions have some 3 KB, tokens less.
_MOST_BYTES = 256 * 1024
# Characters of what a provider says that a page shows.
_MOST_SHOWN = 200


def _random() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One sign-in that has begun; the browser keeps it, encrypted, until the provider sends it back."""

    issuer: str
    next: str
    redirect_uri: str
    state: str = field(default_factory=_random, repr=False)
    nonce: str = field(default_factory=_random, repr=False)
    verifier: str = field(default_factory=_random, repr=False)

    @classmethod
    def read(cls, kept: Mapping[str, Any] | None) -> Self | None:
        """Return the attempt that a browser has kept; None if it has none, or one of another release."""
        try:
            return cls(**kept) if kept else None
        except TypeError:
            return None


@dataclass(frozen=True, kw_only=True)
class _Endpoints:
    """What a provider's description says; `names_itself` if its answers do (RFC 9207)."""

    authorization: str
    token: str
    names_itself: bool

    @classmethod
    def of(cls, issuer: str, document: Mapping[str, Any]) -> Self:
        named = str(document.get("issuer", "")).rstrip("/")
        if named != issuer.rstrip("/"):
            raise Unavailable(
                f"{issuer} describes another issuer, {named[:_MOST_SHOWN]!r}; tell the operator"
            )
        urls = [str(document.get(f"{name}_endpoint", "")) for name in ("authorization", "token")]
        if not all(map(is_secure, urls)):
            raise Unavailable(f"{issuer} has no page for sign-in, or one without TLS; tell the operator")
        names_itself = document.get("authorization_response_iss_parameter_supported") is True
        return cls(authorization=urls[0], token=urls[1], names_itself=names_itself)


class Providers:
    """The providers of the clients of the settings; threads may share it."""

    def __init__(self, settings: Settings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._authenticator = Authenticator(settings)
        self._providers = {
            client.name: _Provider(client, OpenIdProvider(issuer), monotonic)
            for client in settings.sign_in_clients
            for issuer in settings.issuers
            if issuer.name == client.name
        }

    @property
    def clients(self) -> list[SignInClient]:
        """The clients, in the order of the setting."""
        return [provider.client for provider in self._providers.values()]

    def address(self, attempt: Attempt) -> str:
        """Return the provider's page for a sign-in. Raises Unavailable."""
        return self._named(attempt).address(attempt)

    def finish(self, attempt: Attempt, answer: Mapping[str, str], address: str) -> Session:
        """Return the session of who has signed in; `answer` is the query with which the browser came back.

        `address` is that of the browser. Raises IllegalArguments if the answer is not to this attempt,
        Forbidden if the provider says that sign-in failed, Unauthorized if the token names nobody who
        counts, and Unavailable.
        """
        provider = self._named(attempt)
        token, ends = provider.token(attempt, provider.code(attempt, answer))
        who = self._authenticator.caller(f"Bearer {token}", address)
        return Session(token=token, email=who.email, ends=ends)

    def _named(self, attempt: Attempt) -> "_Provider":
        if attempt.issuer not in self._providers:
            raise IllegalArguments("with: nobody signs in there any more; begin again")
        return self._providers[attempt.issuer]


class _Provider:
    """One provider, and this system's client there."""

    def __init__(self, client: SignInClient, issuer: OpenIdProvider, monotonic: Callable[[], float]) -> None:
        self.client = client
        self._issuer = issuer
        self._monotonic = monotonic
        self._lock = Lock()
        self._known: tuple[float, _Endpoints] | None = None
        self._failed = float("-inf")

    def address(self, attempt: Attempt) -> str:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest())
        query = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": attempt.redirect_uri,
            "scope": "openid email",
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge.rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            **({"audience": self.client.audience} if self.client.audience else {}),
        }
        page = self._endpoints().authorization
        return f"{page}{'&' if urlsplit(page).query else '?'}{urlencode(query)}"

    def code(self, attempt: Attempt, answer: Mapping[str, str]) -> str:
        """Return the code of an answer to this attempt."""
        if not compare_digest(answer.get("state", "").encode(), attempt.state.encode()):
            raise IllegalArguments(
                "state: this is not the answer to the sign-in that you began last; begin again"
            )
        named = answer.get("iss", "")
        if (named or self._endpoints().names_itself) and named.rstrip("/") != self.client.name:
            raise IllegalArguments(
                "iss: another issuer than the one that was asked has answered; begin again"
            )
        if "error" in answer:
            said = ": ".join(
                answer[name][:_MOST_SHOWN] for name in ("error", "error_description") if name in answer
            )
            raise Forbidden(f"{self.client.issuer} did not sign you in: {said}")
        if not answer.get("code"):
            raise IllegalArguments("code: missing; begin again")
        return answer["code"]

    def token(self, attempt: Attempt, code: str) -> tuple[str, int]:
        """Return the token that proves who somebody is, and when it, or the longest session, ends."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.redirect_uri,
            "client_id": self.client.client_id,
            "code_verifier": attempt.verifier,
            **({"client_secret": self.client.client_secret} if self.client.client_secret else {}),
        }
        endpoint = self._endpoints().token
        status, found = _asked(partial(requests.post, endpoint, data=form), self.client.issuer)
        if status != 200:
            said = str(found.get("error", status))[:_MOST_SHOWN]
            raise Unauthorized(f"{self.client.issuer} did not accept the code: {said}; begin again")
        try:
            claims = self._claims(str(found.get("id_token", "")), attempt)
            token = str(found["access_token" if self.client.audience else "id_token"])
            if self.client.audience:
                # Its signature is verified with all else that makes a token count.
                claims = jwt.decode(token, options={"verify_signature": False})
            return token, min(int(claims["exp"]), int(time.time()) + MOST_SECONDS)
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            raise Unauthorized(f"the token of {self.client.issuer} is not valid: {error}") from error

    def _claims(self, id_token: str, attempt: Attempt) -> Mapping[str, Any]:
        """Return the claims of an ID token that answers this attempt. Raises PyJWTError, and Unavailable."""
        unverified = jwt.decode(id_token, options={"verify_signature": False})
        key_id = str(jwt.get_unverified_header(id_token).get("kid", ""))
        claims: Mapping[str, Any] = jwt.decode(
            id_token,
            key=self._issuer.key(unverified, key_id, ""),
            algorithms=[ALGORITHM],
            audience=self.client.client_id,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "iss", "nonce"]},
        )
        if not self._issuer.signs(claims):
            raise jwt.InvalidIssuerError("iss is another issuer")
        if claims.get("azp", self.client.client_id) != self.client.client_id:
            raise jwt.InvalidTokenError("azp is another client")
        if not compare_digest(str(claims["nonce"]).encode(), attempt.nonce.encode()):
            raise jwt.InvalidTokenError("nonce is that of another sign-in")
        return claims

    def _endpoints(self) -> _Endpoints:
        with self._lock:
            now = self._monotonic()
            if self._known and now - self._known[0] < _SECONDS_KNOWN:
                return self._known[1]
            if now - self._failed < _SECONDS_AFTER_FAILURE:
                raise _unavailable(self.client.issuer)
            try:
                url = f"{self.client.name}/.well-known/openid-configuration"
                status, document = _asked(partial(requests.get, url), self.client.issuer)
                if status != 200:
                    raise _unavailable(self.client.issuer)
                self._known = now, _Endpoints.of(self.client.issuer, document)
            except Unavailable:
                self._failed = now
                raise
            return self._known[1]


def _asked(ask: Callable[..., requests.Response], issuer: str) -> tuple[int, Mapping[str, Any]]:
    """Return the status of an answer, and the JSON object that it is. Raises Unavailable."""
    try:
        # A redirect may lead to where the code, or a secret, must not go.
        with ask(timeout=limited(_SECONDS), allow_redirects=False, stream=True) as answer:
            status, body = answer.status_code, answer.raw.read(_MOST_BYTES, decode_content=True)
            document = json.loads(body)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError, RecursionError):
        # Their texts may have the code in them.
        raise _unavailable(issuer) from None
    if status >= 500 or not isinstance(document, dict):
        raise _unavailable(issuer)
    return status, document


def _unavailable(issuer: str) -> Unavailable:
    return Unavailable(f"{issuer} does not answer, so nobody can sign in there now; try again later")
