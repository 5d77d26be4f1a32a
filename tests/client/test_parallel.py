"""Work in threads is done once for each item, and ends with the first error."""

import threading

import pytest

from dss.errors import Interrupted
from dss.stopping import StoppableClock
from dss.transfer.parallel import for_each


def test_each_item_is_worked_on_once_and_several_at_a_time() -> None:
    both, seen = threading.Barrier(2, timeout=60), []

    def work(item: int) -> None:
        if item < 2:
            both.wait()
        seen.append(item)

    for_each(range(100), work, jobs=2, clock=StoppableClock())

    assert sorted(seen) == list(range(100))


def test_the_first_error_ends_all_whichever_item_it_is_of() -> None:
    clock, begun = StoppableClock(), []

    def work(item: int) -> None:
        begun.append(item)
        if item == 1:
            raise LookupError("no such thing")
        while True:
            # Until the error of the other one stops the clock.
            clock.sleep(30)

    with pytest.raises(LookupError, match="no such thing"):
        for_each(range(100), work, jobs=2, clock=clock)
    with pytest.raises(Interrupted):
        clock.check()
    assert sorted(begun) == [0, 1]


def test_no_items_are_no_work() -> None:
    for_each([], lambda _: None, jobs=8, clock=StoppableClock())
