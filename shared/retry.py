"""Work that is tried again while a cloud falters, by one policy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import tenacity

from shared.clock import Clock, Deadline
from shared.errors import NotYetThere, Unavailable

Result = TypeVar("Result")


def is_temporary(error: BaseException) -> bool:
    """Return whether another attempt in a moment may succeed: for Unavailable, but not for NotYetThere."""
    return isinstance(error, Unavailable) and not isinstance(error, NotYetThere)


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often and how soon work is tried again.

    There are `attempts` in all, with pauses of `first_pause` seconds and twice as long after each further
    attempt. No pause lasts longer than the deadline.
    """

    clock: Clock
    attempts: int = 4
    first_pause: float = 0.5
    is_temporary: Callable[[BaseException], bool] = is_temporary
    deadline: Deadline | None = None

    def run(self, work: Callable[[], Result]) -> Result:
        """Return the result of the first attempt that succeeds. Raises the error of the last attempt."""
        return tenacity.Retrying(
            sleep=self.deadline.pause if self.deadline else self.clock.sleep,
            stop=tenacity.stop_after_attempt(self.attempts),
            wait=tenacity.wait_exponential(multiplier=self.first_pause),
            retry=tenacity.retry_if_exception(self.is_temporary),
            reraise=True,
        )(work)


def retry(clock: Clock, work: Callable[[], Result]) -> Result:
    """Run work by the default policy."""
    return RetryPolicy(clock=clock).run(work)
