"""Map in threads: results in order, few items ahead, and the first error ends it."""

import threading
from collections.abc import Iterator

import pytest

from shared.errors import ObjectNotFound, Unavailable
from shared.parallel import map_in_threads, run_side_by_side


def test_results_come_in_order_and_few_things_are_taken_ahead() -> None:
    taken = []

    def things() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    results = map_in_threads(lambda number: number * 2, things(), threads=4)

    assert [next(results) for _ in range(10)] == [number * 2 for number in range(10)]
    assert len(taken) <= 10 + 2 * 4
    assert list(results) == [number * 2 for number in range(10, 1000)]


def test_several_are_at_work_at_once() -> None:
    together = threading.Barrier(4)

    assert len(list(map_in_threads(lambda _: together.wait(timeout=60), range(4), threads=4))) == 4


def test_the_first_exception_goes_up_and_ends_it() -> None:
    done = []

    def work(number: int) -> int:
        if number == 3:
            raise ObjectNotFound("three")
        done.append(number)
        return number

    results = map_in_threads(work, range(1000), threads=2)

    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ObjectNotFound):
        next(results)
    assert len(done) < 20


def test_two_are_at_work_side_by_side() -> None:
    together = threading.Barrier(2)

    def one() -> int:
        return together.wait(timeout=60)

    assert set(run_side_by_side(one, one)) == {0, 1}


def test_both_of_two_have_ended_before_an_error_is_raised() -> None:
    begun, failing, counted = threading.Event(), threading.Event(), []

    def other() -> None:
        begun.set()
        assert failing.wait(timeout=60)
        # Some hundredths of a second: much longer than an error takes to be raised.
        for number in range(500_000):
            counted.append(number)
        raise Unavailable("other")

    def first() -> None:
        assert begun.wait(timeout=60)
        failing.set()
        raise ObjectNotFound("first")

    with pytest.raises(ObjectNotFound):
        run_side_by_side(first, other)
    assert len(counted) == 500_000
    with pytest.raises(Unavailable):
        run_side_by_side(lambda: None, other)
