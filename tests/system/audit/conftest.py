"""A system that tests of the audit may damage, and must leave whole."""

import os
from collections.abc import Iterator

import pytest

from tests.support.audits import audit_problems
from tests.support.clouds import REPLICAS
from tests.support.manual_system import ManualSystem, World, manual_system


@pytest.fixture(scope="package")
def system(request: pytest.FixtureRequest) -> Iterator[ManualSystem]:
    """A system that these tests may damage. Each puts right what it damaged, or the next one would see it."""
    with manual_system() as system:
        yield system
        if not request.session.testsfailed:
            assert audit_problems(system.dss) == []


@pytest.fixture(scope="package")
def worlds(system: ManualSystem) -> dict[str, World]:
    """Things that were written on either replica, and are on both."""
    return {name: system.replicated_world(name, os.urandom(1000)) for name in REPLICAS}


@pytest.fixture
def world(worlds: dict[str, World], replica: str) -> World:
    """Things that were written on a replica, and are on both."""
    return worlds[replica]
