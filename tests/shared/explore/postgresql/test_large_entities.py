"""An entity in thousands of bundles: one bundle more is read and counted alone."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from shared.access import labels_of
from shared.explore.bundle_metadata import BundleMetadata
from shared.explore.changes import Said
from shared.explore.postgresql import shares
from shared.explore.tallies import encode
from tests.support.catalogue import ANYBODY, TestCatalogue, open_catalogue
from tests.support.hca_sample import id_of, sequenced
from tests.support.postgresql_server import StoppableServer

BUNDLES = 2000
PROJECT = ("projects", id_of("project"))


def metadata(number: int) -> BundleMetadata:
    name = f"b{number:05}"
    return sequenced(name, specimen=f"specimen of {name}").metadata()


@pytest.fixture(scope="module")
def large(postgresql: StoppableServer) -> Iterator[TestCatalogue]:
    """A catalogue with a project in 2,000 bundles, most of which were written at once."""
    with open_catalogue(postgresql.dsn) as catalogue:
        few = shares.MOST_READ + 2
        for number in range(few):
            catalogue.put(metadata(number))
        with psycopg.connect(postgresql.dsn) as connection:
            _repeat(connection, catalogue, few)
        yield catalogue


def _repeat(connection: psycopg.Connection[Any], catalogue: TestCatalogue, few: int) -> None:
    """Add bundles that say the same as the first does, of one specimen less."""
    number = catalogue.catalogue.number
    first = id_of("b00000")
    connection.execute(
        """
        INSERT INTO dss_explore_bundles (catalog, uuid, version, state, labels, is_current, said)
        SELECT catalog, gen_random_uuid()::text, version, state, labels, true, said
        FROM dss_explore_bundles, generate_series(%s::integer, %s::integer) WHERE catalog = %s AND uuid = %s
        """,
        (few + 1, BUNDLES, number, first),
    )
    connection.execute(
        """
        INSERT INTO dss_explore_shares
        SELECT DISTINCT share.catalog, share.entity_type, share.entity_id, bundle.uuid, share.labels
        FROM dss_explore_bundles AS bundle JOIN dss_explore_shares AS share USING (catalog)
        WHERE bundle.catalog = %s AND share.entity_type = 'projects' AND share.uuid = %s
        ON CONFLICT DO NOTHING
        """,
        (number, first),
    )
    connection.execute(
        """
        INSERT INTO dss_explore_members
        SELECT member.catalog, entity_type, entity_id, listed, inner_id, bundle.version, bundle.uuid,
            member.labels, digest
        FROM dss_explore_bundles AS bundle JOIN dss_explore_members AS member USING (catalog)
        WHERE bundle.catalog = %s AND entity_type = 'projects' AND member.uuid = %s
        ON CONFLICT DO NOTHING
        """,
        (number, first),
    )
    connection.execute(
        """
        UPDATE dss_explore_large SET labels = jsonb_set(labels, ARRAY[%s::text], to_jsonb(%s::integer))
        WHERE catalog = %s AND entity_type = 'projects'
        """,
        (encode(sorted(ANYBODY)), BUNDLES, number),
    )


class Counted:
    """Counts the statements of writers, and the rows that they return."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.statements = self.rows = 0
        execute = psycopg.Connection.execute

        def counting(connection: Any, *arguments: Any, **more: Any) -> Any:
            cursor = execute(connection, *arguments, **more)
            self.statements += 1
            self.rows += max(cursor.rowcount, 0)
            return cursor

        monkeypatch.setattr(psycopg.Connection, "execute", counting)


def test_one_bundle_more_of_thousands_reads_none_of_the_others(
    large: TestCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = large.document(*PROJECT)["cell_count"]
    bundle = metadata(BUNDLES)
    parsed: list[str] = []
    parse = Said.parse
    with monkeypatch.context() as patched:
        counted = Counted(patched)
        patched.setattr(Said, "parse", lambda text: parsed.append(text) or parse(text))

        large.put(bundle)

        # Of rows those of its own inner entities, the counts of the project, and the 100 bundles that its
        # document names.
        assert counted.statements < 60
        assert counted.rows < 1500
        assert len(parsed) < 5
    document = large.document(*PROJECT)
    assert document["cell_count"] == cells + 100
    with monkeypatch.context() as patched:
        counted = Counted(patched)

        large.delete(bundle.fqid)

        assert counted.statements < 60
        assert counted.rows < 1500
    assert large.document(*PROJECT)["cell_count"] == cells


def test_other_readers_of_one_bundle_of_thousands_read_none_of_the_others(
    large: TestCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = large.document(*PROJECT)["cell_count"]
    bundle, lab = metadata(BUNDLES + 1), labels_of(("lab",))
    large.put(bundle)
    with monkeypatch.context() as patched:
        counted = Counted(patched)

        large.put(bundle, lab)

        # Counts are copied within the database, and 200 bundles are named at most.
        assert counted.statements < 60
        assert counted.rows < 2500
    seen = [large.document(*PROJECT, sought)["cell_count"] for sought in (ANYBODY, lab, ANYBODY | lab)]
    assert seen == [cells, 100, cells + 100]
    large.put(bundle)
    assert large.document(*PROJECT)["cell_count"] == cells + 100
    assert large.document(*PROJECT, lab) is None
    large.delete(bundle.fqid)


def test_a_filter_finds_it_by_each_of_its_bundles(large: TestCatalogue) -> None:
    uuid = metadata(3).fqid.uuid

    assert large.ids("projects", {"bundleUuid": {"is": [uuid]}}) == [PROJECT[1]]
    # A document names some of its bundles only.
    assert len(large.document(*PROJECT)["bundles"]) == 100


@pytest.mark.parametrize("most_read", [0, 2, 32])
def test_an_entity_that_grows_large_and_small_again_is_always_right(
    catalogue: TestCatalogue, monkeypatch: pytest.MonkeyPatch, most_read: int
) -> None:
    monkeypatch.setattr(shares, "MOST_READ", most_read)
    bundles = [metadata(number) for number in range(5)]
    for number, bundle in enumerate(bundles):
        catalogue.put(bundle)
        assert catalogue.document(*PROJECT)["cell_count"] == (number + 1) * 100
    for number, bundle in enumerate(bundles):
        catalogue.delete(bundle.fqid)
        document = catalogue.document(*PROJECT)
        assert (document["cell_count"] if document else 0) == (4 - number) * 100
    assert catalogue.is_empty()
