"""Calls that start at the same moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

T = TypeVar("T")


class ConcurrentCalls:
    """Run calls in threads that start together.

    with ConcurrentCalls(2) as concurrently:
        first, second = concurrently(call, other)
    """

    def __init__(self, count: int) -> None:
        self._barrier = Barrier(count)
        self._threads = ThreadPoolExecutor(count)

    def __enter__(self) -> "ConcurrentCalls":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()

    def __call__(self, *calls: Callable[[], T]) -> list[T]:
        """Return the results of the calls, in order; there must be as many calls as threads."""
        assert len(calls) == self._barrier.parties

        def run(call: Callable[[], T]) -> T:
            self._barrier.wait(timeout=240)
            return call()

        return [future.result() for future in [self._threads.submit(run, call) for call in calls]]
