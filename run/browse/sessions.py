"""Sessions of people at the pages: an encrypted cookie that holds their token, and nothing on a server.

So every instance knows every session, and a session can do what its token can, for as long as that lives:
the token is verified, limited and audited as if it were in the header `Authorization`. The cookie is for the
pages alone; other paths never read it, so no page of another origin can call the API with it.
"""

import json
import secrets
import time
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hmac import compare_digest
from typing import Any

from cryptography.fernet import InvalidToken
from flask import Response, g, has_request_context, request
from werkzeug.http import parse_cookie

from run.api.clients import base_url
from run.api.wsgi import Environ
from shared.config import Settings
from shared.errors import Forbidden, IllegalArguments
from shared.secret_keys import secret_keys

# Seconds: a session is no longer than a day's work, even if its token is.
MOST_SECONDS = 12 * 3600
# The cookies, and the field of forms.
SESSION, FORM_KEY = "dss-session", "dss-form"
# RFC 6265bis: what begins so is of this host alone, and came by https.
_OF_THIS_HOST = "__Host-"
# RFC 6265, 6.1: browsers keep cookies of 4,096 bytes, name and attributes included.
_MOST_BYTES = 3900
# The key of a request's session in its environment.
_FOUND = "dss.session"
# Whether only cookies count that this host has set by https.
_OF_HOST_ONLY = "dss.cookies_of_host_only"


@dataclass(frozen=True, kw_only=True)
class Session:
    """Who has signed in: their token, and `email`, what pages call them; it ends at a Unix time.

    `form_key` is the secret that all forms of this session send along.
    """

    token: str = field(repr=False)
    email: str
    ends: int
    form_key: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)


def authorize(environ: Environ, settings: Settings) -> None:
    """Give a request with a session's cookie the token of the session, unless it has one of its own."""
    if _FOUND in environ:
        return
    environ[_OF_HOST_ONLY] = settings.public_url.startswith("https://")
    found = None if "HTTP_AUTHORIZATION" in environ else _session(environ, settings)
    environ[_FOUND] = found
    if found:
        environ["HTTP_AUTHORIZATION"] = f"Bearer {found.token}"


def session() -> Session | None:
    """Return the session of the current request."""
    found: Session | None = request.environ.get(_FOUND) if has_request_context() else None
    return found


def begin_session(response: Response, settings: Settings, made: Session) -> None:
    """Give a session to the browser that gets an answer.

    Raises IllegalArguments if its token is too long for a cookie.
    """
    content = seal(settings, SESSION, asdict(made))
    if len(content) > _MOST_BYTES:
        raise IllegalArguments(
            f"the token is too long for a cookie: {len(content)} bytes of {_MOST_BYTES}; ask the operator to"
            " have the issuer put less into it"
        )
    set_cookie(response, settings, SESSION, content, made.ends - int(time.time()))


def end_session(response: Response, settings: Settings) -> None:
    """Take its session from the browser that gets an answer."""
    set_cookie(response, settings, SESSION, "", 0)


def form_key() -> str:
    """Return the secret that a form of the page has to send along: of the session, or of this browser."""
    found = session()
    if found:
        return found.form_key
    known = _cookie(request.environ, FORM_KEY)
    if not known:
        known = g.new_form_key = g.get("new_form_key") or secrets.token_urlsafe(24)
    return known


def check_form_key(given: str) -> None:
    """Raise Forbidden unless a form that was sent is of a page that this browser got in this session."""
    found = session()
    expected = found.form_key if found else _cookie(request.environ, FORM_KEY)
    # Browsers say of each request which site it comes from; a form of another one never counts.
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    if site != "same-origin" or not expected or not compare_digest(given.encode(), expected.encode()):
        raise Forbidden(
            "this form is not of a page that you have open: load the page again, and send it from there"
        )


def keep_form_key(settings: Settings, response: Response) -> Response:
    """Give the browser the secret that a form of this answer has."""
    if made := g.pop("new_form_key", None):
        set_cookie(response, settings, FORM_KEY, made, None, same_site="Strict")
    return response


def set_cookie(
    response: Response,
    settings: Settings,
    name: str,
    content: str,
    seconds: int | None,
    *,
    same_site: str = "Lax",
) -> None:
    """Set a cookie that no script reads, for so many seconds, or until the browser ends; 0 removes it."""
    is_secure = base_url(settings).startswith("https://")
    response.set_cookie(
        f"{_OF_THIS_HOST}{name}" if is_secure else name,
        content,
        max_age=seconds,
        path="/",
        secure=is_secure,
        httponly=True,
        samesite=same_site,
    )


def sealed_cookie(settings: Settings, name: str, *, seconds: int) -> Mapping[str, Any] | None:
    """Return what a cookie holds that `seal` made for this name less than so many seconds ago, else None."""
    return unseal(settings, name, _cookie(request.environ, name), seconds=seconds)


def seal(settings: Settings, name: str, content: Mapping[str, Any]) -> str:
    """Return the content of a cookie: encrypted, and authenticated, so that only this system makes it."""
    # A token is long: its Base64, compressed, is three quarters of it.
    plain = _purpose(name) + zlib.compress(json.dumps(content).encode(), 9)
    return secret_keys(settings.secrets_key_file).encrypt(plain).decode()


def unseal(settings: Settings, name: str, sealed: str, *, seconds: int) -> Mapping[str, Any] | None:
    """Return the content that `seal` made for this name less than so many seconds ago; else None."""
    if not sealed or not settings.secrets_key_file:
        return None
    try:
        plain = secret_keys(settings.secrets_key_file).decrypt(sealed, ttl=seconds)
    except (InvalidToken, ValueError):
        return None
    # The same keys encrypt for other purposes.
    if not plain.startswith(_purpose(name)):
        return None
    content: Mapping[str, Any] = json.loads(zlib.decompress(plain.removeprefix(_purpose(name))))
    return content


def _session(environ: Environ, settings: Settings) -> Session | None:
    if not settings.sign_in_clients:
        return None
    content = unseal(settings, SESSION, _cookie(environ, SESSION), seconds=MOST_SECONDS)
    try:
        made = Session(**content) if content else None
    except TypeError:
        # Of another release.
        return None
    return made if made and made.ends > time.time() else None


def _cookie(environ: Environ, name: str) -> str:
    """Return a cookie; rather, or only, one that this host has set by https."""
    cookies = parse_cookie(environ)
    others = "" if environ.get(_OF_HOST_ONLY) else cookies.get(name, "")
    return cookies.get(f"{_OF_THIS_HOST}{name}") or others


def _purpose(name: str) -> bytes:
    return f"{name}\0".encode()
