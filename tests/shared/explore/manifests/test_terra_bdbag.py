"""`terra.bdbag`: a valid bag with the predecessor's table of bundles."""

import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bdbag import bdbag_api

from shared.errors import Unavailable, Unprocessable
from shared.explore.hca.plugin import HcaPlugin
from shared.explore.manifests import participants
from shared.explore.manifests.bag import zipped_bag
from shared.explore.manifests.formats import open_format
from shared.explore.manifests.selection import FileOfBundle
from tests.support.beside import need_beside
from tests.support.hca_sample import PLUGIN, HcaBundle, id_of, sequenced
from tests.support.reference import read
from tests.support.selections import Documents, content_of

FORMAT = open_format("terra.bdbag")
TABLE = "manifest/data/participants.tsv"


def table_in(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as bag:
        return bag.read(TABLE)


def rows_of(selection: Documents) -> dict[str, dict[str, str]]:
    """Return the rows of a table by the ids of bundles."""
    text = table_in(content_of(FORMAT, selection)).decode()
    rows = csv.DictReader(io.StringIO(text, newline=""), dialect="excel-tab")
    return {row["bundle_uuid"]: row for row in rows}


@pytest.mark.parametrize("name", ["joint", "specimen-in-two-bundles"])
def test_the_table_is_the_predecessors(name: str) -> None:
    expected = need_beside("azul/expected")
    documents = read(expected, f"{name}.aggregates.json")["files"]
    theirs = (expected / f"{name}.manifest.terra.bdbag.participants.tsv").read_bytes()

    ours = table_in(content_of(FORMAT, Documents(HcaPlugin(host="h"), documents)))

    header, *rows = ours.splitlines(keepends=True)
    their_header, *their_rows = theirs.splitlines(keepends=True)
    assert header == their_header
    # Theirs are in the order in which its database found them.
    assert sorted(rows) == sorted(their_rows)


def test_the_bag_is_valid_for_the_tool_that_terra_uses(tmp_path: Path) -> None:
    path = tmp_path / "bag.zip"
    path.write_bytes(content_of(FORMAT, Documents.of(PLUGIN, sequenced().metadata())))

    bag = Path(bdbag_api.extract_bag(str(path), output_path=str(tmp_path / "out")))
    bdbag_api.validate_bag(str(bag), fast=False)
    bdbag_api.validate_bag(str(bag), fast=True)
    assert bdbag_api.is_bag(str(bag))

    (bag / "data" / "participants.tsv").write_bytes(b"other")
    with pytest.raises(Exception, match=r"(?i)valid"):
        bdbag_api.validate_bag(str(bag), fast=False)


def test_the_same_selection_is_the_same_bytes() -> None:
    selection = Documents.of(PLUGIN, sequenced().metadata())

    assert content_of(FORMAT, selection) == content_of(FORMAT, selection)
    assert selection.passes == 4


def test_a_bag_comes_in_pieces_while_its_content_is_read() -> None:
    read_pieces = 0

    def content() -> Iterator[bytes]:
        nonlocal read_pieces
        for read_pieces in range(1, 101):
            yield bytes(range(256)) * 4096 + read_pieces.to_bytes(4, "big") * 65_536

    pieces = zipped_bag("x", content())
    next(pieces)
    assert read_pieces < 100
    assert max(map(len, pieces)) < 1 << 20


def test_a_bundle_whose_files_another_has_too_is_left_out() -> None:
    part, whole, same, other = (HcaBundle(name) for name in ("part", "whole", "same", "other"))
    part.file("a.csv")
    for each in (whole, same):
        each.file("a.csv")
        each.file("b.csv")
    other.file("b.csv")
    other.file("c.txt")
    newest = max(whole.fqid, same.fqid, key=lambda fqid: fqid.uuid)

    rows = rows_of(Documents.of(PLUGIN, *(each.metadata() for each in (part, whole, same, other))))

    assert rows.keys() == {newest.uuid, other.fqid.uuid}
    row = rows[newest.uuid]
    assert row["entity:participant_id"] == f"{newest.uuid}.{newest.version}"
    assert [row[f"__csv_{number}__file_name"] for number in (0, 1)] == ["a.csv", "b.csv"]
    assert rows[other.fqid.uuid]["__txt__file_name"] == "c.txt"


def test_columns_of_bundles_that_are_left_out_are_not_there() -> None:
    part, whole = HcaBundle("part"), HcaBundle("whole")
    part.file("a.csv")
    whole.file("a.csv")
    whole.file("b.txt")

    (row,) = rows_of(Documents.of(PLUGIN, part.metadata(), whole.metadata())).values()

    assert "__csv__file_name" in row and "__csv_0__file_name" not in row


def test_files_come_by_the_ends_of_their_names_and_values_once() -> None:
    bundles = [sequenced("one", organ="brain"), sequenced("two", organ="liver", specimen="other")]
    for each in bundles:
        for name in ("qc", "metric"):
            each.file(f"{each.fqid.uuid}_{name}.bam", "analysis_file")

    rows = rows_of(Documents.of(PLUGIN, *(each.metadata() for each in bundles)))

    for each in bundles:
        row = rows[each.fqid.uuid]
        assert row["__bam_0__file_name"].endswith("_metric.bam")
        assert row["__bam_1__file_name"].endswith("_qc.bam")
    # The analysis files are of no specimen.
    assert rows[id_of("one")]["specimen_from_organism__organ"] == " || brain"


def test_formats_are_in_names_of_columns_as_terra_takes_them() -> None:
    bundle = HcaBundle()
    bundle.file("a", core={"format": "some thing/ü"})
    bundle.file("b", core={"format": None})
    bundle.file("c", read_index="read1", core={"format": "fastq.gz"})
    bundle.file("d", core={"format": "fastq"})

    (row,) = rows_of(Documents.of(PLUGIN, bundle.metadata())).values()

    kinds = {name.split("__")[1] for name in row if name.startswith("__")}
    assert kinds == {"some-thing--", "file", "fastq_read1", "fastq"}


def test_a_table_that_would_be_too_wide_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = HcaBundle()
    for number in range(5):
        bundle.file(f"{number}.csv")
    monkeypatch.setattr(participants, "MOST_COLUMNS", 100)

    with pytest.raises(
        Unprocessable, match=r"5 files of the kind csv, .* 109 columns, at most 100 .*terra\.pfb"
    ):
        content_of(FORMAT, Documents.of(PLUGIN, bundle.metadata()))


def test_a_bundle_that_changes_meanwhile_is_an_error_and_no_wrong_table() -> None:
    before, after = HcaBundle("one"), HcaBundle("one")
    for each in (before, after):
        each.file("a.csv")
    after.file("b.csv")
    later = Documents.of(PLUGIN, after.metadata())

    class Changing(Documents):
        def files_by_bundle(self, *given: Any, **more: Any) -> Iterator[FileOfBundle]:
            found = list(super().files_by_bundle(*given, **more))
            self.documents = later.documents
            yield from found

    documents = Documents.of(PLUGIN, before.metadata()).documents
    with pytest.raises(Unavailable, match=f"{id_of('one')}.* has changed"):
        content_of(FORMAT, Changing(PLUGIN, documents))


def test_a_selection_of_nothing_is_a_table_without_rows() -> None:
    assert rows_of(Documents(PLUGIN, [])) == {}
