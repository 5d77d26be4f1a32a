"""What is in files of Parquet and HDF5: names, types and shapes, read by ranges.

Readers of these formats are handed a file that reads ranges of the object, remembers them, and ends the
reading after so many bytes, requests and steps: what was found until then is shown. No data are read, but
what describes them.
"""

import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from run.browse.texts import number_text, short

# A range that is read at once, and how many of them: 1 MiB in all.
_BLOCK_BYTES, _MOST_BLOCKS = 64 * 1024, 16
# Reads of what is remembered, so that a file that leads in circles comes to an end.
_MOST_READS = 20_000
# What a page shows.
_MOST_ROWS, _MOST_OF_NAME = 100, 80
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_PARQUET_MAGIC = b"PAR1"

ReadRange = Callable[[int, int], bytes]


class TooMuch(Exception):
    """A reader has asked for more than a page reads. Never leaves this module."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a file holds, as a table, and in a sentence."""

    note: str
    rows: Sequence[Sequence[str]] = ()


class RangeFile(io.RawIOBase):
    """An object of a store as a file: `head` are its first bytes, `read_range` returns bytes from anywhere.

    Raises TooMuch after 16 blocks of 64 KiB, those of `head` included, and after 20,000 reads.
    """

    def __init__(self, head: bytes, read_range: ReadRange, size: int) -> None:
        super().__init__()
        self._read_range = read_range
        self._size = size
        self._position = 0
        # The last block of the head may be a part of one.
        whole = len(head) if len(head) == size else len(head) - len(head) % _BLOCK_BYTES
        self._blocks = {
            start // _BLOCK_BYTES: head[start : min(start + _BLOCK_BYTES, whole)]
            for start in range(0, whole, _BLOCK_BYTES)
        }
        self._reads = 0

    def readable(self) -> bool:
        """Return that it may be read."""
        return True

    def seekable(self) -> bool:
        """Return that any position may be read."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a position, and return it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes: as many, unless the file ends before. Raises TooMuch."""
        self._reads += 1
        left = max(0, self._size - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        if self._reads > _MOST_READS or wanted > _MOST_BLOCKS * _BLOCK_BYTES:
            raise TooMuch
        if not wanted:
            return b""
        first = self._position
        parts = []
        for number in range(first // _BLOCK_BYTES, -(-(first + wanted) // _BLOCK_BYTES)):
            start = number * _BLOCK_BYTES
            parts.append(self._block(number)[max(0, first - start) : first + wanted - start])
        data = b"".join(parts)
        self._position += len(data)
        return data

    def readinto(self, buffer: Any, /) -> int:
        """Read into a buffer, and return how many bytes. Raises TooMuch."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            if len(self._blocks) >= _MOST_BLOCKS:
                raise TooMuch
            start = number * _BLOCK_BYTES
            self._blocks[number] = self._read_range(start, min(_BLOCK_BYTES, self._size - start))
        return self._blocks[number]


def shape_of(head: bytes, read_range: ReadRange, size: int) -> Shape | None:
    """Return what is in a file that begins with some bytes, at least 8; None if it is of another format.

    Reads 1 MiB at most, with the head. Raises what `read_range` raises.
    """
    if head.startswith(_PARQUET_MAGIC):
        return _described(_parquet, "Parquet", head, read_range, size)
    if head.startswith(_HDF5_MAGIC):
        return _described(_hdf5, "HDF5", head, read_range, size)
    return None


def _described(
    describe: Callable[[RangeFile], Shape], name: str, head: bytes, read_range: ReadRange, size: int
) -> Shape:
    failed: list[Exception] = []

    def read(start: int, count: int) -> bytes:
        try:
            return read_range(start, count)
        except Exception as error:
            failed.append(error)
            raise

    try:
        return describe(RangeFile(head, read, size))
    except TooMuch:
        return Shape(note=f"A file of {name}, whose description is longer than the 1 MiB that a page reads.")
    except Exception:  # noqa: BLE001 # of a file that is broken, or made to be, readers raise anything
        if failed:
            raise failed[0] from None
        return Shape(
            note=f"A file of {name} that can't be read: it is broken, or of a kind that is not known here."
        )


def _parquet(file: RangeFile) -> Shape:
    from pyarrow.parquet import read_metadata

    found = read_metadata(file)
    columns = [found.schema.column(number) for number in range(min(found.num_columns, _MOST_ROWS))]
    rows = [(each.path, _type_of(each)) for each in columns]
    note = (
        f"A table of Parquet: {number_text(found.num_rows)} rows, {number_text(found.num_columns)} columns,"
        f" in {number_text(found.num_row_groups)} groups of rows."
    )
    if found.num_columns > _MOST_ROWS:
        note += f" The first {_MOST_ROWS} columns:"
    return Shape(note=note, rows=[("Column", "Type"), *(_cut(*row) for row in rows)])


def _type_of(column: Any) -> str:
    logical = str(column.logical_type)
    return column.physical_type if logical == "None" else f"{logical} ({column.physical_type})"


def _hdf5(file: RangeFile) -> Shape:
    import pyfive

    rows: list[Sequence[str]] = []
    is_all = True
    try:
        for row in _walk(pyfive.File(file), pyfive):
            if len(rows) == _MOST_ROWS:
                is_all = False
                break
            rows.append(_cut(*row))
    except TooMuch:
        if not rows:
            raise
        is_all = False
    what = "All groups and arrays:" if is_all else f"The first {len(rows)} groups and arrays:"
    return Shape(note=f"A file of HDF5. {what}", rows=[("Name", "Type", "Shape"), *rows])


def _walk(root: Any, pyfive: Any) -> Iterator[tuple[str, str, str]]:
    """Yield what is in a file, groups before what is in them, those above before those below."""
    waiting: deque[tuple[str, Any]] = deque([("", root)])
    while waiting:
        path, group = waiting.popleft()
        for name in group:
            where = f"{path}/{name}"
            try:
                # Without where its data are.
                found = group.get_lazy_view(name)
            except TooMuch:
                raise
            except Exception:  # noqa: BLE001 # a link that leads nowhere, or what the reader lacks
                yield where, "can't be read", ""
                continue
            if isinstance(found, pyfive.Group):
                yield where, "group", _encoding(found)
                waiting.append((where, found))
            elif found is None:
                yield where, "a link that leads nowhere", ""
            else:
                yield where, str(found.dtype), _size(found.shape or ()) or "one value"


def _encoding(group: Any) -> str:
    """Return what AnnData says that a group is, as `csr_matrix` with its shape; empty if it says nothing."""
    with suppress(KeyError, ValueError, TypeError, AttributeError):
        encoding = group.attrs["encoding-type"]
        text = encoding.decode() if isinstance(encoding, bytes) else str(encoding)
        shape = group.attrs.get("shape")
        return f"{text} {_size(shape)}" if shape is not None else text
    return ""


def _size(shape: Iterable[Any]) -> str:
    return " \N{MULTIPLICATION SIGN} ".join(number_text(int(each)) for each in shape)


def _cut(*texts: str) -> Sequence[str]:
    return [short(text, _MOST_OF_NAME) for text in texts]
