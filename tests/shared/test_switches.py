"""A process knows the switches for some seconds, so that no request costs a read for them."""

import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.catalog import Switch, Switches
from shared.errors import ReadOnly, Stopped, Unavailable
from shared.switches import LiveSwitches

ON = Switch(reason="a rebuild", by="ada@example.org", since=datetime(2026, 1, 12, tzinfo=UTC))


class Stored:
    """Stands for the catalog and the clock; counts reads."""

    def __init__(self) -> None:
        self.switches = Switches()
        self.error: Exception | None = None
        self.reads = 0
        self.now = 100.0
        self.answering = threading.Event()
        self.answering.set()
        self.asked = threading.Event()

    def get(self) -> Switches:
        self.reads += 1
        self.asked.set()
        assert self.answering.wait(60)
        if self.error:
            raise self.error
        return self.switches


@pytest.fixture
def stored() -> Stored:
    return Stored()


def live(stored: Any, *, read_only_mode: bool = False) -> LiveSwitches:
    return LiveSwitches(stored, read_only_mode=read_only_mode, monotonic=lambda: stored.now)


def test_many_requests_cost_one_read(stored: Stored) -> None:
    switches = live(stored)
    for _ in range(1000):
        stored.now += 0.0019
        switches.check_writes()
        switches.check_running()
    assert stored.reads == 1
    stored.now += 2
    switches.check_writes()
    assert stored.reads == 2


def test_a_switch_is_obeyed_within_five_seconds_and_says_why(stored: Stored) -> None:
    switches = live(stored)
    switches.check_writes()
    stored.switches = Switches(read_only=ON, stopped=ON)

    stored.now += 4.9

    with pytest.raises(ReadOnly, match="read-only at present: a rebuild"):
        switches.check_writes()
    with pytest.raises(ReadOnly, match="and a checkout is a write: a rebuild"):
        switches.check_writes(what="a checkout")
    with pytest.raises(Stopped, match="a rebuild"):
        switches.check_running()
    stored.switches = Switches()
    stored.now += 4.9
    switches.check_writes()
    switches.check_running()


def test_the_last_answer_counts_while_the_catalog_fails(stored: Stored) -> None:
    stored.switches = Switches(read_only=ON)
    switches = live(stored)
    with pytest.raises(ReadOnly):
        switches.check_writes()
    stored.error = Unavailable("no catalog")
    stored.now += 60

    with pytest.raises(ReadOnly):
        switches.check_writes()
    switches.check_running()
    assert stored.reads == 2


def test_the_setting_counts_whatever_operators_say(stored: Stored) -> None:
    with pytest.raises(ReadOnly):
        live(stored, read_only_mode=True).check_writes()
    assert stored.reads == 0


def test_nobody_waits_for_a_slow_answer_while_the_last_one_is_young(stored: Stored) -> None:
    switches = live(stored)
    switches.current()
    stored.answering.clear()
    stored.asked.clear()
    stored.now += 3
    reader = threading.Thread(target=switches.current, daemon=True)
    reader.start()
    assert stored.asked.wait(60)

    assert switches.current() == Switches()

    stored.answering.set()
    reader.join(60)
    assert stored.reads == 2
