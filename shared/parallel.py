"""The same work on many things: in threads, in order, in bounded memory; and again where a cloud falters."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from shared.clock import Clock
from shared.errors import NotYetThere, Unavailable

Thing = TypeVar("Thing")
Result = TypeVar("Result")

_ATTEMPTS = 4
_FIRST_PAUSE_SECONDS = 0.5


def in_threads(work: Callable[[Thing], Result], things: Iterable[Thing], *, threads: int) -> Iterator[Result]:
    """Yield what `work` makes of each thing, in the order of the things.

    Takes things as it goes, and is never more than twice as many ahead as there are threads. The first
    exception ends it, in its turn; what has not begun by then is not begun any more.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as executor:
        try:
            for thing in things:
                waiting.append(executor.submit(work, thing))
                if len(waiting) >= 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def persistently(clock: Clock, work: Callable[[], Result]) -> Result:
    """Return what `work` returns; done again, a few times, with growing pauses, while it raises Unavailable.

    What is not there yet will not be there in a moment either: NotYetThere goes up at once.
    """
    for attempt in range(_ATTEMPTS - 1):
        try:
            return work()
        except NotYetThere:
            raise
        except Unavailable:
            clock.sleep(_FIRST_PAUSE_SECONDS * 2**attempt)
    return work()
