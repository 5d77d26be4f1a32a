"""Opaque access tokens, as Google issues them: an endpoint of the issuer tells whose a token is.

No token is kept, logged or named in an error: they are remembered by their SHA-256. Only identities are
remembered; what they may do is decided anew at each request.
"""

import hashlib
import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import requests
import urllib3

from run.api.identities import identity_of
from run.api.lookup_limit import LookupLimit
from shared.access import Principal
from shared.deadlines import limited
from shared.errors import TooManyLookups, Unauthorized, Unavailable

# RFC 6750, 2.1; Google: access tokens have at most 2,048 bytes.
_FORM = re.compile(r"[A-Za-z0-9._~+/-]{16,2048}=*")
# Seconds: how long the endpoint may take to answer, how long an answer counts at most (so long a token is
# accepted that was revoked), and how long a refused token is refused without another question.
SECONDS = 5.0
MOST_SECONDS_KNOWN = 300.0
_SECONDS_REFUSED = 60.0
# Tokens that are remembered, good and refused ones; lookups at once, each in a thread.
MOST_KNOWN = 5000
MOST_AT_ONCE = 16
# An answer has some 400 bytes.
_MOST_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What the endpoint said of a token: who it is, or why it is nobody. Moments are of the clock."""

    who: Principal | None = None
    refusal: str = ""
    # Until when it need not be asked again, and until when the token lives.
    until: float
    ends: float = 0.0


class AccessTokens:
    """Tells whose an access token is."""

    def __init__(
        self,
        url: str,
        *,
        clients: tuple[str, ...],
        trusts: Callable[[str], bool],
        seconds: float = SECONDS,
        most_known: int = MOST_KNOWN,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`url` is the endpoint; it gets `access_token` in the query.

        `clients` are the OAuth clients whose tokens count. `trusts` returns whether the tokens of a service
        account, by its e-mail, count: its client is the account itself.
        """
        self._url = url
        self._clients = frozenset(clients)
        self._trusts = trusts
        self._seconds = seconds
        self._most_known = most_known
        self._monotonic = monotonic
        self._limit = LookupLimit(monotonic)
        self._lock = threading.Lock()
        self._good: OrderedDict[bytes, _Known] = OrderedDict()
        self._refused: OrderedDict[bytes, _Known] = OrderedDict()
        self._pending: dict[bytes, Future[_Known]] = {}
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="token-info")

    def identity(self, token: str, client: str) -> Principal:
        """Return whose a token is; `client` is the address of who sends it.

        Raise Unauthorized if it is nobody's, or was issued to a client that does not count. Raise Unavailable
        if the endpoint does not answer in time, and TooManyLookups, one of these, if it is not asked because
        too many tokens are being looked up, or were that are nobody's.
        """
        if not _FORM.fullmatch(token):
            raise Unauthorized("the token is not valid: it is neither a JWT nor an access token")
        known = self._known(hashlib.sha256(token.encode()).digest(), token, client)
        if known.who is None:
            raise Unauthorized(known.refusal)
        return known.who

    def _known(self, digest: bytes, token: str, client: str) -> _Known:
        with self._lock:
            now = self._monotonic()
            known = self._good.get(digest) or self._refused.get(digest)
            if known and now < known.until:
                return known
            lookup = self._pending.get(digest)
            if lookup is None:
                if len(self._pending) >= MOST_AT_ONCE:
                    raise TooManyLookups("too many access tokens are being looked up; try again")
                is_alive = known is not None and now < known.ends
                lookup = self._threads.submit(self._look_up, digest, token, None if is_alive else client)
                self._pending[digest] = lookup
        try:
            return lookup.result(timeout=limited(self._seconds))
        except TimeoutError:
            raise _unavailable() from None

    def _look_up(self, digest: bytes, token: str, client: str | None) -> _Known:
        """Ask about a token, and remember the answer. Without `client` it is known, and does not count."""
        try:
            with nullcontext() if client is None else self._limit.lookup(client):
                known = self._judged(token)
            return self._remember(digest, known)
        except Unauthorized as error:
            refused = _Known(refusal=error.title, until=self._monotonic() + _SECONDS_REFUSED)
            return self._remember(digest, refused)
        finally:
            with self._lock:
                del self._pending[digest]

    def _remember(self, digest: bytes, known: _Known) -> _Known:
        with self._lock:
            self._good.pop(digest, None)
            self._refused.pop(digest, None)
            # Apart, so that invented tokens don't displace good ones.
            kept = self._refused if known.who is None else self._good
            kept[digest] = known
            if len(kept) > self._most_known:
                kept.popitem(last=False)
        return known

    def _judged(self, token: str) -> _Known:
        began = self._monotonic()
        claims = self._answer(token)
        who = identity_of(
            claims, issuer=self._url, email_claims=("email",), group_claims=(), is_verified=False
        )
        issued_to = {str(claims.get("aud")), str(claims.get("azp"))}
        # Google: the client of a service account's token is the number of the account.
        is_of_account = str(claims.get("azp", "")).isdigit() and self._trusts(who.email)
        if self._clients.isdisjoint(issued_to) and not is_of_account:
            raise Unauthorized("the access token was issued to a client (aud, azp) that is not accepted")
        seconds = _seconds_left(claims)
        if seconds <= 0:
            raise Unauthorized("the access token has expired")
        return _Known(who=who, until=began + min(seconds, MOST_SECONDS_KNOWN), ends=began + seconds)

    def _answer(self, token: str) -> Mapping[str, Any]:
        """Return what the endpoint says of a token. Raise Unauthorized if it knows none, or Unavailable."""
        try:
            # The errors of both libraries have the URL, with the token, in their text: they end here.
            with requests.get(
                self._url,
                params={"access_token": token},
                timeout=self._seconds,
                allow_redirects=False,
                stream=True,
            ) as answer:
                status = answer.status_code
                body = answer.raw.read(_MOST_BYTES, decode_content=True)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError):
            raise _unavailable() from None
        # Google: 400 with `invalid_token`. 403 and 429 are about us, not about the token.
        if status in (400, 401):
            raise Unauthorized("the access token is not valid, or has expired")
        try:
            claims = json.loads(body) if status == 200 else None
        except (ValueError, RecursionError):
            claims = None
        if not isinstance(claims, dict):
            raise _unavailable()
        return claims


def _seconds_left(claims: Mapping[str, Any]) -> float:
    """Return how long a token lives, by `expires_in` (seconds) or `exp` (Unix time); Google sends text."""
    try:
        if "expires_in" in claims:
            return float(claims["expires_in"])
        return float(claims["exp"]) - time.time()
    except (KeyError, TypeError, ValueError, OverflowError):
        raise _unavailable() from None


def _unavailable() -> Unavailable:
    return Unavailable("the server that tells whose an access token is does not answer; try again later")
