"""Time: one clock, passed in, so that a test can stop it."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from shared.errors import IllegalVersion
from shared.identifiers import moment_of, version_after, version_of


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


def next_version(clock: Clock, base: str) -> str:
    """Return a version stamped now, or one microsecond after its base if the base is not in the past.

    Another process, whose clock is ahead, may have stamped the base. Raise IllegalVersion if no version comes
    after the base.
    """
    return max(new_version(clock), version_after(base))


def check_not_ahead(clock: Clock, version: str, seconds: int) -> None:
    """Raise IllegalVersion if a version is more than so many seconds ahead of the clock.

    Such a version would stay the newest until then, even if others are written after it.
    """
    if moment_of(version) > clock.now() + timedelta(seconds=seconds):
        raise IllegalVersion(
            f"version: {version} is more than {seconds} seconds ahead of {new_version(clock)}, the time of "
            "the service; correct your clock, and choose another version"
        )
