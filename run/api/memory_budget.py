"""Room for large requests: so that those of a process together never need more memory than it has.

Cloud Run ends an instance that takes more than it was given, and all requests in it. Small requests need no
room; large ones wait for it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from shared.errors import Unavailable

# Seconds. Most large requests take two; clients give up after 40.
_PATIENCE = 10.0


class Reservation:
    """So many bytes of memory, which threads share."""

    def __init__(self, total: int, *, patience: float = _PATIENCE) -> None:
        self._total = total
        self._patience = patience
        self._taken = 0
        self._left = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Have room for so many bytes within the block, as soon as others have left it.

        What needs more than there is has all of it. Raises Unavailable where nobody left for long.
        """
        size = min(size, self._total)
        with self._left:
            if not self._left.wait_for(lambda: self._taken + size <= self._total, self._patience):
                raise Unavailable("too many large requests are under way")
            self._taken += size
        try:
            yield
        finally:
            with self._left:
                self._taken -= size
                self._left.notify_all()


@dataclass(frozen=True)
class MemoryBudget:
    """The rooms of a process. Who has one of a body may wait for one of a collection, never the reverse.

    The rest of the memory is for what is idle (an eighth of 1 GiB), and for bodies that wait to be parsed.
    """

    bodies: Reservation
    collections: Reservation

    @classmethod
    def of(cls, memory: int) -> "MemoryBudget":
        """Return the rooms of a process that may take so many bytes."""
        return cls(bodies=Reservation(memory * 3 // 16), collections=Reservation(memory * 3 // 8))
