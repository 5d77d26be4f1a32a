"""The beginning of a file, as people look at it: read by ranges, and shown as text, a table or an image.

Nothing of a file is markup of a page: all of it is escaped, or an image of a type that holds no script.
"""

import csv
import io
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from run.browse.shapes import shape_of
from run.browse.texts import short
from shared.catalog import FileRecord
from shared.replicas import Replica
from shared.stores.base import read_range

# Bytes that a page reads of a file, at most: of JSON, which is complete or nothing, and of all else.
MOST_BYTES = 1 << 20
_HEAD_BYTES = 64 * 1024
# Memory for each byte that is read: that of JSON, parsed; see shared/events/documents.py.
_MEMORY_OF_BYTE = 20
# What a page shows: characters, and rows, columns and characters of a cell of a table.
_MOST_CHARACTERS = 20_000
_MOST_ROWS, _MOST_COLUMNS, _MOST_OF_CELL = 25, 20, 60
# Types of images without scripts, as browsers know them.
IMAGES = frozenset(("image/png", "image/jpeg", "image/gif", "image/webp"))
_SEPARATORS = {"csv": ",", "tsv": "\t"}
_GZIP_MAGIC = b"\x1f\x8b"
# zlib: a window of any size, with the head of gzip.
_GZIP_BITS = 31


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What is shown of a file: a text, the rows of a table, or an image; nothing if it is none of them.

    `note` says how much of the file that is, or why there is nothing.
    """

    note: str
    text: str = ""
    rows: Sequence[Sequence[str]] = ()
    is_image: bool = False


def preview_of(replica: Replica, record: FileRecord, name: str) -> Preview:
    """Return what to show of a file on a replica; `name` says what it is, if its type does not.

    Reads MOST_BYTES at most. Raises the errors of stores.
    """
    if record.size == 0:
        return Preview(note="The file is empty.")
    kind, compressed = _kind(record.content_type, name)
    if media_type(record.content_type) in IMAGES:
        if record.size > MOST_BYTES:
            return Preview(note="The image is larger than 1 MiB: download it to see it.")
        return Preview(note="The image as it is.", is_image=True)
    wanted = MOST_BYTES if kind == "json" and record.size <= MOST_BYTES else _HEAD_BYTES
    found = replica.store.stat(replica.bucket, record.checksums.blob_key)
    data = read_range(replica.store, found, 0, min(wanted, found.size))
    if shape := shape_of(data, partial(read_range, replica.store, found), found.size):
        return Preview(note=shape.note, rows=shape.rows)
    complete = len(data) == record.size
    if compressed or data.startswith(_GZIP_MAGIC):
        data, complete = _unpacked(data, complete=complete)
    return _shown(data, kind, complete=complete)


def memory_of(record: FileRecord) -> int:
    """Return the bytes of memory that the preview of a file takes at most."""
    # Whether a larger file has a shape, for which as much is read, is known when its head is read.
    return _MEMORY_OF_BYTE * min(record.size, MOST_BYTES)


def head_of(replica: Replica, record: FileRecord, size: int) -> bytes:
    """Return the first bytes of a file, up to a number of them."""
    found = replica.store.stat(replica.bucket, record.checksums.blob_key)
    return read_range(replica.store, found, 0, min(size, found.size))


def media_type(content_type: str) -> str:
    """Return a content type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def _kind(content_type: str, name: str) -> tuple[str, bool]:
    """Return the kind of a file, and whether it is compressed."""
    last = name.lower()
    compressed = last.endswith(".gz")
    ending = last.removesuffix(".gz").rpartition(".")[2]
    if ending in ("json", "csv", "tsv"):
        return ending, compressed
    of_type = {"application/json": "json", "text/csv": "csv", "text/tab-separated-values": "tsv"}
    return of_type.get(media_type(content_type), "text"), compressed


def _unpacked(data: bytes, *, complete: bool) -> tuple[bytes, bool]:
    unpacker = zlib.decompressobj(_GZIP_BITS)
    try:
        head = unpacker.decompress(data, _HEAD_BYTES)
    except zlib.error:
        return data, complete
    return head, complete and unpacker.eof and not unpacker.unused_data


def _shown(data: bytes, kind: str, *, complete: bool) -> Preview:
    text = _text(data, complete=complete)
    if text is None:
        return Preview(note="The file is not text, and no image that a page can show: download it.")
    if kind == "json" and complete and (pretty := _pretty(text)):
        text = pretty
    if kind in _SEPARATORS:
        return _table(text, _SEPARATORS[kind], complete=complete)
    shown = text[:_MOST_CHARACTERS]
    complete = complete and len(shown) == len(text)
    return Preview(note="The whole file." if complete else "The beginning of the file.", text=shown)


def _text(data: bytes, *, complete: bool) -> str | None:
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        # The last character may be cut off.
        if not complete and error.start >= len(data) - 3:
            return data[: error.start].decode()
        return None


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""


def _table(text: str, separator: str, *, complete: bool) -> Preview:
    lines = text if complete else text[: text.rfind("\n") + 1] or text
    rows: list[list[str]] = []
    columns = 0
    try:
        for row in csv.reader(io.StringIO(lines), delimiter=separator):
            if len(rows) > _MOST_ROWS:
                complete = False
                break
            columns = max(columns, len(row))
            rows.append([short(cell, _MOST_OF_CELL) for cell in row[:_MOST_COLUMNS]])
    except csv.Error:
        return Preview(note="The beginning of the file, which is no table.", text=text[:_MOST_CHARACTERS])
    note = "The whole table." if complete else f"The first {max(0, len(rows) - 1)} rows."
    if columns > _MOST_COLUMNS:
        note += f" The first {_MOST_COLUMNS} of {columns} columns."
    return Preview(note=note, rows=rows)
