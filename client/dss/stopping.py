"""A clock whose sleepers can be woken to stop."""

import threading

from dss.clock import SystemClock
from dss.errors import Interrupted


class StoppableClock(SystemClock):
    """The machine's clock, shared by the threads of one command; `stop()` ends all of them soon."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._why = ""

    def stop(self, why: str = "interrupted") -> None:
        """Make every current and later `sleep` and `check` raise Interrupted."""
        if not self._stopped.is_set():
            self._why = why
            self._stopped.set()

    def check(self) -> None:
        """Raise Interrupted if `stop` was called."""
        if self._stopped.is_set():
            raise Interrupted(self._why)

    def sleep(self, seconds: float) -> None:
        """Return after so many seconds. Raises Interrupted as soon as `stop` is called."""
        self._stopped.wait(seconds)
        self.check()

    def renewed(self) -> "StoppableClock":
        """Return another clock of this kind that is not stopped."""
        return StoppableClock()
