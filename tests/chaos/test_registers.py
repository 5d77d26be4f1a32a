"""Histories that nobody could have seen of a version are found, and others are not."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.chaos.history import ABSENT, DELETE, OK, READ, REFUSED, UNKNOWN, WRITE, Operation
from tests.chaos.registers import faults_of, newest_faults


def done(action: str, value: str, start: float, end: float, outcome: str = OK) -> Operation:
    return Operation(
        action=action, register="r", value=value, start=start, end=end, outcome=outcome, status=200
    )


@pytest.mark.parametrize(
    ("operations", "fault"),
    [
        # A write that was not acknowledged may have been done, at any time.
        ([done(WRITE, "a", 1, 2, UNKNOWN), done(READ, "a", 5, 6)], ""),
        ([done(WRITE, "a", 1, 2, UNKNOWN), done(READ, ABSENT, 5, 6), done(READ, "a", 7, 8)], ""),
        ([done(WRITE, "a", 1, 2), done(READ, ABSENT, 3, 4)], "it was gone at 3.000"),
        ([done(WRITE, "a", 1, 5), done(READ, "a", 1, 3), done(READ, ABSENT, 4, 5)], "it was gone at 4.000"),
        ([done(WRITE, "a", 1, 5), done(READ, "a", 1, 3), done(READ, ABSENT, 2, 5)], ""),
        ([done(WRITE, "a", 1, 2), done(WRITE, "b", 1, 2)], "it had 2 contents"),
        ([done(WRITE, "a", 1, 2), done(WRITE, "b", 1, 2, REFUSED)], ""),
        ([done(WRITE, "a", 1, 2, UNKNOWN), done(READ, "b", 3, 4)], "before anybody had written it"),
        ([done(READ, "a", 1, 2), done(WRITE, "a", 3, 4)], "before anybody had written it"),
        ([done(WRITE, "a", 5, 6), done(WRITE, "b", 1, 2, REFUSED)], "refused before anybody had written it"),
        # A name is claimed before it is there.
        ([done(WRITE, "a", 1, 9), done(WRITE, "b", 2, 3, REFUSED), done(READ, ABSENT, 4, 5)], ""),
        # It comes to another replica while its deletion is under way.
        (
            [
                done(WRITE, "a", 1, 2, UNKNOWN),
                done(DELETE, "", 3, 20, UNKNOWN),
                done(READ, ABSENT, 4, 5),
                done(READ, "a", 6, 7),
                done(DELETE, "", 21, 22),
                done(READ, ABSENT, 23, 24),
            ],
            "",
        ),
        (
            [done(WRITE, "a", 1, 2), done(DELETE, "", 3, 4), done(READ, "a", 5, 6)],
            "after it was gone at 4.000",
        ),
        ([done(WRITE, "a", 1, 2), done(DELETE, "", 3, 9, UNKNOWN), done(READ, "a", 5, 6)], ""),
        (
            [
                done(WRITE, "a", 1, 2),
                done(DELETE, "", 3, 9, UNKNOWN),
                done(READ, ABSENT, 4, 5),
                done(READ, "a", 6, 7),
            ],
            "after it was gone at 5.000",
        ),
    ],
)
def test_a_version_is_absent_then_there_then_gone(operations: list[Operation], fault: str) -> None:
    found = faults_of(operations)
    assert bool(found) is bool(fault)
    assert fault in "".join(found)


@given(some.integers(0, 2**32), some.integers(2, 30))
def test_what_a_real_version_answers_has_an_order(seed: int, count: int) -> None:
    """Each operation takes effect at a moment between its start and its end."""
    assert faults_of(_history(random.Random(seed), count)) == []


@given(some.integers(0, 2**32), some.integers(2, 30))
def test_a_write_that_is_lost_is_found(seed: int, count: int) -> None:
    operations = _history(random.Random(seed), count)
    end = max(each.end for each in operations)
    kept = [each for each in operations if each.action != DELETE]
    if any(each.outcome == OK and each.value for each in kept):
        assert faults_of([*kept, done(READ, ABSENT, end + 1, end + 2)])


def _history(chance: random.Random, count: int) -> list[Operation]:
    """Return what clients of one version see that keeps all promises, in any overlap."""
    written = chance.uniform(2, 5)
    deleted = chance.uniform(6, 9)
    operations = [done(WRITE, "a", written - chance.random(), written + chance.random())]
    operations += [done(DELETE, "", deleted - 0.1, deleted + chance.random())]
    operations[0] = replace(operations[0], outcome=chance.choice((OK, UNKNOWN)))
    for _ in range(count):
        at = chance.uniform(0, 10)
        value = "a" if written <= at < deleted else ABSENT
        operations.append(done(READ, value, at - chance.random(), at + chance.random()))
    return operations


@pytest.mark.parametrize(
    ("operations", "faults"),
    [
        ([done(WRITE, "1", 1, 2), done(READ, "1", 3, 4), done(WRITE, "2", 5, 6), done(READ, "2", 7, 8)], 0),
        ([done(WRITE, "1", 1, 2), done(WRITE, "2", 3, 4), done(READ, "1", 5, 6)], 1),
        ([done(WRITE, "1", 1, 2), done(WRITE, "2", 3, 9), done(READ, "1", 5, 6), done(READ, "2", 5, 6)], 0),
        ([done(WRITE, "1", 1, 2), done(WRITE, "2", 3, 9), done(READ, "2", 4, 5), done(READ, "1", 6, 7)], 1),
        ([done(WRITE, "1", 1, 2), done(READ, ABSENT, 3, 4)], 1),
        ([done(WRITE, "1", 1, 2, UNKNOWN), done(READ, ABSENT, 3, 4)], 0),
    ],
)
def test_a_newest_version_never_goes_back(operations: list[Operation], faults: int) -> None:
    assert len(newest_faults(operations)) == faults
