"""Statements of PostgreSQL end at the deadline of a request, and later ones have their usual time."""

import contextlib
import time
from collections.abc import Iterator

import pytest

from shared.deadlines import deadline
from shared.errors import Unavailable
from shared.postgresql.connections import Connections
from tests.support.postgresql_server import StoppableServer


@pytest.fixture
def connections(postgresql: StoppableServer) -> Iterator[Connections]:
    with contextlib.closing(Connections(postgresql.dsn, prepare=lambda _: None)) as found:
        yield found


def limit(connections: Connections) -> str:
    """Return the time limit of a statement, as the server knows it."""
    with connections.connection() as connection:
        [(found,)] = connection.execute("SHOW statement_timeout").fetchall()
    return str(found)


def test_all_statements_of_a_request_end_at_its_deadline(connections: Connections) -> None:
    # The time of the statements is not spent on connecting.
    assert limit(connections) == "25s"
    done = 0
    with (
        deadline(time.monotonic() + 2),
        pytest.raises(Unavailable, match="took too long"),
        connections.connection() as connection,
    ):
        while True:
            connection.execute("SELECT pg_sleep(0.8)")
            done += 1

    assert 1 <= done <= 2
    assert limit(connections) == "25s"
    with connections.connection() as connection, connection.transaction():
        assert connection.execute("SHOW statement_timeout").fetchone() == ("25s",)


def test_nothing_begins_behind_the_deadline(connections: Connections) -> None:
    assert limit(connections) == "25s"

    with (
        deadline(time.monotonic() - 1),
        pytest.raises(Unavailable, match="took too long"),
        connections.connection(),
    ):
        pass


def test_an_earlier_deadline_is_the_limit_and_a_later_one_is_not(connections: Connections) -> None:
    with deadline(time.monotonic() + 20):
        assert limit(connections).endswith("ms")
    with deadline(time.monotonic() + 60):
        assert limit(connections) == "25s"
