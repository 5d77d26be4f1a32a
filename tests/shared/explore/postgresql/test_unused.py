"""What no document has any more is in no table: it may have been purged."""

from typing import Any

import psycopg
import pytest
from psycopg import sql

from shared.explore.base import DELETED, WITHDRAWN, BundleState
from shared.explore.postgresql import unused
from shared.explore.postgresql.part_numbers import PartNumbers
from tests.support.api import new_uuid
from tests.support.catalogue import TestCatalogue
from tests.support.hca_sample import sequenced
from tests.support.postgresql_server import StoppableServer

pytestmark = pytest.mark.usefixtures("kept")


def tables_with(postgresql: StoppableServer, text: str) -> set[str]:
    """Return the tables of the catalogue that have a text in any column."""
    with psycopg.connect(postgresql.dsn) as connection:
        names = connection.execute(
            "SELECT tablename FROM pg_tables WHERE tablename LIKE 'dss_explore_%'"
        ).fetchall()
        return {
            name
            for (name,) in names
            if connection.execute(
                sql.SQL("SELECT 1 FROM {} AS each WHERE strpos(each::text, %s) > 0 LIMIT 1").format(
                    sql.Identifier(name)
                ),
                (text,),
            ).fetchone()
        }


@pytest.mark.parametrize("state", [DELETED, WITHDRAWN])
def test_after_a_purge_no_table_has_a_value_that_no_other_bundle_has(
    catalogue: TestCatalogue, postgresql: StoppableServer, state: str
) -> None:
    organ, common = f"organ{new_uuid()[:8]}", f"common{new_uuid()[:8]}"
    purged = sequenced("a", organ=organ, specimen="one", project=common).metadata()
    catalogue.put(purged)
    catalogue.put(sequenced("b", specimen="other", project=common).metadata())
    before = catalogue.counts("files")
    assert {"dss_explore_terms", "dss_explore_parts", "dss_explore_documents"} <= tables_with(
        postgresql, organ
    )
    # All is used.
    catalogue.store.upkeep.remove_unused()
    assert catalogue.counts("files") == before

    catalogue.store.put(catalogue.catalogue, BundleState(fqid=purged.fqid, state=state))
    after = catalogue.counts("files")

    assert catalogue.store.upkeep.remove_unused()
    assert not tables_with(postgresql, organ)
    assert catalogue.counts("files") == after
    assert catalogue.store.upkeep.remove_unused() == 0
    # What was removed gets another number.
    if state == WITHDRAWN:
        catalogue.put(purged)
        assert catalogue.counts("files") == before


def test_a_writer_keeps_what_it_has_looked_up(
    catalogue: TestCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = sequenced("a", organ=f"organ{new_uuid()[:8]}").metadata()
    catalogue.put(bundle)
    before = catalogue.counts("samples")
    catalogue.store.put(catalogue.catalogue, BundleState(fqid=bundle.fqid, state=WITHDRAWN))
    monkeypatch.setattr(unused, "_PATIENCE", "50ms")
    numbers = PartNumbers.numbers
    removed = []

    def meanwhile(found: Any, parts: Any) -> Any:
        known = numbers(found, parts)
        removed.append(catalogue.store.upkeep.remove_unused())
        return known

    monkeypatch.setattr(PartNumbers, "numbers", meanwhile)
    catalogue.put(bundle)

    assert removed == [0]
    assert catalogue.counts("samples") == before
