"""Request budgets: what an account may spend, and how many accounts are remembered."""

import sys
import threading

from hypothesis import given
from hypothesis import strategies as st

from run.api.request_budgets import BURST_SECONDS, RequestBudgets

# Units a minute: one a second.
SLOW = 60.0


class Seconds:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def admitted(budgets: RequestBudgets, name: str, cost: float) -> int:
    """Return how many requests of a cost an account may make at once."""
    count = 0
    while not budgets.spend(name, cost, SLOW):
        count += 1
    return count


def test_an_account_spends_its_burst_at_once_and_then_its_rate() -> None:
    clock = Seconds()
    budgets = RequestBudgets(clock)

    first = admitted(budgets, "one", 1)
    clock.now += 3
    second = admitted(budgets, "one", 1)

    # One more than the burst: an account that has anything left may spend.
    assert (first, second) == (BURST_SECONDS + 1, 3)


def test_each_account_has_a_budget_of_its_own() -> None:
    budgets = RequestBudgets(Seconds())

    assert admitted(budgets, "one", 1) == admitted(budgets, "other", 1)


def test_what_costs_more_than_is_left_is_done_and_paid_for_afterwards() -> None:
    clock = Seconds()
    budgets = RequestBudgets(clock)

    assert budgets.spend("one", 100, SLOW) == 0
    wait = budgets.wait("one")
    clock.now += wait - 0.5
    assert budgets.spend("one", 1, SLOW) > 0
    clock.now += 0.6
    assert budgets.spend("one", 1, SLOW) == 0

    assert wait == 100 - BURST_SECONDS


def test_a_refusal_costs_nothing() -> None:
    clock = Seconds()
    budgets = RequestBudgets(clock)
    budgets.spend("one", 20, SLOW)

    waits = {budgets.spend("one", 20, SLOW) for _ in range(1000)}

    assert waits == {budgets.wait("one")}


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 40)), max_size=200))
def test_no_sequence_of_requests_gets_more_than_the_burst_and_the_rate(
    steps: list[tuple[float, int]],
) -> None:
    clock = Seconds()
    budgets = RequestBudgets(clock)
    began, spent = clock.now, 0

    for pause, cost in steps:
        clock.now += pause
        if not budgets.spend("one", cost, SLOW):
            spent += cost
        # The last request may have taken what was not there yet.
        assert spent <= BURST_SECONDS + (clock.now - began) + max(cost for _, cost in steps) + 1e-6


def test_memory_is_bounded_and_the_last_used_accounts_are_kept() -> None:
    budgets = RequestBudgets(Seconds(), most_accounts=10)
    admitted(budgets, "flood", 1)

    for number in range(100):
        budgets.spend(f"address {number}", 1, SLOW)
        assert budgets.spend("flood", 1, SLOW) > 0
    for number in range(100, 110):
        budgets.spend(f"address {number}", 1, SLOW)

    assert budgets.wait("flood") == 0, "forgotten: it begins again"


def test_refusals_are_reported_now_and_then_with_their_number() -> None:
    clock = Seconds()
    budgets = RequestBudgets(clock)

    reports = []
    for _ in range(130):
        clock.now += 1
        reports.append(budgets.refusals("one", every=60))

    assert [number for number in reports if number] == [1, 60, 60]


def test_threads_together_get_no_more_than_one() -> None:
    alone = admitted(RequestBudgets(Seconds()), "one", 0.01)
    budgets = RequestBudgets(Seconds())
    counts: list[int] = []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [
            threading.Thread(target=lambda: counts.append(admitted(budgets, "one", 0.01))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)

    assert sum(counts) == alone
