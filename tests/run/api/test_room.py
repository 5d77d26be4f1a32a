"""Room for large requests: shared, waited for, and not for ever."""

import threading

import pytest

from run.api.memory_budget import Reservation
from shared.errors import Unavailable


def test_who_finds_no_room_waits_and_not_for_ever() -> None:
    room = Reservation(100, patience=0.05)
    with room.taken(60), room.taken(40):
        # What is small needs none.
        with room.taken(0):
            pass
        with pytest.raises(Unavailable, match="large requests"), room.taken(1):
            pass
    with room.taken(100):
        pass


def test_room_is_had_as_soon_as_another_leaves_it_however_that_went() -> None:
    room = Reservation(100, patience=30)
    entered = threading.Event()

    def enter() -> None:
        with room.taken(1):
            entered.set()

    waiting = threading.Thread(target=enter)
    # Larger than all of it: then it has all of it.
    with pytest.raises(ValueError, match="gone"), room.taken(1000):
        waiting.start()
        assert not entered.wait(0.1)
        raise ValueError("gone")
    assert entered.wait(10)
    waiting.join()
