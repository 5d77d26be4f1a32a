"""Which files of the suite are opened, in which order they run, and which of them stay in one xdist worker.

A file that takes long and starts last leaves the other worker idle. So files start longest first, by the
seconds that they took when `pytest --record-seconds` ran last, which seconds.json keeps for clones. That also
writes down the files of which every test starts processes: `--quick` does not open them, for to import them
would take it longer than to import all others.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).resolve().parents[2]
_RECORD = Path(__file__).with_name("seconds.json")
_NEVER_QUICK = Path(__file__).with_name("never_quick.json")
# Seconds, for tests of a group that is not recorded.
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
    """A plugin that writes down how long each group of tests took."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add set-up, call and tear-down."""
        self._seconds[group_of(report.nodeid)] += report.duration

    def pytest_sessionfinish(self) -> None:
        """Write the groups down that took a second or more; those that did not run keep theirs."""
        took = recorded() | {group: round(seconds, 1) for group, seconds in self._seconds.items()}
        kept = {group: seconds for group, seconds in sorted(took.items()) if seconds >= 1}
        _RECORD.write_text(json.dumps(kept, indent=1) + "\n")


def recorded() -> dict[str, float]:
    """Return how many seconds each group took when they were recorded last."""
    seconds: dict[str, float] = json.loads(_RECORD.read_text())
    return seconds


@cache
def never_quick() -> frozenset[str]:
    """Return the files, from the root, of which every test started processes when they were recorded last."""
    return frozenset(json.loads(_NEVER_QUICK.read_text()))


def record_never_quick(items: Sequence[pytest.Item], starts_processes: Callable[[pytest.Item], bool]) -> None:
    """Write down which of the files of these tests have none that `--quick` runs."""
    files = {item.nodeid.partition("::")[0] for item in items}
    others = {item.nodeid.partition("::")[0] for item in items if not starts_processes(item)}
    kept = {file for file in never_quick() if (ROOT / file).exists()}
    _NEVER_QUICK.write_text(json.dumps(sorted((kept | files) - others), indent=1) + "\n")


def longest_first(
    items: Sequence[pytest.Item],
    seconds: Mapping[str, float],
    starts_processes: Callable[[pytest.Item], bool],
) -> list[pytest.Item]:
    """Return tests by group, the group that takes longest first; tests of a group keep their order."""
    estimates: dict[str, float] = defaultdict(float)
    for item in items:
        estimates[group_of(item.nodeid)] += _SLOW if starts_processes(item) else _QUICK
    totals = estimates | {group: seconds[group] for group in estimates if group in seconds}
    return sorted(items, key=lambda item: (-totals[group_of(item.nodeid)], group_of(item.nodeid)))
