"""Manifests with types, and bags, of catalogues in the database."""

from collections.abc import Iterator, Sequence

import pytest

from shared.explore.bundle_metadata import BundleMetadata
from shared.explore.manifests.formats import open_format
from shared.explore.manifests.selection import CatalogueSelection
from shared.identifiers import Fqid
from tests.support.catalogue import ANYBODY, TestCatalogue, open_catalogue
from tests.support.hca_sample import VERSION, HcaBundle, id_of, sequenced
from tests.support.postgresql_server import StoppableServer
from tests.support.selections import Documents, content_of

FORMATS = ("parquet", "terra.bdbag", "terra.pfb", "verbatim.pfb")
GROUP = frozenset(("group",))


def selection_of(
    catalogue: TestCatalogue, bundles: Sequence[BundleMetadata], filters: object = None
) -> CatalogueSelection:
    by_fqid = {each.fqid: each for each in bundles}
    return CatalogueSelection(
        catalogue.store,
        catalogue.catalogue,
        ANYBODY,
        catalogue.query("files", filters),
        base_url=Documents.base_url,
        read=lambda fqids: (by_fqid[each] for each in fqids),
    )


def assert_same(catalogue: TestCatalogue, *bundles: BundleMetadata, filters: object = None) -> None:
    """Check that manifests of a selection are those of the documents that the bundles make together."""
    plugin = catalogue.catalogue.plugin
    in_order = sorted(bundles, key=lambda each: each.fqid.uuid)
    expected = Documents.of(plugin, *in_order, catalogue=catalogue.catalogue)
    found = selection_of(catalogue, bundles, filters)
    for name in FORMATS:
        assert content_of(open_format(name), found) == content_of(open_format(name), expected), name


def test_they_are_of_what_matches_and_of_what_the_reader_may_read(catalogue: TestCatalogue) -> None:
    store = HcaBundle("store")
    for name in (".zattrs", "a/0"):
        store.file(f"cells.zarr!{name}".replace("!", "/"))
    shown = [sequenced("one").metadata(), sequenced("two").metadata(), store.metadata()]
    for each in shown:
        catalogue.put(each)
    catalogue.put(sequenced("secret").metadata(), GROUP)
    catalogue.put(sequenced("liver", specimen="of liver", organ="liver", project="other").metadata())

    assert_same(catalogue, *shown, filters={"project": {"is": ["project"]}})


@pytest.fixture
def labs(postgresql: StoppableServer) -> Iterator[TestCatalogue]:
    """An empty catalogue of any metadata."""
    facets = {
        "organ": "organ",
        "age": {"path": "age", "type": "number"},
        "taken": {"path": "taken", "type": "date"},
    }
    with open_catalogue(postgresql.dsn, plugin="generic", facets=facets) as found:
        yield found


def test_they_are_of_any_metadata(labs: TestCatalogue) -> None:
    bundles = []
    for number in range(3):
        rows = [
            {
                "name": name,
                "uuid": id_of(name),
                # One file, of which each bundle has another version.
                "version": VERSION.replace("000000", f"00000{number}") if name == "all.csv" else VERSION,
                "size": number,
                "content-type": "text/plain",
                "indexed": name.endswith(".json"),
                "sha256": "0" * 64,
            }
            for name in ("sample.json", f"{number}.txt", "all.csv")
        ]
        sample = {"organ": ["brain", f"organ {number}"], "age": number / 2, "taken": f"2024-01-0{number + 1}"}
        bundles.append(BundleMetadata(Fqid(id_of(str(number)), VERSION), rows, {"sample.json": sample}))
        labs.put(bundles[-1])

    assert_same(labs, *bundles)
