"""What the tests of the command line share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dss.client import Client
from tests.support.fake_dss import FakeDss, HeldClock


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test out of the home directory, and the settings of any system out of every client.

    A fixture of this process that holds a system open has its settings in os.environ meanwhile.
    """
    for name in tuple(os.environ):
        if name.startswith("DSS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def fake() -> Iterator[FakeDss]:
    """A DSS that fails on demand."""
    with FakeDss().serving() as server:
        yield server


@pytest.fixture
def clock() -> HeldClock:
    """A clock on which waiting takes no time."""
    return HeldClock()


@pytest.fixture
def client(fake: FakeDss, clock: HeldClock) -> Client:
    """A client of the failing DSS."""
    return Client(fake.url, "a.token", clock=clock, patience=60)
