"""Shapes of Parquet and HDF5 files: read by few ranges, for any content."""

import io
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import anndata
import h5py
import numpy
import pandas
import pyarrow
import pyarrow.parquet
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from run.browse.previews import preview_of
from run.browse.shapes import RangeFile, Shape, TooMuch, shape_of
from shared.errors import Unavailable
from tests.run.browse.conftest import EVIL, Pages
from tests.run.browse.test_looks import new_file, path_of, rows_of
from tests.support.clouds import Clouds

TIMES = "\N{MULTIPLICATION SIGN}"


class Ranges:
    """The ranges that are read of a file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.sizes: list[int] = []

    def read(self, start: int, size: int) -> bytes:
        assert 0 <= start < start + size <= len(self._data)
        self.sizes.append(size)
        return self._data[start : start + size]

    def shape(self) -> Shape:
        found = shape_of(self._data[:8], self.read, len(self._data))
        assert found
        assert sum(self.sizes) <= 1 << 20
        return found


def parquet(rows: int = 3, columns: int = 2, texts: str = "s") -> bytes:
    content = io.BytesIO()
    table = pyarrow.table(
        {f"c{number}": list(range(rows)) for number in range(columns)} | {texts: ["x"] * rows}
    )
    pyarrow.parquet.write_table(table, content)
    return content.getvalue()


def hdf5(fill: Callable[[h5py.File], None]) -> bytes:
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        fill(file)
    return content.getvalue()


def some(file: h5py.File) -> None:
    file.create_dataset("X", shape=(300, 20), chunks=(10, 10), dtype="f4", compression="gzip")
    file["X"][:] = numpy.random.default_rng(1).random((300, 20))
    file["obs/cell"] = numpy.arange(7)
    file["number"] = 5
    file["nowhere"] = h5py.SoftLink("/gone")


def test_a_mebibyte_of_a_file_is_read_at_most() -> None:
    ranges = Ranges(bytes(4 << 20))
    head = ranges.read(0, 1 << 16)
    file = RangeFile(head, ranges.read, 4 << 20)

    with pytest.raises(TooMuch):
        while file.read(1000):
            pass

    assert sum(ranges.sizes) == 1 << 20


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "image/png"])
@pytest.mark.parametrize("head", [b"[1", parquet(columns=50)[:1000], b"\x89HDF\r\n\x1a\n", b"\x1f\x8b"])
@pytest.mark.parametrize("size", [1 << 20, 3 << 20])
def test_a_preview_reads_a_mebibyte_at_most(content_type: str, head: bytes, size: int) -> None:
    ranges = Ranges(head.ljust(size, b"1"))
    store = SimpleNamespace(
        stat=lambda *_: SimpleNamespace(size=size),
        read=lambda _, start, count: io.BytesIO(ranges.read(start, count)),
    )
    record = SimpleNamespace(size=size, content_type=content_type, checksums=SimpleNamespace(blob_key="x"))

    assert preview_of(SimpleNamespace(store=store, bucket="b"), record, "").note  # type: ignore[arg-type]
    assert sum(ranges.sizes) <= 1 << 20


def test_a_table_has_columns_and_rows() -> None:
    ranges = Ranges(parquet())
    found = ranges.shape()

    assert found.note == "A table of Parquet: 3 rows, 3 columns, in 1 groups of rows."
    assert found.rows[1:] == [["c0", "INT64"], ["c1", "INT64"], ["s", "String (BYTE_ARRAY)"]]
    wide = Ranges(parquet(columns=500)).shape()
    assert wide.note.endswith("The first 100 columns:")
    assert len(wide.rows) == 101


def test_arrays_have_types_and_shapes() -> None:
    found = Ranges(hdf5(some)).shape()

    assert found.note == "A file of HDF5. All groups and arrays:"
    assert sorted(found.rows[1:]) == [
        ["/X", "float32", f"300 {TIMES} 20"],
        ["/nowhere", "a link that leads nowhere", ""],
        ["/number", "int64", "one value"],
        ["/obs", "group", ""],
        ["/obs/cell", "int64", "7"],
    ]


def test_of_cells_and_genes_the_matrix_is_seen(tmp_path: Path) -> None:
    cells = pandas.DataFrame(index=[f"cell {number}" for number in range(400)])
    matrix = scipy.sparse.random(400, 30, 0.1, format="csr", random_state=1)
    anndata.AnnData(matrix, obs=cells).write_h5ad(tmp_path / "a.h5ad")

    found = Ranges((tmp_path / "a.h5ad").read_bytes()).shape()

    assert ["/X", "group", f"csr_matrix 400 {TIMES} 30"] in found.rows
    assert ["/obs", "group", "dataframe"] in found.rows


def test_a_file_with_very_much_in_it_is_shown_in_part() -> None:
    def fill(file: h5py.File) -> None:
        for number in range(2000):
            file[f"{'x' * 200}{number}"] = numpy.arange(300)
        file["loop"] = h5py.SoftLink("/")

    found = Ranges(hdf5(fill)).shape()

    assert "groups and arrays:" in found.note or "longer than the 1 MiB" in found.note
    assert len(found.rows) <= 101
    assert all(len(text) < 120 for row in found.rows for text in row)


@pytest.mark.parametrize("data", [parquet(), hdf5(some)], ids=["parquet", "hdf5"])
@settings(max_examples=60)
@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_a_broken_file_is_no_error_of_the_page(data: bytes, chance: random.Random, changes: int) -> None:
    broken = bytearray(data)
    for _ in range(changes):
        broken[chance.randrange(8, len(broken))] = chance.randrange(256)
    cut = bytes(broken[: chance.randrange(9, len(broken) + 1)])

    assert Ranges(cut).shape().note


def test_a_store_that_fails_is_its_own_error() -> None:
    def read(start: int, size: int) -> bytes:
        raise Unavailable(f"the store does not answer for {size} bytes from {start}")

    for data in (parquet(), hdf5(some)):
        with pytest.raises(Unavailable):
            shape_of(data[:8], read, len(data))


def test_other_files_are_of_no_shape() -> None:
    assert shape_of(b"PAR2....", Ranges(b"").read, 8) is None


@given(
    st.binary(max_size=50), st.lists(st.tuples(st.integers(-60, 60), st.integers(0, 2), st.integers(-1, 60)))
)
def test_a_file_of_ranges_reads_as_any_file(data: bytes, steps: list[tuple[int, int, int]]) -> None:
    ours, theirs = RangeFile(b"", lambda start, size: data[start : start + size], len(data)), io.BytesIO(data)
    for offset, whence, size in steps:
        to = max(0, (0, theirs.tell(), len(data))[whence] + offset)
        assert ours.seek(offset, whence) == theirs.seek(to)
        assert ours.read(size) == theirs.read(size)
        assert ours.tell() == theirs.tell()


def test_behind_the_end_of_a_file_nothing_is_read() -> None:
    ranges = Ranges(b"x" * 10)
    file = RangeFile(b"", ranges.read, 10)
    for place in (10, 11, 1 << 17):
        file.seek(place)
        assert file.read(5) == file.read() == b""
    assert ranges.sizes == []


def test_a_page_shows_the_shape_of_a_file_of_the_store(pages: Pages, clouds: Clouds) -> None:
    table = new_file(pages, clouds, parquet(texts=EVIL), "application/octet-stream")
    page = pages.get(path_of("files", table), name="t.parquet")
    assert "3 rows, 3 columns" in page.text
    assert {"INT64", EVIL} <= {*rows_of(page)}
    assert EVIL not in page.html
    arrays = new_file(pages, clouds, hdf5(some), "application/x-hdf5")
    assert f"300 {TIMES} 20" in rows_of(pages.get(path_of("files", arrays)))
