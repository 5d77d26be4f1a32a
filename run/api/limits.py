"""Limits: each caller, and each address, has a request budget in this process.

A request counts by the principal of its token if this process has verified that token already, also in an
operation that needs none; else by the address of its client. So no token is verified for the sake of a limit,
and a flood of tokens that prove nothing uses up the budget of an address. While it is used up, no
further token from this address is verified.
"""

import hashlib
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from run.api.clients import counted_address, exact_address, is_within
from run.api.costs import COSTS, FAILED_SIGN_IN
from run.api.request_budgets import BURST_SECONDS, RequestBudgets
from run.api.wsgi import Environ
from shared.access import Principal
from shared.config import Settings
from shared.errors import TooManyRequests

# The key of an application's limits in its `extensions`.
LIMITS = "dss.limits"
# Seconds for which a token that was verified tells by whom a request counts. Most live for an hour.
_TOKEN_SECONDS = 3600.0
# Tokens that are remembered, the last verified: some 5 MB.
_MOST_TOKENS = 20_000
# Seconds between log lines about one account.
_REPORT_SECONDS = 60.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Account:
    """By whom a request counts, and the units a minute that they may spend; 0 if nothing limits them."""

    name: str
    per_minute: int


class Limits:
    """The request budgets of one process, for requests as WSGI environments; threads may share it.

    `clock` returns seconds that never go back.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._budgets = RequestBudgets(clock)
        self._tokens = _Tokens(clock)

    def account(self, environ: Environ) -> Account:
        """Return by whom a request counts."""
        address = exact_address(self._settings, environ)
        principal = self.principal(environ)
        if principal is None:
            name, per_minute = f"address {counted_address(address)}", self._settings.address_units
        else:
            name = f"principal {principal.email}"
            per_minute = 0 if principal.is_admin else self._settings.principal_units
        return Account(name, 0 if is_within(address, self._settings.unlimited_networks) else per_minute)

    def principal(self, environ: Environ) -> Principal | None:
        """Return who has a request's token, if that was verified already."""
        return self._tokens.principal(environ.get("HTTP_AUTHORIZATION"))

    def check(self, environ: Environ) -> Account:
        """Return by whom a request counts. Raise TooManyRequests if they have nothing left."""
        account = self.account(environ)
        if account.per_minute:
            self._refuse_for(self._budgets.wait(account.name), account)
        return account

    def spent(self, name: str) -> float:
        """Return how much an account has spent of what it may spend at once: 0 to 1, or more if it owes."""
        return self._budgets.owed(name) / BURST_SECONDS

    def spend(self, environ: Environ, operation_id: str) -> None:
        """Take what an operation costs from the account of a request. Raise TooManyRequests as `check`."""
        account = self.account(environ)
        if account.per_minute:
            seconds = self._budgets.spend(account.name, COSTS[operation_id], account.per_minute)
            self._refuse_for(seconds, account)

    def charge(self, environ: Environ, units: int) -> None:
        """Take units from the account of a request that is being done, for what its body has asked for."""
        account = self.account(environ)
        if account.per_minute:
            self._budgets.charge(account.name, units, account.per_minute)

    def remember_token(self, environ: Environ, principal: Principal) -> None:
        """Remember whose token a request has: from now on it counts by them."""
        self._tokens.remember(environ.get("HTTP_AUTHORIZATION"), principal)

    def count_failed_sign_in(self, environ: Environ) -> None:
        """Count a sign-in that failed, by the address of its client."""
        self._tokens.forget(environ.get("HTTP_AUTHORIZATION"))
        account = self.account(environ)
        if account.per_minute:
            self._budgets.spend(account.name, FAILED_SIGN_IN, account.per_minute)

    def _refuse_for(self, seconds: float, account: Account) -> None:
        if not seconds:
            return
        refused = self._budgets.refusals(account.name, _REPORT_SECONDS)
        if refused:
            _log.warning("limited", account=account.name, refused=refused, per_minute=account.per_minute)
        raise TooManyRequests(
            f"{account.name} has used up its {account.per_minute:,} units a minute; wait as Retry-After says",
            retry_after=math.ceil(seconds),
            refused=refused,
        )


class _Tokens:
    """Whose a token is, by its digest, if it was verified in the last hour."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._verified: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()

    def principal(self, authorization: str | None) -> Principal | None:
        if not authorization:
            return None
        principal, ends = self._verified.get(_digest(authorization), (None, 0.0))
        return principal if self._clock() < ends else None

    def remember(self, authorization: str | None, principal: Principal) -> None:
        if authorization:
            with self._lock:
                digest = _digest(authorization)
                self._verified[digest] = principal, self._clock() + _TOKEN_SECONDS
                self._verified.move_to_end(digest)
                if len(self._verified) > _MOST_TOKENS:
                    self._verified.popitem(last=False)

    def forget(self, authorization: str | None) -> None:
        if authorization:
            with self._lock:
                self._verified.pop(_digest(authorization), None)


def _digest(authorization: str) -> bytes:
    # Of latin-1, as headers are; what isn't counts as one token that nobody has.
    return hashlib.sha256(authorization.encode("latin-1", "replace")).digest()
