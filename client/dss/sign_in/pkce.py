"""The authorization code grant with PKCE: the address for the browser, and the exchange of its code.

RFC 6749 (4.1), RFC 7636 (S256), RFC 8252 (loopback), RFC 9207 (`iss`), OpenID Connect Core 1.0 (3.1.3.7).
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from dss.errors import SignInFailed
from dss.sign_in.provider import Provider, post
from dss.sign_in.registration import Registration


def _random() -> str:
    return secrets.token_urlsafe(48)


@dataclass(frozen=True, kw_only=True)
class Authorization:
    """One sign-in by browser. Its secrets are made here, used once, and never stored."""

    provider: Provider
    registration: Registration
    redirect_uri: str
    state: str = field(default_factory=_random, repr=False)
    nonce: str = field(default_factory=_random, repr=False)
    verifier: str = field(default_factory=_random, repr=False)

    @property
    def url(self) -> str:
        """The address that the browser opens. Raises SignInFailed if the issuer has no such page."""
        if not self.provider.authorization_endpoint:
            raise SignInFailed(f"{self.provider.issuer} has no page for sign-in")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest())
        query = {
            "response_type": "code",
            "client_id": self.registration.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": scopes(self.provider, self.registration),
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": challenge.rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            # Google gives refresh tokens for this, and knows no scope for it; others ignore it.
            "access_type": "offline",
        }
        if self.registration.audience and self.registration.token_type == "access_token":
            # Auth0 issues JWTs for an API that is named so, and opaque tokens otherwise.
            query["audience"] = self.registration.audience
        separator = "&" if urlsplit(self.provider.authorization_endpoint).query else "?"
        return f"{self.provider.authorization_endpoint}{separator}{urlencode(query)}"

    def has_state(self, query: Mapping[str, str]) -> bool:
        """Return whether a redirect answers this sign-in, and no other."""
        return hmac.compare_digest(query.get("state", "").encode(), self.state.encode())

    def code_of(self, query: Mapping[str, str]) -> str:
        """Return the code of a redirect. Raises SignInFailed if it is another's, or consent was denied."""
        if not self.has_state(query):
            raise SignInFailed("this address belongs to another sign-in (its state differs); start again")
        if query.get("iss", self.provider.issuer).rstrip("/") != self.provider.issuer.rstrip("/"):
            raise SignInFailed(f"the answer is of another issuer, {query['iss'][:200]!r}; start again")
        if "error" in query:
            raise SignInFailed(denial(query))
        if not query.get("code"):
            raise SignInFailed("the issuer redirected without a code; start again")
        return query["code"]

    def code_of_paste(self, text: str) -> str:
        """Return the code of what a person copied: the address that the browser ended at, or the code."""
        text = text.strip()
        if "://" not in text and "=" not in text:
            # Copied from the address, it is quoted as it was there: Google's begin with 4%2F.
            return unquote(text)
        return self.code_of(dict(parse_qsl(urlsplit(text).query or text)))

    def exchange(self, code: str) -> dict[str, Any]:
        """Return the issuer's answer to a code: the tokens. Raises Refused, Unreachable."""
        return post(
            self.provider.token_endpoint,
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self.redirect_uri,
                "client_id": self.registration.client_id,
                "client_secret": self.registration.client_secret,
                "code_verifier": self.verifier,
            },
        )


def scopes(provider: Provider, registration: Registration) -> str:
    """Return the scopes to ask for, with that of refresh tokens if the issuer has it."""
    wanted = registration.scopes.split()
    if "offline_access" in provider.scopes and "offline_access" not in wanted:
        wanted.append("offline_access")
    return " ".join(wanted)


def denial(answer: Mapping[str, Any]) -> str:
    """Return in words what an OAuth error says."""
    code = str(answer.get("error"))[:100]
    if code == "access_denied":
        return "sign-in was refused in the browser (access_denied); nothing was stored"
    return f"the issuer refused: {code}: {str(answer.get('error_description', 'no details given'))[:300]}"
