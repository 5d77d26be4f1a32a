"""Reads of back ends for a page: bounded in time, joined and kept."""

import threading

from run.api.bounded_reads import BoundedReads, Unknown
from shared.deadlines import limited
from shared.errors import Unavailable
from tests.support.waiting import SLOWNESS, wait_until

PATIENCE = 15 * SLOWNESS


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def reads(*, seconds: float = PATIENCE, clock: Clock | None = None) -> BoundedReads[int]:
    return BoundedReads(4, seconds=seconds, kept=10, clock=clock or Clock())


def failing(error: Exception) -> int:
    raise error


def test_what_fails_is_unknown_and_takes_nothing_with_it() -> None:
    found = reads().ask(
        {
            "first": lambda: 1,
            "away": lambda: failing(Unavailable("Firestore does not answer")),
            "wrong": lambda: failing(KeyError("x")),
            "last": lambda: 2,
        }
    )

    assert found == {
        "first": 1,
        "away": Unknown("Firestore does not answer"),
        "wrong": Unknown("KeyError"),
        "last": 2,
    }


def test_what_hangs_is_unknown_in_time_and_holds_one_thread() -> None:
    bounded, goes_on, begun = reads(seconds=0.1), threading.Event(), []

    def hang() -> int:
        begun.append(1)
        goes_on.wait(PATIENCE)
        return 7

    for _ in range(5):
        found = bounded.ask({"hangs": hang, "answers": lambda: 1})
        assert found == {"hangs": Unknown("no answer within 0.1 seconds"), "answers": 1}
    goes_on.set()

    # The read that went on is what the next one gets.
    assert wait_until(lambda: bounded.ask({"hangs": hang}) == {"hangs": 7}, "the read ends")
    assert len(begun) == 1


def test_calls_to_back_ends_end_with_the_page() -> None:
    found = reads(seconds=5).ask({"left": lambda: round(limited(1000))})

    assert found == {"left": 5}


def test_what_was_read_is_kept_for_a_while_and_a_failure_too() -> None:
    clock, counted = Clock(), iter(range(100))
    bounded = reads(clock=clock)

    def count() -> int:
        if (number := next(counted)) == 1:
            raise Unavailable("away")
        return number

    assert bounded.ask({"n": count}) == bounded.ask({"n": count}) == {"n": 0}
    clock.now = 10
    assert bounded.ask({"n": count}) == bounded.ask({"n": count}) == {"n": Unknown("away")}
    clock.now = 20
    assert bounded.ask({"n": count}) == {"n": 2}
