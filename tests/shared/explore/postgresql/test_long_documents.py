"""Of bundles of thousands of files the first are read, and not all of those of a page."""

import json
from typing import Any

import psycopg
import pytest

from shared.explore.entities import FILES_ALONE, FILES_ON_A_PAGE, shortened
from shared.explore.postgresql import documents
from shared.explore.postgresql.schema import MIGRATIONS
from shared.explore.query import PageOrder
from tests.support.catalogue import ANYBODY, TestCatalogue
from tests.support.hca_sample import HcaBundle
from tests.support.postgresql_server import StoppableServer


def on_a_page(catalogue: TestCatalogue) -> Any:
    """Return the document of the only bundle of a catalogue, as a page has it."""
    order = PageOrder(sort=catalogue.fields["entryId"], descending=False, size=10)
    [found] = catalogue.store.page(catalogue.catalogue, ANYBODY, catalogue.query("bundles"), order).found
    return found.document


def test_pages_read_the_first_files_of_a_bundle_and_all_are_found(
    catalogue: TestCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "FILES_ON_A_PAGE", 2)
    monkeypatch.setattr(documents, "FILES_ALONE", 4)
    bundle = HcaBundle()
    for number in range(5):
        bundle.file(f"{number}.txt")
    catalogue.put(bundle.metadata())

    for document, most in (on_a_page(catalogue), 2), (catalogue.document("bundles", bundle.fqid.uuid), 4):
        assert len(document["contents"]["files"]) == most
        assert document["files_total"] == 5
    for number in range(5):
        assert catalogue.ids("bundles", {"fileName": {"is": [f"{number}.txt"]}}) == [bundle.fqid.uuid]


def test_documents_of_an_older_release_are_shortened(
    catalogue: TestCatalogue, postgresql: StoppableServer
) -> None:
    bundle = HcaBundle()
    bundle.file("a.txt")
    catalogue.put(bundle.metadata())
    document = catalogue.document("bundles", bundle.fqid.uuid)
    [file] = document["contents"]["files"]
    document["contents"]["files"] = [{**file, "name": str(number)} for number in range(FILES_ALONE + 1)]

    with psycopg.connect(postgresql.dsn) as connection:
        connection.execute(
            "UPDATE dss_explore_documents SET document = %s WHERE catalog = %s AND entity_type = 'bundles'",
            (json.dumps(document), catalogue.catalogue.number),
        )
        for statement in MIGRATIONS[2][1:]:
            connection.execute(statement)

    assert on_a_page(catalogue) == shortened("bundles", document, FILES_ON_A_PAGE)
    assert catalogue.document("bundles", bundle.fqid.uuid) == shortened("bundles", document, FILES_ALONE)
