"""A request has one deadline, which its calls to back ends obey in all of its threads."""

import time

import pytest

from shared.deadlines import deadline, limited
from shared.errors import Unavailable
from shared.parallel import map_in_threads


def test_without_a_deadline_a_call_has_its_own_limit() -> None:
    assert limited(30) == 30


def test_the_earlier_of_two_limits_counts() -> None:
    with deadline(time.monotonic() + 10):
        assert 9 < limited(30) <= 10
        assert limited(3) == 3
    assert limited(30) == 30


def test_no_call_begins_after_the_deadline() -> None:
    with deadline(time.monotonic() - 1), pytest.raises(Unavailable, match="too long"):
        limited(30)


def test_threads_have_the_deadline_of_the_one_that_starts_them() -> None:
    with deadline(time.monotonic() + 10):
        results = list(map_in_threads(limited, [30.0, 3.0], threads=2))
    assert 9 < results[0] <= 10
    assert results[1] == 3
