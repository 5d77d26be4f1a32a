"""What the local issuer remembers of sign-ins: codes, refresh tokens, device codes. In memory, and bounded.

Like a careful provider: a code works once, a refresh token of a public client works once, and the second use
of either ends the sign-in that it belongs to (RFC 6749, 4.1.2; RFC 9700, 4.14.2).
"""

import base64
import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
# Seconds that a code is good for, at most what RFC 6749 recommends.
CODE_SECONDS = 600
DEVICE_SECONDS = 600
# Seconds between two questions of a device: nobody else is kept waiting here.
DEVICE_INTERVAL = 1
# More than any test needs; the oldest are forgotten.
_MOST = 10_000
# No vowels, so no words (RFC 8628, 6.1).
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


class BadGrant(Exception):
    """An OAuth error (RFC 6749, 5.2): its code, and what is wrong."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who signs in, and for how many seconds each of their tokens lives."""

    email: str
    group: str | None
    seconds: int


@dataclass(kw_only=True)
class SignIn:
    """One sign-in: what all its tokens have in common. `rotates` if each refresh token works once."""

    person: Person
    client_id: str
    nonce: str | None
    rotates: bool
    # What was asked for, of what there is.
    scope: str = "openid email"
    ended: bool = False


@dataclass(frozen=True, kw_only=True)
class Code:
    """An authorization code, with what its exchange has to repeat."""

    sign_in: SignIn
    redirect_uri: str
    challenge: str | None
    expires_at: float


@dataclass(kw_only=True)
class Device:
    """A device that waits for a person; `sign_in` is None until somebody decides."""

    client_id: str
    user_code: str
    expires_at: float
    sign_in: SignIn | None = None
    refused: bool = False
    asked_at: float = 0.0


class _Bounded(OrderedDict[str, T], Generic[T]):
    def __setitem__(self, key: str, value: T) -> None:
        super().__setitem__(key, value)
        if len(self) > _MOST:
            self.popitem(last=False)


@dataclass
class Grants:
    """All grants; threads may use it at once."""

    code_seconds: float = CODE_SECONDS
    _codes: _Bounded[Code] = field(default_factory=_Bounded)
    _used: _Bounded[SignIn] = field(default_factory=_Bounded)
    _refresh: _Bounded[SignIn] = field(default_factory=_Bounded)
    _devices: _Bounded[Device] = field(default_factory=_Bounded)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def new_code(self, sign_in: SignIn, redirect_uri: str, challenge: str | None) -> str:
        """Return a code that a person has consented to; `challenge` is PKCE's."""
        code = secrets.token_urlsafe(24)
        expires_at = time.time() + self.code_seconds
        with self._lock:
            self._codes[code] = Code(
                sign_in=sign_in, redirect_uri=redirect_uri, challenge=challenge, expires_at=expires_at
            )
        return code

    def redeem(self, code: str, *, client_id: str, redirect_uri: str, verifier: str | None) -> SignIn:
        """Return the sign-in of a code, which works no more. Raises BadGrant."""
        with self._lock:
            if code in self._used:
                self._used[code].ended = True
                raise BadGrant("invalid_grant", "the code was used before; its sign-in has ended")
            known = self._codes.pop(code, None)
            if known is None:
                raise BadGrant("invalid_grant", "the code is unknown")
            self._used[code] = known.sign_in
        if known.expires_at < time.time():
            raise BadGrant("invalid_grant", "the code has expired")
        if (known.sign_in.client_id, known.redirect_uri) != (client_id, redirect_uri):
            raise BadGrant("invalid_grant", "client_id or redirect_uri differ from those of the code")
        if known.challenge != (challenge_of(verifier) if verifier else None):
            raise BadGrant("invalid_grant", "code_verifier does not match the code_challenge")
        return known.sign_in

    def new_refresh_token(self, sign_in: SignIn) -> str:
        """Return a refresh token of a sign-in."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._refresh[token] = sign_in
        return token

    def refresh(self, token: str, client_id: str) -> tuple[SignIn, str]:
        """Return the sign-in of a refresh token, and the token for the next time. Raises BadGrant."""
        with self._lock:
            if token in self._used:
                self._used[token].ended = True
                raise BadGrant("invalid_grant", "the refresh token was used before; its sign-in has ended")
            sign_in = self._refresh.get(token)
            if sign_in is None or sign_in.ended or sign_in.client_id != client_id:
                raise BadGrant("invalid_grant", "the refresh token is unknown, or its sign-in has ended")
            if not sign_in.rotates:
                return sign_in, token
            self._used[token] = self._refresh.pop(token)
            return sign_in, self.new_refresh_token(sign_in)

    def revoke(self, token: str) -> None:
        """End the sign-in of a refresh token; others are ignored (RFC 7009, 2.2)."""
        with self._lock:
            sign_in = self._refresh.pop(token, None)
            if sign_in:
                sign_in.ended = True

    def new_device(self, client_id: str) -> tuple[str, Device]:
        """Return a device code, and the device that has it."""
        letters = [secrets.choice(_LETTERS) for _ in range(8)]
        user_code = f"{''.join(letters[:4])}-{''.join(letters[4:])}"
        device = Device(client_id=client_id, user_code=user_code, expires_at=time.time() + DEVICE_SECONDS)
        device_code = secrets.token_urlsafe(24)
        with self._lock:
            self._devices[device_code] = device
        return device_code, device

    def decide(self, user_code: str, person: Person | None) -> bool:
        """Let a person in, or (None) refuse, on the device with a user code; return whether one waits."""
        wanted = user_code.strip().upper()
        with self._lock:
            waiting = [device for device in self._devices.values() if device.user_code == wanted]
            for device in waiting:
                device.refused = person is None
                if person:
                    device.sign_in = SignIn(
                        person=person, client_id=device.client_id, nonce=None, rotates=True
                    )
        return bool(waiting)

    def poll(self, device_code: str, client_id: str) -> SignIn:
        """Return the sign-in of a device. Raises BadGrant as RFC 8628 (3.5) says."""
        with self._lock:
            device = self._devices.get(device_code)
            if device is None or device.client_id != client_id:
                raise BadGrant("invalid_grant", "the device code is unknown")
            now, before = time.time(), device.asked_at
            device.asked_at = now
            if device.expires_at < now:
                raise BadGrant("expired_token", "the device code has expired")
            if device.refused:
                raise BadGrant("access_denied", "the person has refused")
            if device.sign_in is None:
                # A little earlier is no offence: clocks tick.
                hasty = now - before < DEVICE_INTERVAL * 0.9
                raise BadGrant(
                    "slow_down" if hasty else "authorization_pending", "nobody has entered the code"
                )
            del self._devices[device_code]
            return device.sign_in


def challenge_of(verifier: str) -> str:
    """Return PKCE's challenge by S256 (RFC 7636, 4.2)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
