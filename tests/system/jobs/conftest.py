"""One system for all tests of administrative runs."""

from collections.abc import Iterator

import pytest

from tests.support.admin_system import AdminSystem, admin_system


@pytest.fixture(scope="package")
def system() -> Iterator[AdminSystem]:
    """A system that these tests may damage, and must leave whole."""
    with admin_system() as system:
        yield system
