"""The order in which the files of the suite run, and which of them stay in one xdist worker.

A file that takes long and starts last leaves the other worker idle. So files start longest first, by the time
that their tests took when they ran last, which pytest's cache remembers.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).resolve().parents[2]
_CACHE_KEY = "dss/seconds"
# Seconds, for tests that have not run yet.
_QUICK, _SLOW = 0.02, 1.0


@cache
def shared_folders() -> tuple[str, ...]:
    """Return the folders, from the root, whose conftest.py has a fixture for the whole folder."""
    conftests = sorted((ROOT / "tests").rglob("conftest.py"))
    shared = [path.parent for path in conftests if 'scope="package"' in path.read_text()]
    return tuple(path.relative_to(ROOT).as_posix() for path in shared)


def group_of(node_id: str) -> str:
    """Return the group of a test: its file, or a folder above it whose tests share a fixture."""
    file = node_id.partition("::")[0]
    return next((folder for folder in shared_folders() if file.startswith(f"{folder}/")), file)


class GroupScheduling(LoadFileScheduling):
    """Keeps the tests of a group in one worker."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


class DurationRecorder:
    """A plugin that remembers how long each test took."""

    def __init__(self, cache: pytest.Cache) -> None:
        self._cache = cache
        self._seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add set-up, call and tear-down."""
        self._seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        """Keep what other tests took when they ran last."""
        rounded = {node_id: round(seconds, 3) for node_id, seconds in self._seconds.items()}
        self._cache.set(_CACHE_KEY, recorded(self._cache) | rounded)


def recorded(cache: pytest.Cache) -> dict[str, float]:
    """Return how many seconds each test took when it ran last, by its node id."""
    seconds: dict[str, float] = cache.get(_CACHE_KEY, {})
    return seconds


def longest_first(
    items: Sequence[pytest.Item],
    seconds: Mapping[str, float],
    starts_processes: Callable[[pytest.Item], bool],
) -> list[pytest.Item]:
    """Return tests by group, the group that takes longest first; tests of a group keep their order."""
    totals: dict[str, float] = defaultdict(float)
    for item in items:
        estimate = _SLOW if starts_processes(item) else _QUICK
        totals[group_of(item.nodeid)] += seconds.get(item.nodeid, estimate)
    return sorted(items, key=lambda item: (-totals[group_of(item.nodeid)], group_of(item.nodeid)))
