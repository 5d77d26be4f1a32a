"""Many threads, each with one item, and work that is done for all of their items at once."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Does work that costs the same for many items as for one, one batch at a time.

    The items that threads hand in while one batch is being worked on make up the next one.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Result]], *, most: int) -> None:
        """`work` takes at most `most` items, and returns a result for each, in their order."""
        self._work = work
        self._most = most
        self._waiting: deque[tuple[Item, Future[Result]]] = deque()
        self._working = threading.Lock()

    def __call__(self, item: Item) -> Result:
        """Return the result for an item. Raises the error of its batch."""
        result: Future[Result] = Future()
        self._waiting.append((item, result))
        with self._working:
            # The thread that held the lock before may have done our item with its batch.
            while not result.done():
                self._work_on([self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))])
        return result.result()

    def _work_on(self, batch: list[tuple[Item, Future[Result]]]) -> None:
        try:
            results = self._work([item for item, _ in batch])
        except BaseException as error:  # noqa: BLE001 # any error is raised in each thread that waits
            for _, future in batch:
                future.set_exception(error)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                future.set_result(result)
