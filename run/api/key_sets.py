"""Public keys of token issuers, fetched when they are needed; forged tokens cause few requests."""

import threading
import time
from collections import OrderedDict
from typing import TypeVar

import jwt
import requests

from run.api.lookup_limit import LookupLimit
from shared.deadlines import limited
from shared.errors import Unavailable

# Keys are fetched again after the first number of seconds, or earlier for a token with an unknown key id, but
# not within the second: issuers rotate keys, and strangers invent key ids.
_KEY_LIFETIME_SECONDS = 3600
_MIN_FETCH_INTERVAL_SECONDS = 10
# An issuer that does not answer is left alone for so long, or each token would make a thread wait for it.
_SECONDS_AFTER_FAILURE = 5
_TIMEOUT_SECONDS = 5
# Strangers invent accounts, too. An account without keys is looked up once a minute; see also LookupLimit.
_REST_SECONDS = 60
# Accounts that are remembered, with and without keys.
_MOST_ACCOUNTS = 1000
_NOT_FETCHED = "the token issuer's keys cannot be fetched; try again later"

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
        self._failed = float("-inf")

    def key(self, key_id: str) -> jwt.PyJWK:
        """Return a key by its id. Raise PyJWTError if there is none, Unavailable if the issuer is down."""
        key = self._keys.get(key_id)
        # Without the lock: who has a good key does not wait while those of a forger are looked for.
        if key and time.monotonic() - self._fetched <= _KEY_LIFETIME_SECONDS:
            return key
        with self._lock:
            now = time.monotonic()
            known = key_id in self._keys
            if now - self._fetched > (_KEY_LIFETIME_SECONDS if known else _MIN_FETCH_INTERVAL_SECONDS):
                if now - self._failed < _SECONDS_AFTER_FAILURE:
                    raise Unavailable(_NOT_FETCHED)
                self._fetch()
            if key_id not in self._keys:
                raise jwt.InvalidKeyError(f"the issuer has no key {key_id[:80]!r}")
            return self._keys[key_id]

    def _fetch(self) -> None:
        try:
            if not self._url:
                configuration = self._discover.rstrip("/") + "/.well-known/openid-configuration"
                self._url = requests.get(configuration, timeout=limited(_TIMEOUT_SECONDS)).json()["jwks_uri"]
            answer = requests.get(self._url, timeout=limited(_TIMEOUT_SECONDS))
            if answer.status_code == 404:
                keys = []
            else:
                answer.raise_for_status()
                keys = jwt.PyJWKSet.from_dict(answer.json()).keys
        except (requests.RequestException, jwt.PyJWKSetError, KeyError, TypeError) as error:
            self._failed = time.monotonic()
            raise Unavailable(_NOT_FETCHED) from error
        self._keys = {str(key.key_id): key for key in keys}
        self._fetched = time.monotonic()


class AccountKeys:
    """The keys of service accounts, by e-mail."""

    def __init__(self, url: str) -> None:
        """Fetch keys from `url`, in which `{email}` stands for the account."""
        self._url = url
        self._lock = threading.Lock()
        self._key_sets: OrderedDict[str, KeySet] = OrderedDict()
        # When an account without keys was looked up, by time.monotonic().
        self._without_keys: OrderedDict[str, float] = OrderedDict()
        self._limit = LookupLimit()

    def key(self, email: str, key_id: str, client: str) -> jwt.PyJWK:
        """Return a key of an account; `client` is the address of who asks.

        Raise PyJWTError if it has no such key, and Unavailable if Google does not answer, or if too many
        unknown accounts were looked up in the last minute.
        """
        with self._lock:
            keys = self._key_sets.get(email)
            if keys:
                self._key_sets.move_to_end(email)
            elif time.monotonic() - self._without_keys.get(email, float("-inf")) < _REST_SECONDS:
                raise jwt.InvalidKeyError(f"account {email!r} has no such key")
        if keys:
            return keys.key(key_id)
        keys = KeySet(url=self._url.replace("{email}", email))
        try:
            with self._limit.lookup(client):
                key = keys.key(key_id)
        except jwt.PyJWTError:
            with self._lock:
                _remember(self._without_keys, email, time.monotonic())
            raise
        with self._lock:
            _remember(self._key_sets, email, keys)
        return key


def _remember(accounts: OrderedDict[str, _T], email: str, value: _T) -> None:
    accounts[email] = value
    accounts.move_to_end(email)
    if len(accounts) > _MOST_ACCOUNTS:
        accounts.popitem(last=False)
