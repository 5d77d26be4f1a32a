"""Of bundles of thousands of files the first are read, and not all of those of a page."""

from typing import Any

import pytest

from shared.explore.postgresql import documents
from shared.explore.query import PageOrder
from tests.support.catalogue import ANYBODY, TestCatalogue
from tests.support.hca_sample import HcaBundle


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
