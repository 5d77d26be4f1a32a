"""Where the token of a call comes from. A source is asked before each call, and may be shared by threads."""

import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

from dss.errors import Unreachable

# A token is refreshed so many seconds before it expires, or when a quarter of its life is left.
_EARLY_SECONDS = 60.0


class TokenSource(Protocol):
    """Gives the token of the next call; `origin` says where it comes from, for people."""

    origin: str

    def token(self) -> str | None:
        """Return a token that is valid now, or None to call without. Raises SignInFailed, Unreachable."""
        ...

    def replacement(self, rejected: str) -> str | None:
        """Return another token than the one that the DSS does not accept, None if there is none."""
        ...


class FixedToken:
    """A token that somebody gave, or none."""

    def __init__(self, token: str | None, origin: str) -> None:
        self._token = token or None
        self.origin = origin

    def token(self) -> str | None:
        """Return the token."""
        return self._token

    def replacement(self, rejected: str) -> str | None:
        """Return None: there is no other."""
        del rejected
        return None


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A token, and when it expires: seconds since 1970 by this machine's clock, not by the issuer's."""

    token: str
    expires_at: float
    refresh_at: float

    @classmethod
    def now(cls, token: str, seconds: float) -> "Issued":
        """Return a token that has just been issued for so many seconds."""
        now = time.time()
        early = min(_EARLY_SECONDS, seconds / 4)
        return cls(token=token, expires_at=now + seconds, refresh_at=now + seconds - early)


class RefreshedToken(ABC):
    """A token that is issued again before it expires: once, however many threads ask."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._lock = threading.Lock()
        self._current: Issued | None = None

    @abstractmethod
    def _issue(self, current: Issued | None) -> Issued:
        """Return a token to use instead of the current one."""

    def token(self) -> str | None:
        """Return a token that is valid now. While no new one is to be had, that is the old one."""
        with self._lock:
            known = self._current
            if known is None or time.time() >= known.refresh_at:
                try:
                    self._current = self._issue(known)
                except Unreachable:
                    if known is None or time.time() >= known.expires_at:
                        raise
            assert self._current is not None
            return self._current.token

    def replacement(self, rejected: str) -> str | None:
        """Return another token than the one that the DSS does not accept, None if there is none."""
        with self._lock:
            if self._current is None or self._current.token == rejected:
                self._current = self._issue(self._current)
            return None if self._current.token == rejected else self._current.token

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs; it locks by itself."""
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over the state of another process."""
        self.__dict__.update(state)
        self._lock = threading.Lock()
