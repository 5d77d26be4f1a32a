"""The same work for many items: in threads, in order, in bounded memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from shared.deadlines import inherited

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_threads(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int
) -> Generator[Result, None, None]:
    """Map `work` over `items` in threads, and yield the results in the order of the items.

    Reads at most twice as many items ahead as there are threads. The first exception is raised in its turn,
    and no further item is begun.
    """
    waiting: deque[Future[Result]] = deque()
    work = inherited(work)
    with ThreadPoolExecutor(threads) as executor:
        try:
            for item in items:
                waiting.append(executor.submit(work, item))
                if len(waiting) >= 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def run_side_by_side(first: Callable[[], Item], second: Callable[[], Result]) -> tuple[Item, Result]:
    """Return the results of both, `second` run in another thread; wait for both before an error is raised.

    If both fail, the error is that of `first`.
    """
    with ThreadPoolExecutor(1) as executor:
        other = executor.submit(inherited(second))
        return first(), other.result()
