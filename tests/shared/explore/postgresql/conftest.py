"""What tests of writers share."""

from collections.abc import Iterator

import pytest

from shared.explore.postgresql import shares
from tests.support.catalogue import TestCatalogue, open_catalogue
from tests.support.postgresql_server import StoppableServer


@pytest.fixture(params=["read", "counted"])
def kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Entities in few bundles, of which all is read, and those in many, whose counts are kept."""
    if request.param == "counted":
        monkeypatch.setattr(shares, "MOST_READ", 0)
    return str(request.param)


@pytest.fixture
def another(postgresql: StoppableServer) -> Iterator[TestCatalogue]:
    """A second empty catalogue, to compare with."""
    with open_catalogue(postgresql.dsn) as found:
        yield found
