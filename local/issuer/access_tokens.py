"""Opaque access tokens of the local issuer, and what its token info endpoint says of them."""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

# More than any test needs; the oldest are forgotten.
_MOST = 10_000


class AccessTokens:
    """Keeps what each token stands for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._info: OrderedDict[str, Mapping[str, Any]] = OrderedDict()

    def issue(self, info: Mapping[str, Any]) -> str:
        """Return a new token; `info` has its `exp`."""
        # As Google's: a prefix, and characters without a meaning.
        token = f"ya29.a0{secrets.token_urlsafe(120)}"
        with self._lock:
            self._info[token] = info
            if len(self._info) > _MOST:
                self._info.popitem(last=False)
        return token

    def info(self, token: str) -> dict[str, Any] | None:
        """Return what is said of a token that is known and has not expired, else None."""
        with self._lock:
            info = self._info.get(token)
        left = int(info["exp"]) - int(time.time()) if info else 0
        return {**info, "expires_in": str(left)} if info and left > 0 else None
