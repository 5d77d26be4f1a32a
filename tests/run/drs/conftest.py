"""Clients of DRS."""

import pytest

from shared.system import Dss
from tests.support.api import Api, Version, put_file
from tests.support.clouds import Clouds
from tests.support.drs import Drs
from tests.support.dss import open_dss_for_threads


@pytest.fixture(scope="session")
def drs(anyone: Api) -> Drs:
    """DRS, asked by somebody who has not signed in."""
    return Drs(anyone)


@pytest.fixture(scope="session")
def dss(stack: dict[str, str]) -> Dss:
    """The dependencies of the running system, as an operator has them."""
    return open_dss_for_threads(stack, publishes=False)


@pytest.fixture
def file(api: Api, clouds: Clouds, replica: str) -> Version:
    """A new file of a few bytes on `replica`."""
    return put_file(api, clouds.stage(replica, b"content of a file", content_type="text/plain"))
