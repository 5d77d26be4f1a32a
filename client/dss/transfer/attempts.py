"""Work on files, in which an error is the failure of one file, and the others go on."""

import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from dss.errors import CallFailed, ClientError, NotRecorded
from dss.reports import Report
from dss.stopping import StoppableClock
from dss.transfer.parallel import for_each

T = TypeVar("T")

# Other writes to this file system would fail as well.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


class Attempts:
    """Does work in `jobs` threads, and notes in a report which files failed."""

    def __init__(self, report: Report, clock: StoppableClock, *, jobs: int) -> None:
        self._report = report
        self._clock = clock
        self._jobs = jobs

    def each(self, items: Iterable[T], work: Callable[[T], None], name: Callable[[T], str]) -> None:
        """Do the work for each item; an error is the failure of the file that `name` returns."""

        def attempt(item: T) -> None:
            with self.reported(name(item)):
                self._clock.check()
                work(item)

        for_each(items, attempt, jobs=self._jobs, clock=self._clock)

    def in_threads(self, items: Iterable[T], work: Callable[[T], None]) -> None:
        """Do the work for each item; it reports its errors itself."""
        for_each(items, work, jobs=self._jobs, clock=self._clock)

    @contextmanager
    def reported(self, *names: str) -> Iterator[None]:
        """Report an error within the block as the failure of these files. Raises NotRecorded."""
        try:
            yield
        except NotRecorded:
            # It would be the same for every other file.
            raise
        except (ClientError, OSError) as error:
            for name in names:
                self.fail(name, error)

    def fail(self, name: str, error: Exception) -> None:
        """Report a failure; nothing more is begun after a hopeless one."""
        self._report.fail(name, error)
        if isinstance(error, CallFailed) and error.hopeless:
            self._clock.stop(f"not tried after {error.status} {error.code}")
        if isinstance(error, OSError) and error.errno in _FULL:
            self._clock.stop(f"not tried after: {error.strerror}")
