"""All that follows from a bundle is in one transaction, and several writers at once are as one after the
other."""

import contextlib
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from shared.access import labels_of
from shared.errors import Unavailable
from shared.explore.audiences import Audience
from shared.explore.bundle_metadata import BundleMetadata
from shared.explore.postgresql import documents, shares, writer
from shared.explore.postgresql.audience_numbers import AudienceNumbers
from shared.explore.postgresql.part_numbers import PartNumbers
from shared.explore.postgresql.term_numbers import TermNumbers
from shared.explore.rows import Part
from shared.postgresql.connections import Connections
from tests.support.api import new_uuid
from tests.support.catalogue import ANYBODY, Labels, TestCatalogue
from tests.support.hca_sample import HcaBundle, id_of, sequenced
from tests.support.postgresql_server import StoppableServer

OLDER, NEWER = "2024-03-01T120000.000000Z", "2024-03-02T120000.000000Z"
LAB, OTHER_LAB = labels_of(("lab",)), labels_of(("other-lab",))


pytestmark = pytest.mark.usefixtures("kept")


def metadata(*arguments: str, **more: Any) -> BundleMetadata:
    return sequenced(*arguments, **more).metadata()


def organ_of(catalogue: TestCatalogue, sought: Labels | None = ANYBODY) -> Any:
    document = catalogue.document("samples", id_of("specimen"), sought)
    return document and document["contents"]["samples"][0]["organ"]


class Stop(Exception):
    """A writer ends here."""


def test_a_writer_that_is_stopped_between_any_two_statements_has_changed_nothing(
    catalogue: TestCatalogue, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue.put(metadata("a", OLDER))
    catalogue.put(metadata("b"))
    before = catalogue.tables() | catalogue.large_tables()
    newer = catalogue.state(metadata("a", NEWER, organ="eye"))
    execute, executemany = psycopg.Connection.execute, psycopg.Cursor.executemany
    left = 0

    def count(connection: psycopg.Connection[Any]) -> None:
        nonlocal left
        if connection.info.transaction_status == TransactionStatus.INTRANS:
            left -= 1
            if left < 0:
                raise Stop

    def stopping(connection: Any, statement: Any, *arguments: Any, **more: Any) -> Any:
        count(connection)
        return execute(connection, statement, *arguments, **more)

    def stopping_many(cursor: Any, *arguments: Any) -> Any:
        count(cursor.connection)
        return executemany(cursor, *arguments)

    statements = 0
    with monkeypatch.context() as patched:
        patched.setattr(psycopg.Connection, "execute", stopping)
        patched.setattr(psycopg.Cursor, "executemany", stopping_many)
        while True:
            left = statements
            try:
                catalogue.store.put(catalogue.catalogue, newer)
                break
            except Stop:
                # What is kept of large entities takes many statements, which are alike.
                statements += 1 if kept == "read" else 9
                left = 1000
                assert catalogue.tables() | catalogue.large_tables() == before, statements

    assert statements > (8 if kept == "read" else 18)
    assert organ_of(catalogue) == "eye"


def test_a_connection_that_is_cut_while_it_writes_leaves_nothing(
    catalogue: TestCatalogue, postgresql: StoppableServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue.put(metadata("a"))
    before = catalogue.tables() | catalogue.large_tables()
    write = documents.DocumentWriter.write

    def cut(writer: Any, *arguments: Any) -> None:
        write(writer, *arguments)
        with psycopg.connect(postgresql.dsn) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (writer._connection.info.backend_pid,))
        # Its locks are released once it has ended; the next statement says so.
        writer._connection.execute("SELECT 1")

    with monkeypatch.context() as patched, pytest.raises(Unavailable):
        patched.setattr(documents.DocumentWriter, "write", cut)
        catalogue.put(metadata("b"))

    assert catalogue.tables() | catalogue.large_tables() == before
    assert catalogue.put(metadata("b"))


def in_threads(*work: Any) -> None:
    """Do all at once; raise what any raises."""
    barrier = threading.Barrier(len(work))

    def run(each: Any) -> None:
        barrier.wait(60)
        each()

    with ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(run, each) for each in work]:
            done.result()


def test_two_bundles_at_once_give_what_one_after_the_other_gives(
    catalogue: TestCatalogue, another: TestCatalogue
) -> None:
    bundles = [metadata(f"b{number}", specimen=f"s{number % 2}") for number in range(6)]
    for bundle in bundles:
        another.put(bundle)

    in_threads(*(lambda bundle=bundle: catalogue.put(bundle) for bundle in bundles))

    assert catalogue.tables() == another.tables()


def test_versions_and_deletions_of_one_bundle_at_once_end_as_one_after_the_other(
    catalogue: TestCatalogue, another: TestCatalogue
) -> None:
    versions = [
        metadata("a", f"2024-03-0{number}T120000.000000Z", organ=f"o{number}") for number in range(1, 5)
    ]
    deleted = versions[2:]
    for bundle in versions[:2]:
        another.put(bundle)

    in_threads(
        *(lambda bundle=bundle: catalogue.put(bundle) for bundle in versions),
        *(lambda bundle=bundle: catalogue.delete(bundle.fqid) for bundle in deleted),
    )

    assert catalogue.tables() == another.tables()
    assert organ_of(catalogue) == "o2"


