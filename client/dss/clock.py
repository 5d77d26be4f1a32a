"""One clock, passed in, so that a test can control time."""

import time
from datetime import datetime
from typing import Protocol

from dss.identifiers import UTC, version_of


class Clock(Protocol):
    """What the client needs of a clock."""

    def now(self) -> datetime:
        """Return the current time in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Return the current time in UTC, to the microsecond."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        time.sleep(seconds)


class Deadline:
    """A point in time at which waiting ends."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._ends = clock.now().timestamp() + seconds

    def remaining(self) -> float:
        """Return the seconds left, at least zero."""
        return max(0.0, self._ends - self._clock.now().timestamp())

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return self.remaining() == 0.0

    def pause(self, seconds: float) -> None:
        """Return after so many seconds, or when the time is up."""
        self._clock.sleep(min(seconds, self.remaining()))


def new_version(clock: Clock) -> str:
    """Return a version for the current time."""
    return version_of(clock.now())
