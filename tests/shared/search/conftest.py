"""The index back ends of the contract suite: a fixture for each, and a row of BACK_ENDS."""

import contextlib
import os
from collections.abc import Iterator
from unittest import mock

import pytest

from shared.config import Settings
from shared.search.base import IndexBackend
from shared.search.postgresql.backend import PostgreSqlIndex
from shared.wiring import open_system
from tests.support.api import new_uuid
from tests.support.memory_index import MemoryIndex
from tests.support.postgresql_server import StoppableServer

# The fixture of a back end has its name and `_index`.
BACK_ENDS = ("firestore", "postgresql", "memory")


@pytest.fixture(scope="session")
def firestore_index(stack: dict[str, str]) -> IndexBackend:
    """The default back end, as a deployment opens it."""
    with mock.patch.dict(os.environ, stack):
        return open_system(Settings.from_environment({**stack, "DSS_INDEX": "firestore"})).index


@pytest.fixture(scope="session")
def postgresql_index(postgresql: StoppableServer) -> Iterator[IndexBackend]:
    """The back end for larger stores, in a server of its own."""
    with contextlib.closing(PostgreSqlIndex(postgresql.dsn)) as index:
        yield index


@pytest.fixture(scope="session")
def memory_index() -> IndexBackend:
    """What docs/search.md asks of a new back end, and no more."""
    return MemoryIndex()


@pytest.fixture(scope="session", params=BACK_ENDS)
def index(request: pytest.FixtureRequest) -> IndexBackend:
    """Each back end in turn."""
    backend: IndexBackend = request.getfixturevalue(f"{request.param}_index")
    return backend


@pytest.fixture
def replica() -> str:
    """A replica without entries."""
    return f"test-{new_uuid()}"
