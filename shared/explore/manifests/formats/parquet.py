"""`parquet`: a table whose columns have types, for pandas, DuckDB, BigQuery and the like."""

import io
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import chain, islice
from typing import Any

from shared.explore.manifests.content import Checkpoint, Saved
from shared.explore.manifests.selection import Selection
from shared.explore.manifests.typed_columns import TIME, TypedColumn, all_columns_of, typed_rows

# Rows that are made at once, some 5 KB each, and how many of these go together: a program has to read them at
# once, and they take a third of that.
_ROWS, _BATCHES = 1_000, 16


class Parquet:
    """Makes the table, in groups of rows; it always begins anew."""

    name = "parquet"
    extension = "parquet"
    content_type = "application/vnd.apache.parquet"
    has_file_name = True
    # It takes 100 MiB for good, of which services have few.
    made_in_requests = False

    def content(self, selection: Selection, saved: Saved | None = None) -> Iterator[bytes | Checkpoint]:
        """Yield the groups of rows, in order of the entities' ids, and what says where they are."""
        # It takes a moment to load, and is for this format alone.
        import pyarrow
        from pyarrow.parquet import ParquetWriter

        columns = all_columns_of(selection)
        schema = pyarrow.schema([(each.name, _arrow_type(pyarrow, each)) for each in columns])
        rows_of = typed_rows(columns, selection)
        sink = _Sink()
        # BigQuery and DuckDB know this compression, too.
        with closing(selection.files()) as files, ParquetWriter(sink, schema, compression="zstd") as writer:
            rows = chain.from_iterable(map(rows_of, files))
            batches = (_batch(pyarrow, schema, each) for each in iter(lambda: list(islice(rows, _ROWS)), []))
            while group := list(islice(batches, _BATCHES)):
                writer.write_table(pyarrow.Table.from_batches(group), row_group_size=_ROWS * _BATCHES)
                yield sink.take()
        yield sink.take()


def _arrow_type(pyarrow: Any, column: TypedColumn) -> Any:
    made = {
        "boolean": pyarrow.bool_(),
        "long": pyarrow.int64(),
        "double": pyarrow.float64(),
        TIME: pyarrow.timestamp("us", tz="UTC"),
    }.get(column.type, pyarrow.string())
    return pyarrow.list_(made) if column.is_list else made


def _batch(pyarrow: Any, schema: Any, rows: Sequence[Sequence[Any]]) -> Any:
    cells = zip(*rows, strict=True)
    arrays = [pyarrow.array(column, field.type) for column, field in zip(cells, schema, strict=True)]
    return pyarrow.record_batch(arrays, schema=schema)


class _Sink(io.RawIOBase):
    """Takes what is written, for `take`."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._pieces.append(bytes(content))
        return len(content)

    def take(self) -> bytes:
        """Return all that was not yet taken."""
        content = b"".join(self._pieces)
        self._pieces.clear()
        return content
