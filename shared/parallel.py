"""The same work on many things: in threads, in order, in bounded memory; and again where a cloud falters.

Or the other way round: many threads, each with one thing, and the work done on all of these at once.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from shared.clock import Clock
from shared.errors import NotYetThere, Unavailable

Thing = TypeVar("Thing")
Result = TypeVar("Result")

_ATTEMPTS = 4
_FIRST_PAUSE_SECONDS = 0.5


def map_in_threads(
    work: Callable[[Thing], Result], things: Iterable[Thing], *, threads: int
) -> Iterator[Result]:
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


def retry(clock: Clock, work: Callable[[], Result]) -> Result:
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


class Batcher(Generic[Thing, Result]):
    """Work that costs the same for many things as for one, and that only one may do at a time.

    Whatever threads bring while a batch is worked on makes up the next one.
    """

    def __init__(self, work: Callable[[Sequence[Thing]], Sequence[Result]], *, most: int) -> None:
        """`work` returns a result for each thing, in their order, and is given `most` things at most."""
        self._work = work
        self._most = most
        self._waiting: deque[tuple[Thing, Future[Result]]] = deque()
        self._at_work = threading.Lock()

    def __call__(self, thing: Thing) -> Result:
        """Return what comes of a thing. What a batch raises is raised for all that is in it."""
        mine: Future[Result] = Future()
        self._waiting.append((thing, mine))
        with self._at_work:
            # Who was at work before us may have taken ours along.
            while not mine.done():
                self._work_on([self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))])
        return mine.result()

    def _work_on(self, batch: list[tuple[Thing, Future[Result]]]) -> None:
        try:
            results = self._work([thing for thing, _ in batch])
        except BaseException as error:  # noqa: BLE001 # whatever it is, all who wait for it hear it
            for _, future in batch:
                future.set_exception(error)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                future.set_result(result)
