"""A bundle of thousands of files leaves others what they need to be written."""

import psycopg
import pytest
from psycopg.errors import LockNotAvailable

from shared.explore.postgresql import writer
from shared.explore.postgresql.locks import LOCKS, lock_bundles, lock_entities
from tests.support.catalogue import TestCatalogue
from tests.support.hca_sample import HcaBundle, id_of
from tests.support.postgresql_server import StoppableServer

HELD = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()"


def test_thousands_of_entities_take_few_locks_of_the_server_and_leave_most_to_others(
    catalogue: TestCatalogue, postgresql: StoppableServer
) -> None:
    keys = [("files", id_of(f"file {number}")) for number in range(10_000)]
    others = [("files", id_of(f"other {number}")) for number in range(100)]
    with psycopg.connect(postgresql.dsn) as one, psycopg.connect(postgresql.dsn) as other:
        lock_bundles(one, catalogue.catalogue, ["a"])
        lock_entities(one, catalogue.catalogue, keys)
        [(held,)] = one.execute(HELD).fetchall()
        other.execute("SELECT set_config('lock_timeout', '20ms', false)")
        other.commit()
        free = 0
        for key in others:
            try:
                with other.transaction():
                    lock_entities(other, catalogue.catalogue, [key])
                free += 1
            except LockNotAvailable:
                pass
        with pytest.raises(LockNotAvailable), other.transaction():
            lock_entities(other, catalogue.catalogue, [keys[5000]])

        assert held < 10
        assert free > 80
        one.rollback()
        lock_entities(other, catalogue.catalogue, keys)
        other.rollback()


def test_a_lock_that_is_not_there_is_an_error(catalogue: TestCatalogue, postgresql: StoppableServer) -> None:
    with psycopg.connect(postgresql.dsn) as connection:
        connection.execute("DELETE FROM dss_explore_locks")
        with pytest.raises(RuntimeError, match=str(LOCKS - 1)):
            lock_entities(connection, catalogue.catalogue, [("files", id_of("a"))])
        connection.rollback()


def test_documents_that_are_made_in_parts_are_those_that_are_made_at_once(
    catalogue: TestCatalogue, another: TestCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = HcaBundle()
    for number in range(7):
        bundle.file(f"{number}.txt")
    another.put(bundle.metadata())
    monkeypatch.setattr(writer, "AT_ONCE", 2)

    catalogue.put(bundle.metadata())

    assert catalogue.tables() == another.tables()
