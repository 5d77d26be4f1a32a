"""The predecessor's answers about nine bundle versions, field by field.

They are beside the project, computed by the predecessor's own code; tests are skipped if they aren't there.
Versions and DRS URIs have another form there; lists without an order of their own are compared as sets.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.explore.bundle_metadata import BundleMetadata
from shared.explore.fields import MISSING, FieldType
from shared.explore.hca.plugin import HcaPlugin
from shared.explore.query import PageOrder
from shared.explore.rows import sort_key
from shared.identifiers import Fqid
from tests.support.beside import need_beside
from tests.support.catalogue import ANYBODY, TestCatalogue, open_catalogue
from tests.support.postgresql_server import StoppableServer
from tests.support.reference import bundle_in, comparable, read, reference_bundles


@pytest.fixture(scope="module")
def expected() -> Path:
    return need_beside("azul/expected")


@pytest.fixture(scope="module")
def bundles(expected: Path) -> list[BundleMetadata]:
    return reference_bundles(expected)


@pytest.fixture(scope="module")
def joint(postgresql: StoppableServer, bundles: list[BundleMetadata]) -> Iterator[TestCatalogue]:
    """A catalogue of all nine."""
    with open_catalogue(postgresql.dsn) as catalogue:
        for bundle in bundles:
            catalogue.put(bundle)
        yield catalogue


def test_contributions_are_the_predecessors(expected: Path, bundles: list[BundleMetadata]) -> None:
    compared = 0
    for bundle in bundles:
        theirs = read(expected, f"{bundle.fqid}.contributions.json")
        ours = {
            (each.entity_type, each.entity_id): each.contents
            for each in HcaPlugin(host="h").contributions(bundle)
        }
        assert ours.keys() == {(each["entity_type"], each["entity_id"]) for each in theirs}
        for each in theirs:
            contents = ours[each["entity_type"], each["entity_id"]]
            assert comparable(contents) == comparable(each["contents"]), each["entity_id"]
            compared += 1
    assert compared == 77


@pytest.mark.parametrize("name", ["joint", "specimen-in-two-bundles"])
def test_documents_are_the_predecessors(
    expected: Path, bundles: list[BundleMetadata], catalogue: TestCatalogue, name: str
) -> None:
    aggregates = read(expected, f"{name}.aggregates.json")
    shown = {each["uuid"] for listed in aggregates.values() for one in listed for each in one["bundles"]}
    for bundle in bundles:
        if bundle.fqid.uuid in shown:
            catalogue.put(bundle)

    compared = 0
    for entity_type, listed in aggregates.items():
        assert catalogue.ids(entity_type) == sorted(each["entity_id"] for each in listed)
        for theirs in listed:
            ours = catalogue.document(entity_type, theirs["entity_id"])
            for key in ("entity_id", "bundles", "cell_count", "effective_cell_count"):
                assert comparable(ours[key]) == comparable(theirs[key]), (theirs["entity_id"], key)
            # A list is empty, or isn't there: nothing tells them apart.
            seen = _seen(entity_type, theirs["contents"])
            assert _without_empty(ours["contents"]) == _without_empty(seen), theirs["entity_id"]
            compared += 1
    assert compared == {"joint": 69, "specimen-in-two-bundles": 10}[name]


def _seen(entity_type: str, contents: Any) -> Any:
    """Return what is kept of an entity that may be in any number of bundles: not what nobody sees."""
    if entity_type not in ("samples", "projects"):
        return contents
    unseen = {"cell_suspensions": ("document_id", "biomaterial_id")}
    unseen |= {listed: ("document_id",) for listed in contents if listed.endswith("_protocols")}
    seen = {
        listed: [{name: each[name] for name in each if name not in names} for each in contents[listed]]
        for listed, names in unseen.items()
    }
    return contents | seen | {"sequencing_inputs": [], "sequencing_processes": []}


def _without_empty(contents: Any) -> Any:
    return {name: listed for name, listed in comparable(contents).items() if listed}


def test_orders_are_the_same_from_page_to_page_and_back(expected: Path, joint: TestCatalogue) -> None:
    cases = read(expected, "joint.sorting.json")
    assert len(cases) == 22
    for case in cases:
        descending = case["order"] == "desc"
        found = joint.pages(case["entity_type"], case["sort"], descending=descending, size=7)
        assert found == case["entryIds"], case
        assert _backwards(joint, case["entity_type"], case["sort"], descending=descending) == found, case


def _backwards(joint: TestCatalogue, entity_type: str, sort: str, *, descending: bool) -> list[str]:
    """Return all ids, read from the last page to the first."""
    field = joint.fields[sort]
    # A position behind all others: what is missing comes last.
    least = {FieldType.NUMBER: -math.inf, FieldType.DATE: "0001-01-01T00:00:00.000000Z"}.get(field.type, "")
    before = (sort_key(field, least), "") if descending else (sort_key(field, MISSING), "\U0010ffff")
    found: list[str] = []
    while True:
        order = PageOrder(sort=field, descending=descending, size=7, before=before)
        page = joint.store.page(joint.catalogue, ANYBODY, joint.query(entity_type), order)
        found = [each.entity_id for each in page.found] + found
        if not page.has_previous:
            return found
        before = page.found[0].position


def test_the_summary_is_the_predecessors(expected: Path, joint: TestCatalogue) -> None:
    theirs = read(expected, "joint.summary.json")
    assert joint.summary() == theirs
    # A range makes it be counted over documents, rather than over combinations of terms.
    always = ["0001-01-01T00:00:00.000000Z", "9999-12-31T00:00:00.000000Z"]
    assert joint.summary({"lastModifiedDate": {"within": [always]}}) == theirs


def test_all_bundles_of_the_predecessors_tests_can_be_read() -> None:
    paths = sorted(need_beside("hca-bundles").glob("*.json"))
    assert paths
    for path in paths:
        bundle = bundle_in(path)
        assert HcaPlugin(host="h").contributions(
            BundleMetadata(
                Fqid(bundle.fqid.uuid, "2021-01-01T000000.000000Z"), bundle.files, bundle.documents
            )
        )
