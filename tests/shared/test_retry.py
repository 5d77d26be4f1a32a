"""Work is tried again while a cloud falters: a few times, with growing pauses, and never past a deadline."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.clock import Deadline
from shared.errors import NotYetThere, ObjectNotFound, Unavailable
from shared.retry import RetryPolicy, retry


class CountingClock:
    """A clock that only pauses move on, and at once."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=sum(self.pauses))

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


def failing(*errors: type[Exception]):
    """Return work that raises each of these errors in turn, and then succeeds."""
    left = list(errors)

    def work() -> str:
        if left:
            raise left.pop(0)("no")
        return "done"

    return work


def test_work_that_is_unavailable_for_a_while_succeeds_in_the_end() -> None:
    clock = CountingClock()
    assert retry(clock, failing(Unavailable, Unavailable)) == "done"
    assert clock.pauses == [0.5, 1.0]


@pytest.mark.parametrize(("error", "attempts"), [(Unavailable, 4), (NotYetThere, 1), (ObjectNotFound, 1)])
def test_an_error_that_stays_is_raised(error: type[Exception], attempts: int) -> None:
    clock = CountingClock()
    with pytest.raises(error):
        retry(clock, failing(*[error] * 9))
    assert len(clock.pauses) == attempts - 1


def test_no_pause_lasts_longer_than_the_deadline() -> None:
    clock = CountingClock()
    policy = RetryPolicy(clock=clock, attempts=5, first_pause=2, deadline=Deadline(clock, 5))
    assert policy.run(failing(*[Unavailable] * 3)) == "done"
    assert clock.pauses == [2, 3, 0]
