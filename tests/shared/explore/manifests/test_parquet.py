"""`parquet`: a table with types, as pandas, DuckDB and others read it."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas
import pyarrow
import pyarrow.parquet
import pytest

from shared.explore.fields import Field, FieldType
from shared.explore.generic.plugin import GenericPlugin
from shared.explore.hca.plugin import HcaPlugin
from shared.explore.manifests.formats import open_format
from shared.explore.manifests.formats import parquet as parquet_module
from shared.explore.tallies import Merge, Merges, greatest
from tests.support.beside import need_beside
from tests.support.hca_sample import PLUGIN, sequenced
from tests.support.reference import read
from tests.support.selections import Documents, content_of

FORMAT = open_format("parquet")


def table_of(selection: Documents) -> pyarrow.Table:
    return pyarrow.parquet.read_table(io.BytesIO(content_of(FORMAT, selection)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A table of six files of three bundles, in two projects."""
    bundles = [
        sequenced("one", organ="brain", cells=5),
        sequenced("two", organ="liver", specimen="other", cells=7),
        sequenced("three", organ="liver", specimen="other", project="second"),
    ]
    found = tmp_path / "files.parquet"
    found.write_bytes(content_of(FORMAT, Documents.of(PLUGIN, *(each.metadata() for each in bundles))))
    return found


def test_pandas_finds_numbers_times_and_lists(path: Path) -> None:
    frame = pandas.read_parquet(path)

    assert str(frame.dtypes["file_size"]) == "int64"
    assert str(frame.dtypes["file_submission_date"]) == "datetime64[us, UTC]"
    row = frame[frame.file_name == "one_2.fastq"].iloc[0]
    assert row.file_size == 20
    assert row.file_submission_date == datetime(2024, 1, 1, 10, tzinfo=UTC)
    assert list(row.specimen_from_organism__organ) == ["brain"]
    assert list(row.sequencing_protocol__paired_end) == [True]
    assert list(row.cell_suspension__estimated_cell_count) == [5]
    assert list(row.donor_organism__organism_age) == ["2 year"]
    assert list(row.organoid__model_organ) == []


def test_duckdb_answers_questions_about_it(path: Path) -> None:
    with duckdb.connect() as database:
        rows = database.execute(
            """
            SELECT file_format, count(*), sum(file_size), max(file_update_date)::date::text
            FROM read_parquet(?)
            WHERE list_contains(specimen_from_organism__organ, 'liver')
                AND list_contains(project__project_core__project_short_name, 'second')
            GROUP BY 1
            """,
            [str(path)],
        ).fetchall()
        types = dict(
            row[:2]
            for row in database.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
        )

    assert rows == [("fastq", 2, 30, "2024-02-01")]
    assert types["bundle_version"] == "VARCHAR[]"
    assert types["sequencing_protocol__paired_end"] == "BOOLEAN[]"
    assert types["project__estimated_cell_count"] == "BIGINT"
    assert types["file_last_modified_date"] == "TIMESTAMP WITH TIME ZONE"


def test_names_of_columns_are_what_bigquery_takes(path: Path) -> None:
    names = pyarrow.parquet.read_schema(path).names

    assert all(name.isidentifier() and name.isascii() for name in names)
    assert len(set(map(str.lower, names))) == len(names)


def test_it_says_what_the_predecessors_table_says() -> None:
    expected = need_beside("azul/expected")
    documents = read(expected, "joint.aggregates.json")["files"]
    text = (expected / "joint.manifest.compact.tsv").read_bytes().decode()
    theirs = list(csv.DictReader(io.StringIO(text, newline=""), dialect="excel-tab"))

    ours = table_of(Documents(HcaPlugin(host="h"), documents)).to_pylist()

    assert len(ours) == len(theirs) == 50
    for row, wanted in zip(ours, theirs, strict=True):
        for name, cell in wanted.items():
            value = row[name.replace(".", "__")]
            values = (
                sorted(map(str, value)) if isinstance(value, list) else [str(value)] * (value is not None)
            )
            # The URLs of members of stores have more parameters.
            assert " || ".join(values) == cell or name == "file_url", name


def test_groups_of_rows_are_bounded_and_come_while_files_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_module, "_ROWS", 2)
    monkeypatch.setattr(parquet_module, "_BATCHES", 2)
    selection = Documents.of(PLUGIN, *(sequenced(str(number)).metadata() for number in range(5)))
    taken = 0

    class Counted(Documents):
        def files(self, after: str = "") -> Any:
            nonlocal taken
            for each in super().files(after):
                taken += 1
                yield each

    pieces = FORMAT.content(Counted(PLUGIN, selection.documents))
    first = next(pieces)
    assert taken == 4

    file = pyarrow.parquet.ParquetFile(io.BytesIO(b"".join([first, *pieces])))  # type: ignore[list-item]
    assert [file.metadata.row_group(number).num_rows for number in range(3)] == [4, 4, 2]


def test_a_selection_of_nothing_is_a_table_with_all_columns() -> None:
    table = table_of(Documents(PLUGIN, []))

    assert table.num_rows == 0
    assert table.schema == table_of(Documents.of(PLUGIN, sequenced().metadata())).schema


def test_facets_of_any_metadata_have_their_types() -> None:
    facets: dict[str, Any] = {
        "organ": "organ",
        "age": {"path": "age", "type": "number"},
        "dead": {"path": "dead", "type": "flag"},
        "taken": {"path": "taken", "type": "date"},
    }
    plugin = GenericPlugin(host="h", facets=facets)
    metadata = {
        "organ": ["brain", "liver"],
        "age": [1, 2.5, 10**400],
        "dead": [True],
        "taken": ["2024-01-31T00:00:00.000000Z", "some day"],
    }
    file = {"document_id": "f.v", "uuid": "f", "version": "v", "names": ["a.csv", "b.csv"], "size": 2**40}
    document = {
        "entity_id": "f",
        "bundles": [],
        "contents": {"files": [file], "metadata": [metadata]},
    }

    (row,) = table_of(Documents(plugin, [document])).to_pylist()

    assert (row["file_name"], row["file_size"], row["file_format"]) == ("a.csv", 2**40, None)
    assert row["organ"] == ["brain", "liver"]
    assert row["age"] == [1.0, 2.5]
    assert row["dead"] == [True]
    assert row["taken"] == [datetime(2024, 1, 31, tzinfo=UTC)]


def test_other_plug_ins_have_the_types_of_their_fields() -> None:
    class Recordings(GenericPlugin):
        fields = (
            Field("fileFormat", ("files", "format")),
            Field("lasts", ("sessions", "seconds"), FieldType.NUMBER),
            Field("longest", ("sessions", "longest"), FieldType.NUMBER),
        )
        merges = {"files": Merges({"sessions": Merge(fields={"longest": greatest})})}

        def __init__(self) -> None:
            """Declare no columns and kinds."""

    document = {
        "entity_id": "f",
        "bundles": [],
        "contents": {
            "files": [{"document_id": "d", "format": ["a", "b"]}],
            "sessions": [{"document_id": ["s"], "seconds": [1, 2], "longest": 2}],
        },
    }

    selection = Documents(Recordings(), [document])
    (row,) = table_of(selection).to_pylist()

    assert row == {"fileFormat": ["a", "b"], "lasts": [1.0, 2.0], "longest": 2.0, "fileUrl": ""}
    assert content_of(open_format("terra.pfb"), selection)
