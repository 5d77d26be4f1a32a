"""While Firestore is away, a request ends soon after its deadline: pauses between attempts are short."""

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from local.supervisor.ports import reserve
from shared.catalog.client import LONGEST_PAUSE, open_client
from shared.catalog.database import Database
from shared.clock import SystemClock
from shared.deadlines import deadline
from shared.errors import Unavailable


def _one(database: Database) -> Any:
    return database.client.document("pauses/one")


_CALLS: Mapping[str, Callable[[Database], object]] = {
    "commit": lambda database: database.commit(lambda batch: batch.set(_one(database), {})),
    "transaction": lambda database: database.transact(lambda _: None),
    "count": lambda database: database.count(database.client.collection("pauses")),
    "get": lambda database: database.get(_one(database)),
    "query": lambda database: database.query(database.client.collection("pauses")),
}


@pytest.mark.parametrize("call", _CALLS)
def test_no_pause_is_long(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(random, "uniform", lambda _, most: most)
    monkeypatch.setattr(time, "sleep", pauses.append)

    # Nobody listens at the port.
    with reserve() as port:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{port.getsockname()[1]}")
        database = Database(open_client("dss-local", "(default)"), replicas=["gcp"], clock=SystemClock())
        with deadline(time.monotonic() + 1), pytest.raises(Unavailable):
            _CALLS[call](database)

    # So many that each would have become longer.
    assert len(pauses) > 20
    assert max(pauses) == LONGEST_PAUSE
