"""A process that takes more memory than it is deployed with is found."""

from tests.chaos.faults.base import WORKERS
from tests.chaos.memory import deployed, outgrown


def test_all_processes_have_a_limit() -> None:
    limits = deployed()
    assert limits.keys() >= set(WORKERS)
    assert all(2**28 <= limit <= 2**32 for limit in limits.values())


def test_who_takes_more_is_named() -> None:
    limits = deployed()
    assert outgrown(limits) == []
    mebibytes = limits["sync"] // 2**20
    expected = [f"sync took {mebibytes + 1} MiB, and has {mebibytes}"]
    assert outgrown({**limits, "sync": limits["sync"] + 2**20}) == expected
