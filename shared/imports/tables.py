"""Tables of objects, bundles and names: text in UTF-8, with tabs between columns, read from any line on.

The first line names the columns. A row that can't be read, or names what isn't there, is named with its line,
and the others go in.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from shared.access import Principal
from shared.catalog import ImportOrder
from shared.clock import Deadline, check_not_ahead
from shared.errors import (
    AccessDenied,
    DssError,
    IllegalArguments,
    ObjectChanged,
    ObjectNotFound,
    Unavailable,
    Unprocessable,
)
from shared.imports.places import Places
from shared.imports.rows import Row, row_of
from shared.imports.slices import SLICE_ROWS, Slice
from shared.jobs.lists import raw_lines
from shared.parallel import map_in_threads
from shared.retry import retry
from shared.sources import source_at
from shared.stores.base import ObjectStore, StoredObject
from shared.system import Dss

REQUIRED = ("source_url", "bundle")
_COLUMNS = (*REQUIRED, "name")
# Bytes of a table: some million rows.
_LARGEST = 1024**3
# In bytes. GCS and S3: no key is longer than 1,024; a name has 900 at most.
_LONGEST_LINE = 16 * 1024
_LONGEST_BUNDLE = 500
# Objects that are described at once.
_THREADS = 16
_BATCH = 200


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a table: its cells by column, or what is wrong with it; and the position after it."""

    where: str
    cells: Mapping[str, str]
    flaw: str
    end: int
    number: int


def list_table(
    dss: Dss,
    order: ImportOrder,
    who: Principal,
    places: Places,
    cursor: Mapping[str, Any],
    deadline: Deadline,
) -> Slice:
    """Return the next slice of the objects that a table names.

    Raises ObjectNotFound and AccessDenied if the table isn't there, or can't be read, Unprocessable if it is
    too large or its first line doesn't name the columns, and ObjectChanged if it was replaced since the first
    slice.
    """
    where = source_at(dss.replicas, order.table)
    store = where.replica.store
    found = store.stat(where.bucket, where.key)
    if cursor and found.revision != cursor["revision"]:
        raise ObjectChanged(f"{order.table} was replaced since it was read first; begin another import")
    if found.size > _LARGEST:
        raise Unprocessable(f"{order.table} has more than {_LARGEST:,} bytes; make several tables of it")
    lines = read_lines(store, found, cursor)
    listed = Slice()
    taken = 0
    while batch := list(islice(lines, _BATCH)):
        rows = map_in_threads(partial(_row, dss, order, who, places), batch, threads=_THREADS)
        for line, row in zip(batch, rows, strict=True):
            if isinstance(row, DssError):
                listed.refuse(f"{line.where}: {line.cells.get('source_url', '')[:1000]}".rstrip(": "), row)
            else:
                listed.add(row)
        taken += len(batch)
        if taken >= SLICE_ROWS or deadline.passed:
            listed.cursor = {"revision": found.revision, "end": batch[-1].end, "line": batch[-1].number}
            break
    return listed


def read_lines(store: ObjectStore, found: StoredObject, cursor: Mapping[str, Any]) -> Iterator[Line]:
    """Yield the lines of a table after a cursor; not those that are empty.

    Raises Unprocessable if the first line doesn't name the columns.
    """
    head = next(raw_lines(store, found, 0, _LONGEST_LINE), b"")
    columns = columns_of(head)
    first, number = cursor.get("end", len(head)), cursor.get("line", 1)
    in_pieces = False
    for raw in raw_lines(store, found, first, _LONGEST_LINE):
        first += len(raw)
        too_long = len(raw) > _LONGEST_LINE
        # The pieces of a line that is too long are one line.
        is_rest, in_pieces = in_pieces, too_long and not raw.endswith(b"\n")
        if is_rest:
            continue
        number += 1
        line = _line(raw, columns, too_long=too_long, end=first, number=number)
        if line:
            yield line


def columns_of(head: bytes) -> Sequence[str]:
    """Return the columns that the first line of a table names.

    Raises Unprocessable if a required one is missing, or one occurs twice.
    """
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unprocessable("table, line 1: it is not UTF-8; save the table as UTF-8") from None
    columns = [name.strip().lower() for name in text.rstrip("\r\n").split("\t")]
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        named = ", ".join(name for name in columns if name)[:200] or "nothing"
        raise Unprocessable(
            f"table, line 1: it names no column {' and no column '.join(missing)}, but {named}; the columns "
            f"are {', '.join(_COLUMNS)}, with tabs between them"
        )
    doubled = next((name for name in _COLUMNS if columns.count(name) > 1), None)
    if doubled:
        raise Unprocessable(f"table, line 1: it names the column {doubled} twice")
    return columns


def _line(raw: bytes, columns: Sequence[str], *, too_long: bool, end: int, number: int) -> Line | None:
    """Return a line; None if there is nothing in it."""
    flaw, cells = "", {}
    if too_long:
        flaw = f"it is longer than {_LONGEST_LINE:,} bytes"
    else:
        try:
            texts = raw.decode("utf-8").rstrip("\r\n").split("\t")
        except UnicodeDecodeError as error:
            texts = []
            flaw = f"it is not UTF-8, at byte {error.start} of the line"
        if not flaw and not any(text.strip() for text in texts):
            return None
        cells = {name: text.strip() for name, text in zip(columns, texts, strict=False)}
        flaw = flaw or _flaw_of(texts, cells, columns)
    return Line(where=f"line {number}", cells=cells, flaw=flaw, end=end, number=number)


def _flaw_of(texts: Sequence[str], cells: Mapping[str, str], columns: Sequence[str]) -> str:
    if len(texts) > len(columns):
        return f"it has {len(texts)} columns, the first line names {len(columns)}"
    empty = next((name for name in REQUIRED if not cells.get(name)), None)
    if empty:
        return f"it has no {empty}"
    if len(cells["bundle"]) > _LONGEST_BUNDLE:
        return f"its bundle has more than {_LONGEST_BUNDLE} characters"
    return ""


def _row(dss: Dss, order: ImportOrder, who: Principal, places: Places, line: Line) -> Row | DssError:
    """Return the row of a line, in a request to its store; or what is wrong with it."""
    try:
        if line.flaw:
            raise IllegalArguments(line.flaw)
        url = line.cells["source_url"]
        place = places(url)
        dss.bucket_policy.source(who, url).require()
        name = line.cells.get("name") or url.partition("?")[0].rpartition("/")[2]
        row = row_of(order, url, retry(dss.clock, place.stat), line.cells["bundle"], name, line.where)
        # Web servers may tell any time.
        check_not_ahead(dss.clock, row.version, dss.settings.version_ahead_seconds)
        return row
    except Unavailable as error:
        if place.is_near:
            raise
        # One web server that doesn't answer keeps no other object out.
        return error
    except ObjectNotFound as error:
        return ObjectNotFound(f"source_url: there is no such object: {error.title}")
    except AccessDenied as error:
        return AccessDenied(f"source_url: this system may not read it: {error.title}")
    except DssError as error:
        return error
