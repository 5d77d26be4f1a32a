"""The report of a run has what was done, what failed, how long things took to recover, and what was lost."""

from dataclasses import replace

import pytest

from tests.chaos.charts import draw
from tests.chaos.faults import KILL, STORM
from tests.chaos.faults.base import Fault
from tests.chaos.history import OK, READ, UNKNOWN, WRITE, Operation
from tests.chaos.monitor import Measured
from tests.chaos.report import Hit, Outcome, page, percentile, text


def done(action: str, start: float, end: float, outcome: str = OK) -> Operation:
    return Operation(
        action=action, register="r", value="a", start=start, end=end, outcome=outcome, status=200
    )


OUTCOME = Outcome(
    seed=7,
    seconds=60,
    began=100,
    hit=[
        Hit(Fault(10, KILL, "api"), "4711", 110, 110),
        Hit(Fault(11, KILL, "sync"), "", 111, 111),
        Hit(Fault(20, STORM, "gcs", 5), "gcs", 120, 125),
    ],
    statuses={200: 5, 503: 1},
    done={"bundles acknowledged": 3},
    operations=[
        done(WRITE, 109, 110.5),
        done(WRITE, 111, 112, UNKNOWN),
        done(WRITE, 111, 114),
        done(WRITE, 113, 113.5),
        done(READ, 126, 126.5),
    ],
    measured=Measured(
        backlog=[(101, 0), (121, 3), (130, 0)],
        settled={"a": (105, 107), "b": (124, 131), "c": (140, 141)},
        memory=[(101, {"api": 100 * 2**20}), (160, {"api": 120 * 2**20})],
    ),
    settled=30,
    found={"a check": [], "another one": []},
)


def test_recovery_is_the_end_of_the_first_good_answer_that_began_after_a_fault() -> None:
    times = OUTCOME.recoveries()
    assert times["from a kill to the first write that is acknowledged"] == [3.5]
    assert times["from a kill to the first read that is answered"] == [16.5]
    assert times["from the end of a storm to the first write that is acknowledged"] == []
    # The last of what was acknowledged before the end of the storm, at 125, was everywhere at 131.
    assert times["from the end of a storm until all that was acknowledged by then is everywhere"] == [6]
    assert times["from the acknowledgement of a bundle until it is everywhere"] == [2, 7, 1]


def test_the_report_counts_what_was_hit() -> None:
    shown = page(OUTCOME)
    assert "Nothing was lost." in shown
    assert "| kill | 1 | api 1 |" in shown
    assert "| storm | 1 | gcs 1 |" in shown
    assert "| api | 100 | 120 |" in shown


def test_what_is_wrong_is_in_the_report() -> None:
    lost = replace(OUTCOME, found={"a check": ["x is gone"] * 7, "another one": []})
    assert lost.faults.keys() == {"a check"}
    assert "WRONG: a check: x is gone;" in text(lost)
    assert "and 2 more" in text(lost)
    assert "Nothing was lost" not in page(lost)


@pytest.mark.parametrize(("percent", "time"), [(50, 3), (100, 5), (0.0, 5)])
def test_percentiles_are_of_all_times(percent: int, time: float) -> None:
    assert percentile([5, 1, 2, 3, 4] if percent else [5], percent) == time


def test_a_chart_is_the_same_for_the_same_run() -> None:
    drawn = draw(OUTCOME)
    assert drawn == draw(OUTCOME)
    for title in (b"Load", b"Faults", b"Recovery"):
        assert title in drawn
