"""Rules of indexing: what is in the catalogue depends on what there is, and not on how it came about."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.access import labels_of
from shared.errors import Unavailable
from shared.explore.audiences import MAX_LABEL_SETS, TooManyAudiences
from shared.explore.base import DELETED, FAILED, INDEXED, WITHDRAWN, BundleState
from shared.explore.bundle_metadata import BundleMetadata
from shared.explore.postgresql import documents, shares
from tests.support.catalogue import ANYBODY, Labels, TestCatalogue, open_catalogue
from tests.support.hca_sample import HcaBundle, id_of, sequenced
from tests.support.postgresql_server import StoppableServer

OLDER, NEWER = "2024-03-01T120000.000000Z", "2024-03-02T120000.000000Z"
LAB, OTHER_LAB = labels_of(("lab",)), labels_of(("other-lab",))


@pytest.fixture(params=["read", "counted"])
def kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Entities in few bundles, of which all is read, and those in many, whose counts are kept."""
    if request.param == "counted":
        monkeypatch.setattr(shares, "MOST_READ", 0)
    return str(request.param)


pytestmark = pytest.mark.usefixtures("kept")


@pytest.fixture
def another(postgresql: StoppableServer) -> Iterator[TestCatalogue]:
    """A second empty catalogue, to compare with."""
    with open_catalogue(postgresql.dsn) as found:
        yield found


def metadata(*arguments: str, **more: Any) -> BundleMetadata:
    return sequenced(*arguments, **more).metadata()


def states_of(catalogue: TestCatalogue) -> dict[str, str]:
    return {each.fqid.version: each.state for each in catalogue.store.states(catalogue.catalogue)}


def organ_of(catalogue: TestCatalogue, sought: Labels | None = ANYBODY) -> Any:
    document = catalogue.document("samples", id_of("specimen"), sought)
    return document and document["contents"]["samples"][0]["organ"]


def test_a_duplicate_changes_nothing(catalogue: TestCatalogue) -> None:
    bundle = metadata()
    assert catalogue.put(bundle)
    before = catalogue.tables() | catalogue.large_tables()

    assert not catalogue.put(bundle)

    assert catalogue.tables() | catalogue.large_tables() == before


def test_a_deletion_leaves_nothing_and_is_final(catalogue: TestCatalogue) -> None:
    bundle = metadata()
    catalogue.put(bundle)

    assert catalogue.delete(bundle.fqid)

    assert catalogue.is_empty()
    assert not catalogue.put(bundle)
    assert not catalogue.delete(bundle.fqid)
    assert catalogue.is_empty()
    assert states_of(catalogue) == {OLDER: DELETED}


def test_a_deletion_that_comes_first_is_not_undone_by_the_addition(catalogue: TestCatalogue) -> None:
    bundle = metadata()
    catalogue.delete(bundle.fqid)

    assert not catalogue.put(bundle)

    assert catalogue.is_empty()


def test_a_newer_version_replaces_the_older_and_its_deletion_falls_back(
    catalogue: TestCatalogue, another: TestCatalogue
) -> None:
    older, newer = metadata("a", OLDER, organ="fin"), metadata("a", NEWER, organ="eye", specimen="other")
    another.put(older)
    catalogue.put(older)

    catalogue.put(newer)

    assert catalogue.ids("samples") == [id_of("other")]
    assert catalogue.document("bundles", older.fqid.uuid)["bundles"] == [
        {"uuid": older.fqid.uuid, "version": NEWER}
    ]
    catalogue.delete(newer.fqid)
    assert catalogue.tables() == another.tables()
    assert organ_of(catalogue) == "fin"


def test_an_older_version_that_comes_late_is_kept_for_later(
    catalogue: TestCatalogue, another: TestCatalogue
) -> None:
    older, newer = metadata("a", OLDER, organ="fin"), metadata("a", NEWER, organ="eye")
    another.put(newer)
    catalogue.put(newer)

    catalogue.put(older)

    assert catalogue.tables() == another.tables()
    catalogue.delete(newer.fqid)
    assert organ_of(catalogue) == "fin"


