"""A PFB holds the rows of the tables, in an order in which they can be imported as they come."""

import io
from collections.abc import Iterator

import fastavro
import pytest

from dss.errors import InvalidInput
from dss.terra.entities import BUNDLE, COLUMNS, FILE, Entity
from dss.terra.pfb import write_pfb

VALUES = {BUNDLE: {"drs_uri": "drs://x/y", "file_count": 1}, FILE: {"file_name": "ünï\t", "file_size": 2**40}}


def entity(table: str, name: str, bundle: str | None = None) -> Entity:
    values = {column: VALUES[table].get(column) for column in COLUMNS[table]}
    return Entity(table=table, id=name, values=values, bundle=bundle)


def test_another_reader_finds_the_rows_and_how_they_refer_to_each_other() -> None:
    stream = io.BytesIO()

    size = write_pfb(stream, [entity(BUNDLE, "b"), entity(FILE, "f", "b"), entity(FILE, "g")])

    assert size == len(stream.getvalue())
    stream.seek(0)
    reader = fastavro.reader(stream)
    metadata, *rows = reader
    assert (reader.codec, reader.writer_schema["name"]) == ("deflate", "Entity")
    assert (metadata["id"], metadata["name"], metadata["relations"]) == (None, "Metadata", [])
    nodes = {node["name"]: node for node in metadata["object"]["nodes"]}
    assert nodes[FILE]["links"] == [{"multiplicity": "MANY_TO_ONE", "dst": BUNDLE, "name": BUNDLE}]
    for table, columns in COLUMNS.items():
        assert [one["name"] for one in nodes[table]["properties"]] == list(columns)
    assert [(row["name"], row["id"]) for row in rows] == [(BUNDLE, "b"), (FILE, "f"), (FILE, "g")]
    assert [row["relations"] for row in rows] == [[], [{"dst_id": "b", "dst_name": BUNDLE}], []]
    assert rows[1]["object"] == entity(FILE, "f").values


def test_more_than_terra_imports_is_refused_before_all_is_read() -> None:
    read = 0

    def many() -> Iterator[Entity]:
        nonlocal read
        for read in range(1, 50_001):
            yield entity(BUNDLE, str(read))

    with pytest.raises(InvalidInput, match=r"more than 100,000 bytes, .*; export parts"):
        write_pfb(io.BytesIO(), many(), most_bytes=100_000)
    assert read < 50_000


def test_rows_are_written_as_they_come() -> None:
    class Sink(io.RawIOBase):
        written = 0

        def write(self, data: object) -> int:
            Sink.written += len(data)  # type: ignore[arg-type]
            return len(data)  # type: ignore[arg-type]

        def writable(self) -> bool:
            return True

    seen = []

    def watched() -> Iterator[Entity]:
        for number in range(20_000):
            seen.append(Sink.written)
            yield entity(FILE, str(number))

    write_pfb(Sink(), watched())  # type: ignore[arg-type]

    # What waits to be written is a block, never all.
    assert seen[-1] > Sink.written / 2
