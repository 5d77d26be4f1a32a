"""Writers at once share a transaction, and each gets what became of its own bundle."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from shared.access import labels_of
from shared.deadlines import deadline
from shared.errors import Unavailable
from shared.explore import audiences
from shared.explore.audiences import TooManyAudiences
from shared.explore.base import DELETED, BundleState
from shared.explore.catalogues import Catalogue
from shared.explore.postgresql.groups import MOST_AT_ONCE, Groups
from shared.identifiers import Fqid
from tests.support.catalogue import TestCatalogue
from tests.support.hca_sample import VERSION, id_of, sequenced
from tests.support.waiting import wait_until

SECONDS = 30
Write = Callable[[Catalogue, Sequence[BundleState]], list[bool]]


class Written:
    """Notes what is written together. The first transactions wait until `go`."""

    def __init__(self, write: Write) -> None:
        self.groups: list[list[str]] = []
        self.first = threading.Semaphore(0)
        self.go = threading.Event()
        self._write = write

    def __call__(self, catalogue: Catalogue, states: Sequence[BundleState]) -> list[bool]:
        self.groups.append([each.fqid.uuid for each in states])
        if len(self.groups) <= MOST_AT_ONCE:
            self.first.release()
            assert self.go.wait(SECONDS)
        return self._write(catalogue, states)


def state(name: str, version: str = VERSION) -> BundleState:
    return BundleState(fqid=Fqid(id_of(name), version), state=DELETED)


def at_once(written: Written, catalogue: Catalogue, states: Sequence[BundleState]) -> list[Future[bool]]:
    """Write all: the first ones begin, and the others come while these are being written."""
    groups = Groups(written)
    with ThreadPoolExecutor(len(states)) as pool:
        futures = []
        for number, each in enumerate(states):
            futures.append(pool.submit(groups.put, catalogue, each))
            if number < MOST_AT_ONCE:
                assert written.first.acquire(timeout=SECONDS)
        later = len(states) - MOST_AT_ONCE
        wait_until(lambda: len(groups._waiting) == later, "the others wait")
        written.go.set()
    return futures


def test_those_that_come_meanwhile_are_written_together(catalogue: TestCatalogue) -> None:
    written = Written(lambda _, states: [each.fqid.uuid == id_of("c") for each in states])

    done = at_once(written, catalogue.catalogue, [state(name) for name in "abcde"])

    assert [each.result() for each in done] == [False, False, True, False, False]
    assert sorted(map(len, written.groups)) == [1, 1, 3]


def test_each_version_of_a_bundle_is_written_by_itself(catalogue: TestCatalogue) -> None:
    written = Written(lambda _, states: [True] * len(states))
    versions = [state("c", f"2024-03-0{day}T120000.000000Z") for day in (1, 2)]

    done = at_once(written, catalogue.catalogue, [state("a"), state("b"), *versions, state("d")])

    assert all(each.result() for each in done)
    assert all(len(set(group)) == len(group) for group in written.groups)
    assert sum(group.count(id_of("c")) for group in written.groups) == 2


def test_what_fails_fails_alone(catalogue: TestCatalogue) -> None:
    def write(_: Any, states: Sequence[BundleState]) -> list[bool]:
        if any(each.fqid.uuid == id_of("c") for each in states):
            raise ValueError("c")
        return [True] * len(states)

    *others, failed, last = at_once(
        Written(write), catalogue.catalogue, [state(name) for name in ("a", "b", "d", "c", "e")]
    )

    assert all(each.result() for each in (*others, last))
    with pytest.raises(ValueError, match="c"):
        failed.result()


def test_nothing_is_repeated_while_the_database_is_away(catalogue: TestCatalogue) -> None:
    def away(*_: Any) -> list[bool]:
        raise Unavailable("away")

    written = Written(away)
    done = at_once(written, catalogue.catalogue, [state(name) for name in "abcd"])

    for each in done:
        with pytest.raises(Unavailable):
            each.result()
    assert sum(map(len, written.groups)) == 4


def test_who_waits_too_long_is_told_and_not_written(catalogue: TestCatalogue) -> None:
    written = Written(lambda _, states: [True] * len(states))
    groups = Groups(written)
    with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        first = [pool.submit(groups.put, catalogue.catalogue, state(name)) for name in "ab"]
        for _ in first:
            assert written.first.acquire(timeout=SECONDS)

        with deadline(time.monotonic() + 0.05), pytest.raises(Unavailable):
            groups.put(catalogue.catalogue, state("c"))
        written.go.set()

    assert all(each.result() for each in first)
    assert [id_of("c")] not in written.groups


def bundles_of(catalogue: TestCatalogue, names: str) -> list[BundleState]:
    return [catalogue.state(sequenced(name).metadata()) for name in names]


@pytest.mark.usefixtures("kept")
def test_a_group_gives_what_one_after_the_other_gives_or_nothing(
    catalogue: TestCatalogue, another: TestCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = sequenced("a", "2024-03-09T120000.000000Z", organ="eye").metadata()
    for each in (catalogue, another):
        each.put(sequenced("a").metadata())
        each.put(sequenced("d").metadata())
    gone = BundleState(fqid=sequenced("d").metadata().fqid, state=DELETED)
    states = [catalogue.state(newer, labels_of(("lab",))), *bundles_of(catalogue, "bc"), gone]
    for new in states:
        another.store.put(another.catalogue, new)
    before = catalogue.tables() | catalogue.large_tables()
    together = catalogue.store._writer.put_together
    execute = psycopg.Connection.execute
    left = 0

    class Stop(Exception):
        pass

    def stopping(connection: Any, *arguments: Any, **more: Any) -> Any:
        nonlocal left
        if connection.info.transaction_status == TransactionStatus.INTRANS:
            left -= 1
            if left < 0:
                raise Stop
        return execute(connection, *arguments, **more)

    statements = 0
    with monkeypatch.context() as patched:
        patched.setattr(psycopg.Connection, "execute", stopping)
        while True:
            left = statements
            try:
                assert together(catalogue.catalogue, states) == [True] * 4
                break
            except Stop:
                statements += 7
                left = 1000
                assert catalogue.tables() | catalogue.large_tables() == before, statements

    assert statements > 20
    assert catalogue.tables() == another.tables()
    assert together(catalogue.catalogue, states) == [False] * 4


def test_a_bundle_that_is_refused_takes_no_other_one_with_it(
    catalogue: TestCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Written(catalogue.store._writer.put_together)
    monkeypatch.setattr(audiences, "MAX_LABEL_SETS", 1)
    states = bundles_of(catalogue, "abcde")
    other = catalogue.state(sequenced("f").metadata(), labels_of(("lab",)))

    *done, refused = at_once(written, catalogue.catalogue, [*states, other])

    assert all(each.result() for each in done)
    with pytest.raises(TooManyAudiences):
        refused.result()
    assert len(catalogue.ids("bundles")) == 5
