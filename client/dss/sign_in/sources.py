"""Where the token of a call comes from. A source is asked before each call, and may be shared by threads."""

import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

from dss.errors import Busy, InvalidInput, Unreachable

# A token is refreshed so many seconds before it expires, or when a quarter of its life is left.
_EARLY_SECONDS = 60.0
# After a failure, the token that is still valid is used for so many seconds before another attempt.
_PAUSE_SECONDS = 5.0


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
        self._next_attempt = 0.0

    @abstractmethod
    def _issue(self, current: Issued | None) -> Issued:
        """Return a token to use instead of the current one."""

    def token(self) -> str | None:
        """Return a token that is valid now: a new one if it is time, the old one while none is to be had.

        Raises, once the old one has expired, what keeps a new one from being had: Unreachable (the issuer is
        silent), Busy (another process has the logins), InvalidInput (the keyring is locked); and SignInFailed
        at once, since that will not go away.
        """
        known = self._current
        if known is None or time.time() >= known.expires_at:
            with self._lock:
                return self._valid().token
        # While one thread waits for the issuer, the others need not.
        if not self._lock.acquire(blocking=False):
            return known.token
        try:
            return self._valid().token
        finally:
            self._lock.release()

    def _valid(self) -> Issued:
        known, now = self._current, time.time()
        if known and now < min(known.expires_at, max(known.refresh_at, self._next_attempt)):
            return known
        try:
            issued = self._issue(known)
        except (Unreachable, Busy, InvalidInput):
            if known is None or time.time() >= known.expires_at:
                raise
            self._next_attempt = time.time() + _PAUSE_SECONDS
            return known
        self._current = issued
        return issued

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
