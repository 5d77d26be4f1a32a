"""Tokens whose signature was verified in the last minute: their claims are not read again.

Tokens are remembered by their SHA-256, and only those that were good. A token counts no longer than it lives,
nor than its key is among its issuer's: whether it is, is asked each time.
"""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from run.api.issuers import Issuer
from shared.access import Principal

_SECONDS = 60.0
# Some KiB each.
MOST_KNOWN = 2000


@dataclass(frozen=True, kw_only=True)
class Verified:
    """A token that was verified, by which key of which issuer, and whom it names."""

    who: Principal
    issuer: Issuer
    claims: Mapping[str, Any]
    key_id: str
    key: jwt.PyJWK


class VerifiedTokens:
    """Remembers tokens. Threads share it."""

    def __init__(
        self,
        *,
        leeway: float,
        most: int = MOST_KNOWN,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`leeway` is by how many seconds clocks may differ; `most`, how many tokens are remembered."""
        self._leeway = leeway
        self._most = most
        self._monotonic = monotonic
        self._now = now
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, tuple[float, Verified]] = OrderedDict()

    def find(self, token: str, client: str) -> Principal | None:
        """Return whom a token names; None if it has to be verified. `client` is the address of its sender.

        Raises as `Issuer.key` if its key is not there any more, or cannot be fetched.
        """
        with self._lock:
            until, verified = self._known.get(_digest(token), (0.0, None))
        if verified is None or self._monotonic() >= until or self._has_expired(verified):
            return None
        is_same = verified.issuer.key(verified.claims, verified.key_id, client) is verified.key
        return verified.who if is_same else None

    def _has_expired(self, verified: Verified) -> bool:
        return float(verified.claims["exp"]) <= self._now() - self._leeway

    def remember(self, token: str, verified: Verified) -> None:
        """Remember a token that has just been verified."""
        with self._lock:
            # The oldest comes first: that one is forgotten.
            self._known.pop(_digest(token), None)
            self._known[_digest(token)] = self._monotonic() + _SECONDS, verified
            if len(self._known) > self._most:
                self._known.popitem(last=False)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
