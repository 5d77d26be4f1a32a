"""Processes of the system whose clocks are minutes apart, as if nobody had set them."""

import os
import random
from datetime import UTC, datetime, timedelta

import shared.clock

# Seconds by which the clock of a process is ahead or behind at most.
VARIABLE = "CHAOS_CLOCK_SECONDS"


class Apart(shared.clock.SystemClock):
    """A clock that is ahead by some seconds, or behind by them if they are less than zero."""

    def __init__(self, seconds: float) -> None:
        self._by = timedelta(seconds=seconds)

    def now(self) -> datetime:
        """Return the time of this clock."""
        return super().now() + self._by


def install() -> None:
    """Give each process that is forked from this one a clock of its own, which goes at the usual pace."""
    most = float(os.environ.get(VARIABLE) or 0)

    def now(self: shared.clock.SystemClock) -> datetime:  # noqa: ARG001 # as the method's
        return datetime.now(UTC) + offset(os.getpid(), most)

    shared.clock.SystemClock.now = now  # type: ignore[method-assign] # the clock of the machine is not ours


def offset(pid: int, most: float) -> timedelta:
    """Return by how much the clock of a process is ahead: the same each time."""
    return timedelta(seconds=random.Random(pid).uniform(-most, most))
