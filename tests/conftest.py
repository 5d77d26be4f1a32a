"""What all tests share: one running system, and clients of its parts (see tests/support/api.py)."""

from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from local.components import API_TABLE
from local.stack import Stack
from tests.support.api import Api
from tests.support.clouds import REPLICAS, Clouds
from tests.support.postgresql_server import HeldServer, postgresql_server

# Folders whose tests share what is slow to make: a system of their own, plans of terraform.
_TOGETHER = ("tests/system/jobs", "tests/system/audit", "tests/terraform")
# Marks of what has a command of its own in the Makefile.
_APART = ("large", "clients")
# What takes longest, longest first: begun last, it would leave one worker alone at the end.
_SLOWEST = (
    "tests/terraform/",
    "tests/local/test_demo.py",
    "tests/local/test_command.py",
    "tests/system/test_size.py",
    "tests/system/test_immutability.py",
    "tests/system/test_checkout_faults.py",
    "tests/system/test_large_copies.py",
    "tests/client/test_real_stack.py",
    "tests/system/audit/",
    "tests/system/jobs/",
    "tests/run/admin/test_admin_dead_letters.py",
    "tests/system/test_replication_faults.py",
    "tests/system/test_replication.py",
    "tests/system/",
    "tests/shared/",
    "tests/functions/",
)


@pytest.fixture(scope="session")
def stack() -> Iterator[dict[str, str]]:
    """The API and all that it needs, running; the environment of who uses it, as `dss local` writes it.

    Nothing replicates here, so that a test decides what is on which replica; see `whole_system`.
    """
    with Stack(port=0, table=API_TABLE).running() as env:
        yield env


@pytest.fixture(scope="session")
def whole_system() -> Iterator[dict[str, str]]:
    """The whole system, with all that moves by itself."""
    with Stack(port=0).running() as env:
        yield env


@pytest.fixture(scope="session")
def postgresql() -> Iterator[HeldServer]:
    """A PostgreSQL server, running."""
    with postgresql_server() as server:
        yield server


@pytest.fixture(scope="session")
def api(stack: dict[str, str]) -> Api:
    """The API, asked by somebody who may write."""
    return Api(stack["DSS_URL"], stack["DSS_TOKEN"])


@pytest.fixture(scope="session")
def admin(stack: dict[str, str]) -> Api:
    """The API, asked by an admin."""
    return Api(stack["DSS_URL"], stack["DSS_ADMIN_TOKEN"])


@pytest.fixture(scope="session")
def anyone(stack: dict[str, str]) -> Api:
    """The API, asked by somebody who has not signed in."""
    return Api(stack["DSS_URL"])


@pytest.fixture(scope="session")
def clouds(stack: dict[str, str]) -> Clouds:
    """Both clouds, as an operator sees them."""
    return Clouds(stack)


@pytest.fixture(params=REPLICAS)
def replica(request: pytest.FixtureRequest) -> str:
    """Each replica in turn."""
    return str(request.param)


class _Together(LoadFileScheduling):
    """A file's tests stay in one process, and so do those of folders that share what is slow to make."""

    def _split_scope(self, nodeid: str) -> str:
        folder = next((folder for folder in _TOGETHER if nodeid.startswith(f"{folder}/")), None)
        return folder or super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """Let `--dist loadfile` keep folders together, too, and begin the files in the order of the tests."""
    if config.getvalue("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False
    return _Together(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what `-m` has to ask for, and put the tests of the slowest files first, in the same order in
    every worker."""
    apart = {mark for mark in _APART if mark not in config.option.markexpr}
    left_out = [item for item in items if any(item.get_closest_marker(mark) for mark in apart)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]

    def place(item: pytest.Item) -> int:
        slow = (number for number, start in enumerate(_SLOWEST) if item.nodeid.startswith(start))
        return next(slow, len(_SLOWEST))

    items.sort(key=place)
