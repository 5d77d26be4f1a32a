"""Manifests of the predecessor's bundles are the predecessor's, byte for byte."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.explore.bundle_metadata import BundleMetadata
from shared.explore.manifests.formats import open_format
from shared.explore.manifests.selection import CatalogueSelection
from shared.identifiers import Fqid
from tests.support.beside import need_beside
from tests.support.catalogue import ANYBODY, TestCatalogue
from tests.support.reference import reference_bundles

# What follows from the names of the service and the catalogue, and DRS URIs, which have another form.
_DRS = re.compile(r"drs(?:://|%3A%2F%2F)[^\t&\"]*")
_VERSION = re.compile(r"(\d{4}-\d\d-\d\dT\d\d)(?::|%3A)(\d\d)(?::|%3A)(\d\d\.\d{6}Z)")


@pytest.fixture
def expected() -> Path:
    """The folder of the predecessor's answers."""
    return need_beside("azul/expected")


def nothing(_: Iterable[Fqid]) -> Iterator[BundleMetadata]:
    """Read no metadata."""
    return iter(())


def selection(
    catalogue: TestCatalogue, read: Callable[[Iterable[Fqid]], Iterator[BundleMetadata]] = nothing
) -> CatalogueSelection:
    return CatalogueSelection(
        catalogue.store,
        catalogue.catalogue,
        ANYBODY,
        catalogue.query("files"),
        base_url="https://service.lan",
        read=read,
    )


def made(name: str, of: CatalogueSelection) -> bytes:
    return b"".join(piece for piece in open_format(name).content(of) if isinstance(piece, bytes))


def comparable(
    content: bytes, source: str = "42848d8f-ecdc-5b32-a667-a7b5aedfc9f5", name: str = "test"
) -> list[str]:
    text = content.decode().replace(f"catalog={name}&", "catalog=test&")
    text = text.replace(source, "SOURCE").replace("https://fake_dss_instance/v1:/2", "SPEC")
    text = text.replace("https://dss.example/v1:/", "SPEC")
    return [_DRS.sub("DRS", _VERSION.sub(r"\1\2\3", line)) for line in text.splitlines(keepends=True)]


@pytest.mark.parametrize("bundles", ["joint", "specimen-in-two-bundles"])
@pytest.mark.parametrize(("name", "file"), [("compact", "compact.tsv"), ("curl", "curlrc")])
def test_a_manifest_is_the_predecessors(
    catalogue: TestCatalogue, expected: Path, bundles: str, name: str, file: str
) -> None:
    want = comparable((expected / f"{bundles}.manifest.{file}").read_bytes())
    for bundle in reference_bundles(expected):
        if any(bundle.fqid.uuid in line for line in want):
            catalogue.put(bundle)
    found = comparable(
        made(name, selection(catalogue)), catalogue.catalogue.source["id"], catalogue.catalogue.name
    )
    assert found == want


# Names of properties that are no columns of `full`, and types of files that are no rows.
NO_COLUMNS = (
    *("describedBy", "schema_type", "submission_date", "update_date", "process_id", "protocol_id"),
    *("contributors", "publications", "project_description"),
)
NO_ROWS = ("supplementary_file", "reference_file")
Values = dict[str, set[str]]


def properties(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the paths of all properties in a document that are columns, and their values as text."""
    if isinstance(value, dict):
        for key in value.keys() - NO_COLUMNS:
            yield from properties(f"{path}.{key}", value[key])
    elif isinstance(value, list):
        for each in value:
            yield from properties(path, each)
    elif value is not None:
        yield path, str(value)


def values_of(documents: Iterable[tuple[str, Any]]) -> Values:
    found: Values = {}
    for kind, document in documents:
        for path, value in properties(kind, document):
            found.setdefault(path, set()).add(value)
    return found


def rows_of_files(bundle: BundleMetadata) -> dict[str, Values]:
    """Return the rows of a bundle's data files, by the ids of these."""
    entities = {
        tuple(name.removesuffix(".json").rsplit("_", 1)): document
        for name, document in bundle.documents.items()
        if name != "links.json"
    }
    entries = {entry["name"]: entry for entry in bundle.files}
    others = [(kind, document) for (kind, _), document in entities.items() if not kind.endswith("_file")]
    rows = {}
    for (kind, file_id), document in entities.items():
        if not kind.endswith("_file") or kind in NO_ROWS:
            continue
        core = document.get("content", document)["file_core"]
        _, in_store, member = core["file_name"].replace("!", "/").partition(".zarr/")
        if in_store and member != ".zattrs":
            continue
        entry = entries[core["file_name"]]
        own = {
            **{f"file_{name}": entry[name] for name in ("uuid", "version", "sha256", "crc32c", "size")},
            "file_name": core["file_name"].replace("!", "/"),
            "file_format": core.get("format") or core.get("file_format"),
            "bundle_uuid": bundle.fqid.uuid,
            "bundle_version": bundle.fqid.version,
        }
        row = values_of([*others, (kind, document)])
        rows[file_id] = row | {name: {str(value)} for name, value in own.items()}
    return rows


def test_a_full_manifest_has_all_metadata_of_each_data_file(catalogue: TestCatalogue, expected: Path) -> None:
    # There is no file of the predecessor's, whose last release dropped it: this is what it was.
    bundles = {}
    for bundle in reference_bundles(expected):
        catalogue.put(bundle)
        # Of two versions the newer one comes last.
        bundles[bundle.fqid.uuid] = bundle
    rows = {
        (uuid, file_id): row
        for uuid, bundle in bundles.items()
        for file_id, row in rows_of_files(bundle).items()
    }
    columns = sorted({name for row in rows.values() for name in row})
    in_order = [rows[key] for key in sorted(rows)]

    of = selection(catalogue, read=lambda wanted: (bundles[fqid.uuid] for fqid in wanted))
    found = list(csv.reader(io.StringIO(made("full", of).decode(), newline=""), "excel-tab"))

    assert found[0] == columns
    assert found[1:] == [["||".join(sorted(row.get(name, ()))) for name in columns] for row in in_order]
    assert (len(found), len(columns)) == (33, 376)
    names = [row[columns.index("file_name")] for row in found[1:]]
    assert not any(name.endswith((".pdf", ".csv.zip")) for name in names)
    assert sum(".zarr/" in name for name in names) == 1
    # Null, or not there: both are empty.
    assert "" in {row[columns.index("project.geo_series")] for row in found[1:]}
