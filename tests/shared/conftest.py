"""What tests of the code that all programs share have in common."""

from collections.abc import Iterator

import pytest

from tests.support.copies import parts_of_small_size


@pytest.fixture
def small_parts() -> Iterator[None]:
    """Objects of several parts are small ones in this test."""
    with parts_of_small_size():
        yield
