"""An OpenID provider: its endpoints by discovery, and its token endpoint."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from dss.api.transport import OnlyOurToken, reason_of
from dss.errors import InvalidInput, SignInFailed, Unreachable

# Seconds to connect to each address of a host, and to wait for an answer.
_LOOK_UP = (2.4, 4.8)
# A token endpoint may ask other services before it answers.
_TOKEN = (2.4, 15.0)
_MOST_BYTES = 1_000_000
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Refused(SignInFailed):
    """The provider answered with an OAuth error, `code` (RFC 6749, 5.2)."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Provider:
    """What an issuer's discovery document says; endpoints that it lacks are None."""

    issuer: str
    authorization_endpoint: str | None
    token_endpoint: str
    device_authorization_endpoint: str | None
    revocation_endpoint: str | None
    scopes: tuple[str, ...]

    @classmethod
    def discover(cls, issuer: str) -> "Provider":
        """Return the provider at the URL `issuer`.

        Raises Unreachable if it does not answer within some seconds, SignInFailed if it is not a provider, or
        if an endpoint has neither TLS nor a loopback address.
        """
        url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        check_secure(url, "issuer")
        document = fetch_json(url)
        named = document.get("issuer")
        if not isinstance(named, str) or named.rstrip("/") != issuer.rstrip("/"):
            raise SignInFailed(f"{url} is about another issuer, {named!r}; use that one's URL")
        endpoints = {name: _endpoint(document, name) for name in _ENDPOINTS}
        token_endpoint = endpoints.pop("token_endpoint")
        if token_endpoint is None:
            raise SignInFailed(f"{url} has no token_endpoint: {issuer} issues no tokens to command lines")
        scopes = document.get("scopes_supported")
        known = tuple(map(str, scopes)) if isinstance(scopes, list) else ()
        return cls(issuer=named, token_endpoint=token_endpoint, scopes=known, **endpoints)


_ENDPOINTS = (
    *("authorization_endpoint", "token_endpoint", "device_authorization_endpoint", "revocation_endpoint"),
)


def _endpoint(document: Mapping[str, Any], name: str) -> str | None:
    url = document.get(name)
    if url is None:
        return None
    check_secure(str(url), name)
    return str(url)


def check_secure(url: str, what: str) -> None:
    """Raise InvalidInput unless a URL has TLS, or leads to this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return
    raise InvalidInput(f"{what}: {url!r} must begin with https://, since it is sent secrets")


def fetch_json(url: str) -> dict[str, Any]:
    """Return the JSON object at a URL. Raises Unreachable, or SignInFailed for any other answer."""
    answer, body = ask("GET", url, timeout=_LOOK_UP)
    if answer.status_code != 200:
        where = answer.headers.get("Location")
        note = f", a redirect to {where[:200]}" if answer.is_redirect and where else ""
        raise SignInFailed(f"{url} answered {answer.status_code} {answer.reason}{note}")
    return object_in(body, url)


def ask(method: str, url: str, **options: Any) -> tuple[requests.Response, bytes]:
    """Return an answer, and of its body so much that one can tell whether it is too long to be right.

    Follows no redirect, which may lead to a host without TLS, and sends no password of ~/.netrc. Raises
    Unreachable.
    """
    body = b""
    try:
        with requests.request(
            method, url, auth=OnlyOurToken(None), allow_redirects=False, stream=True, **options
        ) as answer:
            for chunk in answer.iter_content(65536):
                body += chunk
                if len(body) > _MOST_BYTES:
                    break
    except requests.RequestException as error:
        raise Unreachable(f"{url}: {reason_of(error)}") from error
    return answer, body


def post(url: str, fields: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the answer to a form, without the fields that are None; an empty one if it has no body.

    Raises Refused for an OAuth error, Unreachable if there is no answer, or one of 5xx, and SignInFailed.
    """
    form = {name: value for name, value in fields.items() if value is not None}
    answer, body = ask("POST", url, data=form, headers={"Accept": "application/json"}, timeout=_TOKEN)
    if answer.status_code == 200:
        return object_in(body, url) if body.strip() else {}
    if answer.status_code >= 500:
        raise Unreachable(f"{url} answered {answer.status_code} {answer.reason}")
    try:
        problem = object_in(body, url)
    except SignInFailed:
        problem = {}
    code = str(problem.get("error") or answer.status_code)[:100]
    description = str(problem.get("error_description") or answer.reason)[:300]
    raise Refused(code, f"{urlsplit(url).netloc} refused: {code}: {description}")


def object_in(body: bytes, url: str) -> dict[str, Any]:
    """Return the JSON object that a URL answered with. Raises SignInFailed if it is none, or too long."""
    try:
        document = json.loads(body) if len(body) <= _MOST_BYTES else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise SignInFailed(f"{url} did not answer with a JSON object")
    return document
