"""Parquet: a manifest with typed columns."""

from collections.abc import Iterator
from typing import IO

from dss.errors import InvalidInput, MissingExtra
from dss.manifests.rows import COLUMNS, NEEDED, Row, damaged

# Rows of a batch that is in memory; only the columns that are needed are read.
_BATCH = 4096


def rows(stream: IO[bytes]) -> Iterator[Row]:
    """Yield a row for each file; a batch of them is in memory.

    Raises MissingExtra, and InvalidInput for what is no such file, lacks columns, or is cut.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("a manifest in Parquet", "pandas") from error

    number = 0
    try:
        file = parquet.ParquetFile(stream)
        names = file.schema_arrow.names
        missing = [name for name in NEEDED if name not in names]
        if missing:
            raise InvalidInput(f"the manifest has no column {', '.join(map(repr, missing))}")
        for batch in file.iter_batches(_BATCH, columns=[name for name in COLUMNS if name in names]):
            for values in batch.to_pylist():
                number += 1
                yield Row(place=f"row {number}", values=values)
    except (pyarrow.ArrowException, OSError) as error:
        raise damaged(f"after row {number}", str(error).partition("\n")[0]) from error
