"""Memory budgets: threads share them, wait for them, and give up in the end."""

import threading

import pytest

from shared.errors import Unavailable
from shared.memory_budget import MemoryBudget


def test_a_request_waits_for_memory_and_gives_up_in_the_end() -> None:
    budget = MemoryBudget(100, patience=0.05)
    with budget.reserve(60), budget.reserve(40):
        # An empty request needs no memory.
        with budget.reserve(0):
            pass
        with pytest.raises(Unavailable, match="large requests"), budget.reserve(1):
            pass
    with budget.reserve(100):
        pass


def test_memory_is_free_again_as_soon_as_its_holder_ends_or_fails() -> None:
    budget = MemoryBudget(100, patience=30)
    reserved = threading.Event()

    def reserve() -> None:
        with budget.reserve(1):
            reserved.set()

    waiting = threading.Thread(target=reserve)
    # More than the total is all of it.
    with pytest.raises(ValueError, match="failed"), budget.reserve(1000):
        waiting.start()
        assert not reserved.wait(0.1)
        raise ValueError("failed")
    assert reserved.wait(10)
    waiting.join()
