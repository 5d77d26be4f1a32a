"""Manifests of the same files in every form that names files, as the DSS and old clients write them."""

import csv
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import fastavro
import pyarrow
from pyarrow import parquet

from dss.manifests.rows import COLUMNS

Rows = Sequence[Mapping[str, Any]]


def table(rows: Rows, columns: Sequence[str] = COLUMNS) -> bytes:
    """Return a TSV with some columns; those that a row lacks are empty."""
    text = io.StringIO()
    writer = csv.writer(text, dialect="excel-tab")
    writer.writerow(columns)
    writer.writerows([row.get(column, "") for column in columns] for row in rows)
    return text.getvalue().encode()


def compact(rows: Rows) -> bytes:
    """Return a compact manifest, with some of its columns, in its order."""
    columns = (
        *("source_id", "bundle_uuid", "bundle_version", "file_document_id", "file_type", "file_name"),
        *(
            "file_size",
            "file_uuid",
            "file_version",
            "file_crc32c",
            "file_sha256",
            "specimen_from_organism.organ",
        ),
    )
    return table([{**row, "specimen_from_organism.organ": 'brain "left"'} for row in rows], columns)


def curl(rows: Rows) -> bytes:
    """Return a configuration of curl."""
    lines = ["--create-dirs", "--location", '--write-out "Downloading to: %{filename_effective}\\n\\n"']
    for row in rows:
        url = f"https://dss.example.org/repository/files/{row['file_uuid']}?catalog=hca"
        lines.append(f'url="{url}&version={row["file_version"].replace(":", "%3A")}"')
        name = row["file_name"].replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'output="{row["bundle_uuid"]}/{name}"')
    return "\n\n".join(lines).encode() + b"\n"


def bag(rows: Rows) -> bytes:
    """Return a BDBag for Terra: a row for each bundle, with a group of columns for each of its files."""
    of_file = ("file_document_id", "file_name", "file_size", "file_uuid", "file_version", "file_sha256")
    bundles: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        bundles.setdefault(row["bundle_uuid"], []).append(row)
    most = max(map(len, bundles.values()))
    columns = ["entity:participant_id", "bundle_uuid", "bundle_version", "donor_organism__sex"]
    columns += [f"__fastq_{number}__{name}" for number in range(most) for name in of_file]
    lines = []
    for bundle, files in bundles.items():
        line = {"entity:participant_id": bundle, **files[0]}
        for number, row in enumerate(files):
            line |= {f"__fastq_{number}__{name}": row.get(name, "") for name in of_file}
        lines.append(line)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("manifest/bagit.txt", "BagIt-Version: 0.97\n")
        archive.writestr("manifest/data/participants.tsv", table(lines, columns))
    return data.getvalue()


def pfb(rows: Rows) -> bytes:
    """Return a PFB for Terra: entities of donors, and of files, which name no bundle."""
    values = [
        ("files", {name: row[f"file_{name}"] for name in ("uuid", "version", "name", "sha256", "size")})
        for row in rows
    ]
    return _avro([("donors", {"sex": "female"}), *values])


def jsonl(documents: Sequence[Mapping[str, Any]]) -> bytes:
    """Return lines of metadata documents."""
    return b"".join(json.dumps({"type": "any", "value": each}).encode() + b"\n" for each in documents)


def documents_pfb(documents: Sequence[Mapping[str, Any]]) -> bytes:
    """Return a PFB of metadata documents."""
    return _avro([("sequence_file", each) for each in documents])


def parquet_of(rows: Rows) -> bytes:
    """Return a manifest in Parquet, with bundles as lists."""
    data = io.BytesIO()
    listed = [
        {**row, "bundle_uuid": [row["bundle_uuid"]], "bundle_version": [row["bundle_version"]]}
        for row in rows
    ]
    parquet.write_table(pyarrow.Table.from_pylist(listed), data)
    return data.getvalue()


def file_document(document_id: str, name: str) -> dict[str, Any]:
    """Return the metadata document of a file."""
    return {
        "describedBy": "https://schema.humancellatlas.org/type/file/9.0.0/sequence_file",
        "file_core": {"file_name": name, "format": "fastq.gz"},
        "provenance": {"document_id": document_id},
    }


# All that have the columns of a table, or nearly so.
FORMS: Mapping[str, Callable[[Rows], bytes]] = {
    "table of an old client": table,
    "compact": compact,
    "curl": curl,
    "bag": bag,
    "pfb": pfb,
    "parquet": parquet_of,
}


def _avro(entities: Sequence[tuple[str, Mapping[str, Any]]]) -> bytes:
    schemas: dict[str, Any] = {}
    for name, values in entities:
        schemas.setdefault(name, _record(name, values))
    union = list(schemas.values())
    schema = fastavro.parse_schema(
        {
            "type": "record",
            "name": "Entity",
            "fields": [
                {"name": "id", "type": ["null", "string"]},
                {"name": "name", "type": "string"},
                {"name": "object", "type": union},
            ],
        }
    )
    data = io.BytesIO()
    records = [{"id": None, "name": name, "object": (name, values)} for name, values in entities]
    # Small blocks, so that one can be cut between them.
    fastavro.writer(data, schema, records, codec="deflate", sync_interval=100)
    return data.getvalue()


def _record(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    def kind(member: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return _record(f"{name}_{member}", value)
        return "long" if isinstance(value, int) else "string"

    fields = [{"name": member, "type": kind(member, value)} for member, value in values.items()]
    return {"type": "record", "name": name, "fields": fields}
