"""The same seed makes the same faults, and none outlives the run."""

from hypothesis import given
from hypothesis import strategies as some

from tests.chaos.faults import KINDS
from tests.chaos.schedule import CALM, schedule

seeds, lengths = some.integers(0, 10**6), some.floats(20, 600)


@given(seeds, lengths)
def test_a_seed_repeats_a_schedule(seed: int, seconds: float) -> None:
    assert schedule(seed, seconds) == schedule(seed, seconds)
    assert schedule(seed, seconds) != schedule(seed + 1, seconds) or seconds < 30


@given(seeds, lengths)
def test_faults_are_over_before_the_end(seed: int, seconds: float) -> None:
    faults = schedule(seed, seconds)
    assert faults == sorted(faults)
    assert all(each.at >= CALM and each.at + each.seconds <= seconds + 0.01 for each in faults)


def test_ten_minutes_have_every_kind_of_fault_on_nearly_every_target() -> None:
    made = {(each.kind, each.target) for each in schedule(1, 600)}
    known = {(kind.name, target) for kind in KINDS for target in kind.targets}
    assert {kind for kind, _ in made} == {kind.name for kind in KINDS}
    assert made <= known
    assert len(made) >= 0.9 * len(known)
