"""A limit for the requests to other servers that forged tokens cause: strangers invent any number."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shared.errors import TooManyLookups

# Lookups a minute that prove nobody: of one client's tokens, and of all clients' together. The second is so
# large that a few clients cannot keep the others out.
MOST_OF_CLIENT = 30
MOST_OF_ALL = 300
_SECONDS = 60


class LookupLimit:
    """Counts the lookups of the last minute that proved nobody, by the address of the client."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        # When, and for whom. Lookups that have not ended count as well.
        self._failed: deque[tuple[float, str]] = deque()
        self._by_client: Counter[str] = Counter()
        self._at_work = 0

    @contextmanager
    def lookup(self, client: str) -> Iterator[None]:
        """Surround a lookup, which counts if it raises an error.

        Raise TooManyLookups if the client, or all of them together, have reached the limit.
        """
        self._begin(client)
        failed = True
        try:
            yield
            failed = False
        finally:
            self._end(client, failed=failed)

    def _begin(self, client: str) -> None:
        with self._lock:
            self._forget()
            if (
                self._by_client.get(client, 0) >= MOST_OF_CLIENT
                or len(self._failed) + self._at_work >= MOST_OF_ALL
            ):
                raise TooManyLookups("too many tokens that prove nobody; try again in a minute")
            self._by_client[client] += 1
            self._at_work += 1

    def _end(self, client: str, *, failed: bool) -> None:
        with self._lock:
            self._at_work -= 1
            if failed:
                self._failed.append((self._monotonic(), client))
            else:
                self._uncount(client)

    def _forget(self) -> None:
        oldest = self._monotonic() - _SECONDS
        while self._failed and self._failed[0][0] <= oldest:
            self._uncount(self._failed.popleft()[1])

    def _uncount(self, client: str) -> None:
        self._by_client[client] -= 1
        # Else an entry of every address would remain.
        if not self._by_client[client]:
            del self._by_client[client]
