"""One system for all tests of administrative runs."""

from collections.abc import Iterator

import pytest

from tests.support.administered import Administered, administered_system


@pytest.fixture(scope="package")
def system() -> Iterator[Administered]:
    """A system that these tests may damage, and must leave whole."""
    with administered_system() as system:
        yield system