def test_writers_of_many_shared_entities_never_block_each_other_for_ever(
    catalogue: TestCatalogue, another: TestCatalogue
) -> None:
    # Each bundle shares entities with each other one, and readers change meanwhile. PostgreSQL would end a
    # writer in a deadlock with an error.
    bundles = []
    for number in range(3):
        bundle = sequenced(f"b{number}", specimen=f"s{number % 2}")
        for other in range(3):
            low, high = sorted((number, other))
            tissue = bundle.add("specimen_from_organism", f"of {low} and {high}", organ={"text": f"o{low}"})
            bundle.link([tissue], [bundle.file(f"{low} {high}.fastq")])
        bundles.append(bundle.metadata())
    labels = [ANYBODY, LAB, OTHER_LAB]
    final = {bundle.fqid: labels[number % 3] for number, bundle in enumerate(bundles)}
    for bundle in bundles:
        another.put(bundle, final[bundle.fqid])

    def write(number: int) -> None:
        order = random.Random(number)
        for bundle in order.sample(bundles, len(bundles)):
            catalogue.put(bundle, order.choice(labels))

    in_threads(*(lambda number=number: write(number) for number in range(3)))
    for bundle in bundles:
        catalogue.put(bundle, final[bundle.fqid])

    assert catalogue.tables() == another.tables()


def test_a_catalogue_keeps_what_another_one_no_longer_needs(
    catalogue: TestCatalogue, another: TestCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundles = [metadata(f"b{number}") for number in range(2)]
    another.put(bundles[0])
    write = documents.DocumentWriter.write

    def delete_meanwhile(writer: Any, *arguments: Any) -> None:
        # The other's transaction ends before this one, and doesn't see it.
        monkeypatch.undo()
        another.delete(bundles[0].fqid)
        write(writer, *arguments)

    most_read = shares.MOST_READ
    monkeypatch.setattr(documents.DocumentWriter, "write", delete_meanwhile)
    catalogue.put(bundles[0])
    monkeypatch.setattr(shares, "MOST_READ", most_read)
    catalogue.put(bundles[1], LAB)
    catalogue.put(bundles[1])

    assert another.is_empty()
    assert catalogue.document("samples", id_of("specimen"))["cell_count"] == 200
    assert catalogue.counts("samples")[1]["organ"].terms == [("brain", 1)]


def test_large_bundles_with_new_values_in_different_orders_do_not_wait_for_each_other(
    catalogue: TestCatalogue, another: TestCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A large bundle's documents are written in several parts. What is new in the first part of one is so in
    # the second part of the other.
    formats = [new_uuid(), new_uuid()]
    bundles = []
    for number in range(2):
        bundle = HcaBundle(f"b{number}", project=f"p{number}")
        names = sorted((f"{number} {each}" for each in "ab"), key=id_of)
        for name, form in zip(names, formats if number else reversed(formats), strict=True):
            bundle.file(name, core={"format": form})
        bundles.append(bundle.metadata())
    monkeypatch.setattr(writer, "AT_ONCE", 1)
    barrier = threading.Barrier(2)
    write = documents.DocumentWriter.write

    def write_in_step(making: Any, counted: Any) -> None:
        write(making, counted)
        barrier.wait(60)

    monkeypatch.setattr(documents.DocumentWriter, "write", write_in_step)
    in_threads(*(lambda bundle=bundle: catalogue.put(bundle) for bundle in bundles))
    monkeypatch.setattr(documents.DocumentWriter, "write", write)

    for bundle in bundles:
        another.put(bundle)
    assert catalogue.tables() == another.tables()


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize("kind", ["terms", "parts", "audiences"])
def test_a_transaction_does_not_wait_for_another_that_has_added_a_number(
    postgresql: StoppableServer, kind: str
) -> None:
    def numbers_of(connection: psycopg.Connection[Any], name: str) -> Any:
        if kind == "audiences":
            return AudienceNumbers(connection, adding).number(Audience(frozenset((labels_of((name,)),))))
        if kind == "terms":
            return TermNumbers(connection, adding).numbers({("organ", name)})
        part = Part(frozenset({("organ", name)}), frozenset())
        return PartNumbers(connection, adding).numbers({part})

    one, other = new_uuid(), new_uuid()
    with (
        contextlib.closing(Connections(postgresql.dsn, prepare=lambda _: None)) as adding,
        psycopg.connect(postgresql.dsn) as first,
        psycopg.connect(postgresql.dsn) as second,
    ):
        found = numbers_of(first, one), numbers_of(second, other)
        # Neither has ended.
        assert (numbers_of(second, one), numbers_of(first, other)) == found
        first.rollback()
        assert numbers_of(second, one) == found[0]
