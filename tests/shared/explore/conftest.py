"""What tests of the catalogue share."""

from collections.abc import Iterator

import pytest

from tests.support.catalogue import TestCatalogue, open_catalogue
from tests.support.postgresql_server import StoppableServer


@pytest.fixture
def catalogue(postgresql: StoppableServer) -> Iterator[TestCatalogue]:
    """An empty catalogue of HCA bundles."""
    with open_catalogue(postgresql.dsn) as found:
        yield found
