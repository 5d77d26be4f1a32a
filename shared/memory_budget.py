"""Memory budgets: the requests of one process together never need more memory than it has.

Cloud Run kills an instance that exceeds its memory, with every request in it. Small requests reserve next to
nothing; large ones wait until others have released enough.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import NoRoom

# Seconds. Most large requests take two; clients give up after 40.
_PATIENCE = 10.0


class MemoryBudget:
    """A number of bytes that the threads of a process reserve and release."""

    def __init__(self, total: int, *, patience: float = _PATIENCE) -> None:
        self._total = total
        self._patience = patience
        self._reserved = 0
        self._released = threading.Condition()

    @contextmanager
    def reserve(self, size: int) -> Iterator[None]:
        """Hold `size` bytes within the block; wait until they are free. More than the total means all of it.

        Raise NoRoom if they are not free after `patience` seconds.
        """
        size = min(size, self._total)
        with self._released:
            if not self._released.wait_for(lambda: self._reserved + size <= self._total, self._patience):
                raise NoRoom("too many large requests are in progress; try again later")
            self._reserved += size
        try:
            yield
        finally:
            with self._released:
                self._reserved -= size
                self._released.notify_all()
