"""The local system runs a PostgreSQL server if its index is wanted there and no other server is named."""

import pytest

from local.components.search import wants_postgresql
from local.errors import LocalError, MissingRequirements
from local.servers.postgresql import Server, find_programs

OURS = {"DSS_POSTGRESQL_DSN": "postgresql://ours", "DSS_LOCAL_POSTGRESQL_DSN": "postgresql://ours"}


@pytest.mark.parametrize(
    ("caller", "wanted"),
    [
        ({}, False),
        ({"DSS_INDEX": "firestore"}, False),
        ({"DSS_INDEX": "postgresql"}, True),
        ({"DSS_INDEX": "postgresql", "DSS_POSTGRESQL_DSN": "postgresql://elsewhere"}, False),
        # A shell that has sourced the environment file of an earlier run.
        ({"DSS_INDEX": "postgresql", **OURS}, True),
    ],
)
def test_a_server_is_started_if_the_index_is_wanted_there_and_no_server_is_named(caller, wanted):
    assert wants_postgresql(caller) == wanted


def test_the_newest_server_is_taken_and_a_missing_one_is_named_with_its_command(tmp_path):
    environment = {"PATH": str(tmp_path), "POSTGRESQL_ROOT": str(tmp_path)}
    with pytest.raises(MissingRequirements, match="apt-get install postgresql"):
        find_programs(environment)
    for version in ("9", "15", "16", "common"):
        programs = tmp_path / version / "bin"
        programs.mkdir(parents=True)
        for name in ("initdb", "postgres"):
            (programs / name).touch()

    assert find_programs(environment) == tmp_path / "16" / "bin"


def test_a_directory_that_the_servers_user_cannot_enter_is_named(tmp_path, monkeypatch):
    # As closed as the home directory of root.
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("os.chown", lambda *_: None)
    closed = tmp_path / "closed"
    (closed / "data").mkdir(parents=True)
    closed.chmod(0o700)

    with pytest.raises(LocalError, match=f"other users cannot enter {closed}"):
        Server(tmp_path, closed / "data" / "postgresql", 1)
