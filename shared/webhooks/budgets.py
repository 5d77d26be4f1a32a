"""Budgets: how much processor time the queries of each owner may take.

An owner's budget is a bucket: it holds CAPACITY seconds, gains REFILL seconds per second, and each evaluation
of one of the owner's queries takes its processor time out of it, less FREE_SECONDS. Typical queries take less
than that, and are never held up. One event takes EVENT_SECONDS out of a budget at most. Example: 60 queries
of 0.2 s, one event per second:

    event 1    3 queries are evaluated (0.6 s), 57 wait; the bucket has 1.4 s
    event 2    3 are evaluated; the bucket has 1.4 + 0.2 - 0.6 = 1.0 s
    event 6    the bucket is empty: all 60 wait until it has gained something

Queries that wait are evaluated later, from a queue of their own (`shared.webhooks.fanout`).
"""

import threading
import time
from collections.abc import Callable

# Seconds of processor time that an owner may use at once, and gains per second, in one process.
CAPACITY = 2.0
REFILL = 0.2
# Seconds that one event may take out of an owner's budget.
EVENT_SECONDS = 0.5
# Seconds of an evaluation that are free. What people write takes about a tenth of it.
FREE_SECONDS = 0.002
# Owners that are remembered; one that is forgotten has a full bucket.
_REMEMBERED = 1000


class OwnerBudgets:
    """The budgets of all owners, in one process. Threads share it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # By owner: the seconds in the bucket, and when that was. The one that was used most recently is last.
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def available(self, owner: str) -> float:
        """Return the seconds in an owner's bucket; less than zero if the last evaluation took too long."""
        with self._lock:
            return self._level(owner)

    def charge(self, owner: str, seconds: float) -> None:
        """Take the processor time of an evaluation out of its owner's bucket."""
        charged = seconds - FREE_SECONDS
        if charged <= 0:
            return
        with self._lock:
            level = self._level(owner) - charged
            self._buckets.pop(owner, None)
            self._buckets[owner] = level, self._clock()
            while len(self._buckets) > _REMEMBERED:
                self._buckets.pop(next(iter(self._buckets)))

    def _level(self, owner: str) -> float:
        if owner not in self._buckets:
            return CAPACITY
        level, since = self._buckets[owner]
        return min(CAPACITY, level + (self._clock() - since) * REFILL)
