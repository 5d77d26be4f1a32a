"""Work in threads keeps its order and its bounds, and does not give up at once."""

import threading
from collections.abc import Iterator

import pytest

from shared.clock import SystemClock
from shared.errors import NotYetThere, ObjectNotFound, Unavailable
from shared.parallel import map_in_threads
from shared.retry import retry


class CountingClock(SystemClock):
    """A clock on which waiting takes no time."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


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

    assert len(list(map_in_threads(lambda _: together.wait(timeout=10), range(4), threads=4))) == 4


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


def test_what_is_unavailable_for_a_while_is_done_in_the_end() -> None:
    clock = CountingClock()
    answers = iter([Unavailable("a"), Unavailable("b"), "done"])

    def work() -> str:
        answer = next(answers)
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    assert retry(clock, work) == "done"
    assert clock.slept == [0.5, 1.0]


@pytest.mark.parametrize(("error", "attempts"), [(Unavailable, 4), (NotYetThere, 1), (ObjectNotFound, 1)])
def test_what_stays_so_goes_up(error: type[Exception], attempts: int) -> None:
    clock = CountingClock()

    def work() -> None:
        raise error("no")

    with pytest.raises(error):
        retry(clock, work)
    assert len(clock.slept) == attempts - 1
