"""What all tests share: one running system, and clients of its parts (see tests/support/api.py)."""

import gc
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from local.components import API_TABLE
from local.stack import Stack
from shared.messages import BUNDLE_CHANGES
from tests.support.api import Api
from tests.support.clouds import REPLICAS, Clouds
from tests.support.collector import Collector, collector
from tests.support.large_objects import VERIFIES_INLINE
from tests.support.postgresql_server import StoppableServer, postgresql_server
from tests.support.process_use import ProcessUse, refuse_processes
from tests.support.schedule import (
    ROOT,
    DurationRecorder,
    GroupScheduling,
    longest_first,
    never_quick,
    record_never_quick,
    recorded,
)
from tests.support.topics import make_topics

# Tests with these markers run only if `-m` names the marker: each has a command in the Makefile.
_OPT_IN = ("large", "clients")


@pytest.fixture(scope="session")
def stack() -> Iterator[dict[str, str]]:
    """The API and all that it needs, running; the environment of who uses it, as `dss local` writes it.

    Nothing replicates here, so that a test decides what is on which replica; see `whole_system`. Without
    workflows, requests verify large files too, and no sweep starts the jobs that tests leave.
    """
    caller = {**os.environ, **VERIFIES_INLINE}
    with Stack(port=0, table=API_TABLE, caller=caller).running() as env:
        # A change of readers is published for the catalogue.
        make_topics(env, BUNDLE_CHANGES)
        yield {**env, "DSS_UNSTARTED_SECONDS": "100000"}


@pytest.fixture(scope="session")
def spans() -> Iterator[Collector]:
    """What the processes of the whole system export."""
    with collector() as running:
        yield running


@pytest.fixture(scope="session")
def whole_system(spans: Collector) -> Iterator[dict[str, str]]:
    """The whole system, with all that moves by itself."""
    with Stack(port=0, caller={**os.environ, "DSS_TRACES": spans.url}).running() as env:
        yield env


@pytest.fixture(scope="session")
def postgresql() -> Iterator[StoppableServer]:
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


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options."""
    parser.addoption("--quick", action="store_true", help="run only the tests that start no process")
    parser.addoption(
        "--record-seconds",
        action="store_true",
        help="write down how long files take, and which are never quick",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let properties take their time on a busy machine, and let the main process record seconds if asked."""
    settings.register_profile("full", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("quick", settings.get_profile("full"), max_examples=20)
    settings.load_profile("quick" if config.getoption("quick") else "full")
    _log_plain_traces()
    # Until the tests run: what is imported and collected stays, and to look through it is no use.
    gc.disable()
    is_worker = hasattr(config, "workerinput")
    if config.option.record_seconds and not is_worker:
        config.pluginmanager.register(DurationRecorder())
    if config.option.quick and (is_worker or not config.option.numprocesses):
        refuse_processes()


def _log_plain_traces() -> None:
    """Let structlog write traces as Python does: its colours and boxes take longer than most tests."""
    *others, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*others, plain])


def pytest_collection_finish() -> None:
    """Collect garbage from here on, of what the tests make."""
    gc.freeze()
    gc.enable()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """Let `--dist loadfile` keep the order of the tests, and keep folders together that share a fixture."""
    if config.getvalue("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False
    return GroupScheduling(config, log)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not open files for `--quick` that have nothing for it."""
    if config.option.quick and collection_path.suffix == ".py":
        return collection_path.relative_to(ROOT).as_posix() in never_quick() or None
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Select the tests, and put those first that take longest: in the same order in every worker."""
    starts_processes = cache(ProcessUse().of)
    if config.option.record_seconds and os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
        record_never_quick(items, starts_processes)
    omitted_marks = {mark for mark in _OPT_IN if mark not in config.option.markexpr}

    def is_selected(item: pytest.Item) -> bool:
        if any(item.get_closest_marker(mark) for mark in omitted_marks):
            return False
        return not (config.option.quick and starts_processes(item))

    selected = [item for item in items if is_selected(item)]
    config.hook.pytest_deselected(items=[item for item in items if not is_selected(item)])
    items[:] = longest_first(selected, recorded(), starts_processes)