def test_a_newer_version_that_has_failed_leaves_the_older(catalogue: TestCatalogue) -> None:
    older, newer = metadata("a", OLDER), metadata("a", NEWER)
    catalogue.put(older)
    before = catalogue.tables()

    catalogue.store.put(
        catalogue.catalogue,
        BundleState(fqid=newer.fqid, state=FAILED, labels=ANYBODY, release="1", reason="links.json: links"),
    )

    assert catalogue.tables() == before
    [failed] = catalogue.store.states(catalogue.catalogue, state=FAILED)
    assert (failed.fqid, failed.reason) == (newer.fqid, "links.json: links")
    # Once it can be read it is shown.
    catalogue.put(newer)
    assert catalogue.document("bundles", newer.fqid.uuid)["bundles"][0]["version"] == NEWER
    assert not list(catalogue.store.states(catalogue.catalogue, state=FAILED))


def test_a_bundle_that_was_indexed_and_fails_now_is_gone(catalogue: TestCatalogue) -> None:
    bundle = metadata()
    catalogue.put(bundle)

    catalogue.store.put(catalogue.catalogue, BundleState(fqid=bundle.fqid, state=FAILED, reason="x"))

    assert catalogue.is_empty()


def test_a_withdrawn_bundle_may_come_back(catalogue: TestCatalogue) -> None:
    bundle = metadata()
    catalogue.put(bundle)
    before = catalogue.tables()

    catalogue.store.put(catalogue.catalogue, BundleState(fqid=bundle.fqid, state=WITHDRAWN))

    assert catalogue.is_empty()
    catalogue.put(bundle)
    assert catalogue.tables() == before


def test_what_is_forgotten_may_be_indexed_again(catalogue: TestCatalogue) -> None:
    bundle, other = metadata("a"), metadata("b")
    catalogue.put(other)
    before = catalogue.tables()
    catalogue.put(bundle)
    after = catalogue.tables()
    catalogue.delete(bundle.fqid)

    catalogue.store.forget(catalogue.catalogue, [bundle.fqid])

    assert catalogue.tables() == before
    assert catalogue.store.state(catalogue.catalogue, bundle.fqid) is None
    catalogue.put(bundle)
    assert catalogue.tables() == after


def test_a_specimen_of_two_bundles_loses_only_what_the_deleted_one_said(
    catalogue: TestCatalogue, another: TestCatalogue
) -> None:
    one, other = metadata("a"), metadata("b")
    another.put(one)
    catalogue.put(one)
    catalogue.put(other)
    document = catalogue.document("samples", id_of("specimen"))
    assert document["cell_count"] == 200
    assert [each["uuid"] for each in document["bundles"]] == sorted([one.fqid.uuid, other.fqid.uuid])

    catalogue.delete(other.fqid)

    assert catalogue.tables() == another.tables()
    assert catalogue.document("samples", id_of("specimen"))["cell_count"] == 100


def test_an_addition_that_says_nothing_new_still_lists_the_bundle(catalogue: TestCatalogue) -> None:
    one, other = metadata("a", suspension="s"), sequenced("b", suspension="s")
    other.documents = dict(one.documents)
    other.files = [each for each in one.files if not each["indexed"]]
    catalogue.put(one)

    catalogue.put(other.metadata())

    document = catalogue.document("files", id_of("a_1.fastq"))
    assert [each["uuid"] for each in document["bundles"]] == sorted([one.fqid.uuid, other.fqid.uuid])
    assert catalogue.document("samples", id_of("specimen"))["cell_count"] == 100


def test_readers_see_what_they_may_of_an_entity_and_nothing_is_counted_twice(
    catalogue: TestCatalogue,
) -> None:
    public, managed = metadata("a", cells=1), metadata("b", cells=10)
    catalogue.put(public)
    catalogue.put(managed, LAB)
    lab = ANYBODY | {"lab"}

    seen = {
        sought: (
            catalogue.document("samples", id_of("specimen"), sought)["cell_count"],
            catalogue.counts("samples", sought=sought)[0],
            len(catalogue.ids("files", sought=sought)),
            catalogue.summary(sought=sought)["fileCount"],
        )
        for sought in (ANYBODY, lab, frozenset(("lab",)))
    }

    assert seen == {ANYBODY: (1, 1, 2, 2), lab: (11, 1, 4, 4), frozenset(("lab",)): (10, 1, 2, 2)}
    assert not catalogue.ids("files", {"bundleUuid": {"is": [managed.fqid.uuid]}})
    assert catalogue.ids("files", {"bundleUuid": {"is": [managed.fqid.uuid]}}, lab)
    # Others may read it now.
    catalogue.put(managed)
    assert catalogue.document("samples", id_of("specimen"))["cell_count"] == 11


