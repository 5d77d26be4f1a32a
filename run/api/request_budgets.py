"""Request budgets: how many cost units a minute each account of a process may spend.

A token bucket for each account, kept as one number: the moment at which it is full again (the generic cell
rate algorithm). Of the packages on PyPI, `limits` keeps accounts without a bound, and in its moving window an
entry for each unit; `throttled-py` refuses what costs more than is left, so that an account's cheap requests
would keep its expensive ones out.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

# Accounts that are remembered, the last used: some 4 MB. One that is forgotten begins with a full bucket.
MOST_ACCOUNTS = 20_000
# Seconds of its rate that an account may spend at once: enough for a page with its files, and so few that the
# burst of one caller is over soon.
BURST_SECONDS = 10.0


@dataclass(slots=True)
class _Account:
    """When the bucket is full again, by the clock; the refusals since the last report, and when that was."""

    full_at: float
    refused: int = 0
    reported_at: float = float("-inf")


class RequestBudgets:
    """The budgets of accounts, by name; threads may share it. `clock` returns seconds that never go back."""

    def __init__(self, clock: Callable[[], float], *, most_accounts: int = MOST_ACCOUNTS) -> None:
        self._clock = clock
        self._most_accounts = most_accounts
        self._lock = threading.Lock()
        self._accounts: OrderedDict[str, _Account] = OrderedDict()

    def owed(self, name: str) -> float:
        """Return the seconds until the bucket of an account is full."""
        account = self._accounts.get(name)
        return max(0.0, account.full_at - self._clock()) if account else 0.0

    def wait(self, name: str) -> float:
        """Return the seconds until an account may spend anything; 0 if it may now."""
        return max(0.0, self.owed(name) - BURST_SECONDS)

    def spend(self, name: str, cost: float, per_minute: float) -> float:
        """Take a cost from an account, and return 0; or take nothing, and return the seconds to wait.

        An account that has anything left may spend more than that: what it owes, it waits for afterwards. So
        its expensive requests have the same chance as its cheap ones.
        """
        with self._lock:
            now = self._clock()
            account = self._account(name, now)
            wait = max(0.0, account.full_at - now - BURST_SECONDS)
            if not wait:
                account.full_at = max(account.full_at, now) + cost * 60 / per_minute
            return wait

    def charge(self, name: str, cost: float, per_minute: float) -> None:
        """Take a cost from an account for what is being done, also if it has nothing left."""
        with self._lock:
            now = self._clock()
            account = self._account(name, now)
            account.full_at = max(account.full_at, now) + cost * 60 / per_minute

    def refusals(self, name: str, every: float) -> int:
        """Count a refusal, and return how many there were since the last report; 0 before `every` seconds."""
        with self._lock:
            now = self._clock()
            account = self._account(name, now)
            account.refused += 1
            if now - account.reported_at < every:
                return 0
            refused, account.refused, account.reported_at = account.refused, 0, now
            return refused

    def _account(self, name: str, now: float) -> _Account:
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = _Account(now)
            if len(self._accounts) > self._most_accounts:
                self._accounts.popitem(last=False)
        else:
            self._accounts.move_to_end(name)
        return account
