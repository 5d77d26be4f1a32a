"""Threads that callers share: they take turns, so that requests of one do not keep out those of others."""

import asyncio
import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

# Seconds after its last request for which a caller counts as there.
_PRESENT_SECONDS = 1.0

_T = TypeVar("_T")


class NoThread(Exception):
    """No thread became free in time, or too many requests wait for one."""


class SharedThreads:
    """A number of threads, for which requests wait if all are in use; for one event loop.

    While several callers are there, each has at most its `share` of the threads, and they take turns at those
    that become free. A caller who is alone may have all. At most about `most_waiting` requests wait: then
    only those callers get in line of whom fewer wait than their part of it.
    """

    def __init__(
        self, count: int, share: Callable[[str], int] | None = None, *, most_waiting: float = math.inf
    ) -> None:
        self._executor = ThreadPoolExecutor(count)
        self._free = count
        self._share = share or (lambda _: count)
        self._most_waiting = most_waiting
        self._running: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._waiting_count = 0
        self._announced: Counter[str] = Counter()
        # When each caller asked last, the latest at the end.
        self._present: OrderedDict[str, float] = OrderedDict()

    @property
    def is_full(self) -> bool:
        """Whether so many requests wait that not every caller may get in line."""
        return self._waiting_count + self._announced.total() >= self._most_waiting

    def announce(self, caller: str) -> bool:
        """Expect new work of a caller in the next pass of the event loop; return whether it has a place.

        If not, `run` would refuse it. In a pass many connections may be read from: those that are announced
        count as if they waited until the next pass, which begins with what they do.
        """
        self._see(caller)
        if (caller in self._waiting or not self._may_run(caller)) and self._is_crowded(caller):
            return False
        if not self._announced:
            asyncio.get_running_loop().call_soon(self._announced.clear)
        self._announced[caller] += 1
        return True

    async def run(
        self,
        caller: str,
        seconds: float,
        work: Callable[..., _T],
        *arguments: object,
        is_new: bool = False,
    ) -> _T:
        """Run `work` in a thread. Raise NoThread if the caller gets none within so many seconds.

        If the work `is_new`, no part of it done yet, raise that at once if too many wait.
        """
        await self._acquire(caller, seconds, is_new=is_new)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)
        finally:
            self._release(caller)

    async def _acquire(self, caller: str, seconds: float, *, is_new: bool) -> None:
        self._see(caller)
        if caller not in self._waiting and self._may_run(caller):
            self._take(caller)
            return
        if is_new and self._is_crowded(caller):
            raise NoThread
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        self._waiting_count += 1
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._release(caller)
            else:
                self._forget(caller, turn)
            if isinstance(error, TimeoutError):
                raise NoThread from None
            raise

    def _see(self, caller: str) -> None:
        now = time.monotonic()
        self._present[caller] = now
        self._present.move_to_end(caller)
        while now - next(iter(self._present.values())) > _PRESENT_SECONDS:
            self._present.popitem(last=False)

    def _may_run(self, caller: str) -> bool:
        return self._free > 0 and (self._running[caller] < self._share(caller) or self._is_alone(caller))

    def _is_crowded(self, caller: str) -> bool:
        """Return whether so many requests wait that this caller's next one had better come later."""
        if not self.is_full:
            return False
        callers = len(self._waiting) + (caller not in self._waiting)
        count = len(self._waiting.get(caller, ())) + self._announced[caller]
        return count >= self._most_waiting / callers

    def _is_alone(self, caller: str) -> bool:
        latest = next((seen for name, seen in reversed(self._present.items()) if name != caller), 0.0)
        return time.monotonic() - latest > _PRESENT_SECONDS

    def _take(self, caller: str) -> None:
        self._free -= 1
        self._running[caller] += 1

    def _release(self, caller: str) -> None:
        self._free += 1
        self._running[caller] -= 1
        if not self._running[caller]:
            del self._running[caller]
        for waiting in list(self._waiting):
            if not self._free:
                return
            if self._may_run(waiting):
                self._give(waiting)

    def _give(self, caller: str) -> None:
        """Let the first request of a caller run; its others wait until all other callers had their turn."""
        turns = self._waiting[caller]
        self._take(caller)
        self._waiting_count -= 1
        turns.popleft().set_result(None)
        self._waiting.move_to_end(caller)
        if not turns:
            del self._waiting[caller]

    def _forget(self, caller: str, turn: "asyncio.Future[None]") -> None:
        turns = self._waiting[caller]
        turns.remove(turn)
        self._waiting_count -= 1
        if not turns:
            del self._waiting[caller]