def test_a_bundle_is_refused_whole_if_an_entity_has_too_many_sets_of_readers(
    catalogue: TestCatalogue,
) -> None:
    for number in range(MAX_LABEL_SETS):
        catalogue.put(metadata(f"b{number}"), labels_of((f"lab-{number}",)))
    before = catalogue.tables() | catalogue.large_tables()

    with pytest.raises(TooManyAudiences):
        catalogue.put(metadata("one more"), ANYBODY)

    assert catalogue.tables() | catalogue.large_tables() == before


# --- one transaction


class Stop(Exception):
    """A writer ends here."""


def test_a_writer_that_is_stopped_between_any_two_statements_has_changed_nothing(
    catalogue: TestCatalogue, postgresql: StoppableServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue.put(metadata("a", OLDER))
    catalogue.put(metadata("b"))
    before = catalogue.tables() | catalogue.large_tables()
    newer = catalogue.state(metadata("a", NEWER, organ="eye"))
    execute, executemany = psycopg.Connection.execute, psycopg.Cursor.executemany
    left = 0

    def count() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Stop

    def stopping(connection: Any, statement: Any, *arguments: Any, **more: Any) -> Any:
        count()
        return execute(connection, statement, *arguments, **more)

    def stopping_many(cursor: Any, *arguments: Any) -> Any:
        count()
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
                statements += 1
                left = 1000
                assert catalogue.tables() | catalogue.large_tables() == before, statements

    assert statements > 8
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


# --- several writers


def in_threads(*work: Any) -> None:
    """Do all at once; raise what any raises."""
    barrier = threading.Barrier(len(work))

    def run(each: Any) -> None:
        barrier.wait(30)
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
    for number in range(6):
        bundle = sequenced(f"b{number}", specimen=f"s{number % 3}")
        for other in range(6):
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


def test_two_catalogues_share_no_counts(catalogue: TestCatalogue, another: TestCatalogue) -> None:
    bundles = [metadata(f"b{number}") for number in range(3)]
    for bundle in bundles:
        another.put(bundle)
    before = another.tables() | another.large_tables()

    def write_and_delete() -> None:
        for bundle in bundles:
            catalogue.put(bundle)
        for bundle in bundles:
            catalogue.delete(bundle.fqid)

    def rewrite() -> None:
        for _ in range(3):
            for labels in (LAB, ANYBODY):
                for bundle in bundles:
                    another.put(bundle, labels)

    in_threads(write_and_delete, rewrite)

    assert catalogue.is_empty()
    assert another.tables() | another.large_tables() == before


# --- any order

NAMES = ("a", "b", "c")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from([OLDER, NEWER]),
        st.sampled_from([ANYBODY, LAB, OTHER_LAB, DELETED, WITHDRAWN]),
    ),
    max_size=10,
)


@pytest.fixture(scope="module")
def dsn(postgresql: StoppableServer) -> str:
    return postgresql.dsn


def bundle_of(name: str, version: str) -> HcaBundle:
    organ = "fin" if version == OLDER else "eye"
    # Two of three share a specimen, all share the project.
    return sequenced(name, version, specimen="s" if name != "c" else "t", organ=organ)


@settings(max_examples=12)
@given(STEPS, st.sampled_from([0, 1, 32]), st.randoms(use_true_random=False))
def test_any_order_of_changes_gives_what_is_there_in_the_end(
    dsn: str, steps: list[Any], most_read: int, order: random.Random
) -> None:
    with open_catalogue(dsn) as one, open_catalogue(dsn) as other, pytest.MonkeyPatch.context() as patched:
        patched.setattr(shares, "MOST_READ", most_read)
        final: dict[tuple[str, str], Any] = {}
        for name, version, what in steps:
            bundle = bundle_of(name, version).metadata()
            if isinstance(what, str):
                one.store.put(one.catalogue, BundleState(fqid=bundle.fqid, state=what))
            else:
                one.put(bundle, what)
            if final.get((name, version)) != DELETED:
                final[name, version] = what

        # Only what is there in the end, in another order, and always read as a whole.
        patched.setattr(shares, "MOST_READ", 32)
        left = [(key, labels) for key, labels in final.items() if not isinstance(labels, str)]
        order.shuffle(left)
        for (name, version), labels in left:
            other.put(bundle_of(name, version).metadata(), labels)

        assert one.tables() == other.tables()
        for (name, version), what in final.items():
            state = one.store.state(one.catalogue, bundle_of(name, version).fqid)
            assert state
            assert state.state == (what if isinstance(what, str) else INDEXED)
