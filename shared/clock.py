"""Time: one clock, passed in, so that a test can stop it."""

import time
from datetime import UTC, datetime
from typing import Protocol

from shared.identifiers import version_of


class Clock(Protocol):
    """The time, and pauses."""

    def now(self) -> datetime:
        """Return the present time in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Pause for so many seconds."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Return the present time in UTC, to the microsecond."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Pause for so many seconds."""
        time.sleep(seconds)


class Deadline:
    """A point in time at which work has to end."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock = clock
        self._ends = clock.now().timestamp() + seconds

    def remaining(self) -> float:
        """Return the seconds left, never less than zero."""
        return max(0.0, self._ends - self.clock.now().timestamp())

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return self.remaining() == 0.0

    def pause(self, seconds: float) -> None:
        """Pause for so many seconds, or until the time is up."""
        self.clock.sleep(min(seconds, self.remaining()))


def new_version(clock: Clock) -> str:
    """Return a version stamped now."""
    return version_of(clock.now())
