"""Which form a manifest has, by how it begins, and the rows that it has in that form."""

import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, NamedTuple

from dss.errors import InvalidInput
from dss.manifests import avro, curl, documents, parquet
from dss.manifests.rows import Row, damaged
from dss.manifests.table import Table

# Bytes of the beginning that say what a manifest is.
_HEAD_BYTES = 64 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OTHER_MARKS = (b"\xff\xfe", b"\xfe\xff")
# Azul's BDBags have this file in a folder of their own.
_OF_BAG = "data/participants.tsv"


class Form(NamedTuple):
    """The form of a manifest. A `table` has a line for each file, to which a column can be added."""

    name: str
    is_table: bool = False


TABLE = Form("table (TSV)", is_table=True)
CURL, BAG = Form("configuration of curl"), Form("BDBag for Terra")
PFB, DOCUMENTS, PARQUET = Form("PFB"), Form("metadata documents"), Form("Parquet")


def form_of(stream: IO[bytes]) -> Form:
    """Return the form of a manifest; its stream is then where it was. Raises InvalidInput if it has none."""
    start = stream.tell()
    head = stream.read(_HEAD_BYTES).removeprefix(_BYTE_ORDER_MARK)
    stream.seek(start)
    for form, magic in ((BAG, b"PK\x03\x04"), (PFB, b"Obj\x01"), (PARQUET, b"PAR1")):
        if head.startswith(magic):
            return form
    text = head.lstrip()
    if not text:
        raise InvalidInput("the manifest is empty")
    line = text.splitlines()[0]
    if text.startswith(b"{"):
        return DOCUMENTS
    if text.startswith((b"--", b"url", b"#")) and b"\t" not in line:
        return CURL
    if b"\t" in line and b"\0" not in line:
        return TABLE
    what = repr(line[:60].decode("utf-8", "replace"))
    if text.startswith(b"<"):
        what += ", an HTML or XML page"
    elif head.startswith(_OTHER_MARKS):
        what += ", UTF-16; save it as UTF-8"
    raise InvalidInput(
        f"the manifest begins with {what}: it is no TSV with a header, no configuration of curl, no BDBag, "
        "PFB or Parquet, and no lines of JSON"
    )


def rows(stream: IO[bytes], form: Form) -> Iterator[Row]:
    """Yield the rows of a manifest of a form; little of it is in memory.

    Raises InvalidInput, which names the line or entity, for what is damaged or cut, and MissingExtra.
    """
    if form == BAG:
        yield from _rows_of_bag(stream)
    elif form == TABLE:
        yield from _rows_of_table(stream)
    else:
        readers = {CURL: curl.rows, PFB: avro.rows, DOCUMENTS: documents.rows, PARQUET: parquet.rows}
        yield from readers[form](stream)


def _rows_of_table(stream: IO[bytes]) -> Iterator[Row]:
    table = Table(stream)
    try:
        yield from table.rows()
    finally:
        table.close()


def _rows_of_bag(stream: IO[bytes]) -> Iterator[Row]:
    try:
        with zipfile.ZipFile(stream) as bag:
            names = [name for name in bag.namelist() if f"/{name}".endswith(f"/{_OF_BAG}")]
            if len(names) != 1:
                raise InvalidInput(f"the manifest is a ZIP archive, and no BDBag with one {_OF_BAG}")
            with bag.open(names[0]) as table:
                yield from _rows_of_table(table)
    # zipfile raises NotImplementedError for compressions that it does not know, RuntimeError for encryption.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise damaged("the ZIP archive", str(error)) from error
