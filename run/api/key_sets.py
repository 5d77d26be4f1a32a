"""Public keys of token issuers, fetched when they are needed; forged tokens cause few requests."""

import threading
import time
from collections import OrderedDict, deque
from typing import TypeVar

import jwt
import requests

from shared.errors import Unavailable

# Keys are fetched again after the first number of seconds, or earlier for a token with an unknown key id, but
# not within the second: issuers rotate keys, and strangers invent key ids.
_KEY_LIFETIME_SECONDS = 3600
_MIN_FETCH_INTERVAL_SECONDS = 10
_TIMEOUT_SECONDS = 5
# Strangers invent accounts, too. This many are looked up a minute, and an account without keys once a minute.
MOST_LOOKUPS = 20
_REST_SECONDS = 60
# Accounts that are remembered, with and without keys.
_MOST_ACCOUNTS = 1000

_T = TypeVar("_T")


class KeySet:
    """The public keys of one issuer, fetched when they are needed."""

    def __init__(self, *, url: str = "", discover: str = "") -> None:
        """Fetch keys from `url`, or from the URL in the OpenID configuration of the issuer `discover`."""
        self._url = url
        self._discover = discover
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = float("-inf")

    def key(self, key_id: str) -> jwt.PyJWK:
        """Return a key by its id. Raise PyJWTError if there is none, Unavailable if the issuer is down."""
        with self._lock:
            age = time.monotonic() - self._fetched
            if age > (_KEY_LIFETIME_SECONDS if key_id in self._keys else _MIN_FETCH_INTERVAL_SECONDS):
                self._fetch()
            if key_id not in self._keys:
                raise jwt.InvalidKeyError(f"the issuer has no key {key_id[:80]!r}")
            return self._keys[key_id]

    def _fetch(self) -> None:
        try:
            if not self._url:
                configuration = self._discover.rstrip("/") + "/.well-known/openid-configuration"
                self._url = requests.get(configuration, timeout=_TIMEOUT_SECONDS).json()["jwks_uri"]
            answer = requests.get(self._url, timeout=_TIMEOUT_SECONDS)
            if answer.status_code == 404:
                keys = []
            else:
                answer.raise_for_status()
                keys = jwt.PyJWKSet.from_dict(answer.json()).keys
        except (requests.RequestException, KeyError) as error:
            raise Unavailable("the token issuer's keys cannot be fetched; try again later") from error
        self._keys = {str(key.key_id): key for key in keys}
        self._fetched = time.monotonic()


class AccountKeys:
    """The keys of service accounts, by e-mail."""

    def __init__(self, url: str) -> None:
        """Fetch keys from `url`, in which `{email}` stands for the account."""
        self._url = url
        self._lock = threading.Lock()
        self._key_sets: OrderedDict[str, KeySet] = OrderedDict()
        # When an account without keys was looked up, and when unknown accounts were, by time.monotonic().
        self._without_keys: OrderedDict[str, float] = OrderedDict()
        self._lookups: deque[float] = deque()

    def key(self, email: str, key_id: str) -> jwt.PyJWK:
        """Return a key of an account.

        Raise PyJWTError if it has no such key, and Unavailable if Google does not answer, or if too many
        unknown accounts were looked up in the last minute.
        """
        with self._lock:
            keys = self._key_sets.get(email)
            if keys:
                self._key_sets.move_to_end(email)
            else:
                self._count_lookup(email)
        if keys:
            return keys.key(key_id)
        keys = KeySet(url=self._url.replace("{email}", email))
        try:
            key = keys.key(key_id)
        except jwt.PyJWTError:
            with self._lock:
                _remember(self._without_keys, email, time.monotonic())
            raise
        with self._lock:
            _remember(self._key_sets, email, keys)
        return key

    def _count_lookup(self, email: str) -> None:
        now = time.monotonic()
        if now - self._without_keys.get(email, float("-inf")) < _REST_SECONDS:
            raise jwt.InvalidKeyError(f"account {email!r} has no such key")
        while self._lookups and now - self._lookups[0] >= _REST_SECONDS:
            self._lookups.popleft()
        if len(self._lookups) >= MOST_LOOKUPS:
            raise Unavailable("too many unknown service accounts sign in; try again later")
        self._lookups.append(now)


def _remember(accounts: OrderedDict[str, _T], email: str, value: _T) -> None:
    accounts[email] = value
    accounts.move_to_end(email)
    if len(accounts) > _MOST_ACCOUNTS:
        accounts.popitem(last=False)
