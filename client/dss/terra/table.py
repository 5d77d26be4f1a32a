"""Data tables of Terra as TSV, to upload to a workspace.

What Terra makes of a cell was read in its source, TSVFileSupport and TSVParser of firecloud-orchestration:
text that looks like a number, a truth value or JSON is taken for one, and a quote begins a quoted cell.
"""

import json
import re
from collections.abc import Iterator

from dss.api.session import Session
from dss.errors import InvalidInput
from dss.terra.entities import BUNDLE, COLUMNS, FILE, Entity, Value, entities
from dss.terra.selection import Selection

TABLES = tuple(COLUMNS)
# What Java takes for a number, with its suffixes and hexadecimals, and what Terra takes for something else.
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?[fd]?|[+-]?0x[0-9a-f]*\.?[0-9a-f]*p[+-]?\d+[fd]?"
_NO_TEXT = re.compile(
    rf"\s*({_NUMBER}|true|false|nan|[+-]?infinity|__delete__)\s*|[\"\[{{#].*", re.IGNORECASE
)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")


def table_lines(session: Session, selection: Selection, table: str = FILE) -> Iterator[str]:
    """Yield the lines of a table of a selection, the header first, each with its newline.

    Upload table `bundle` before table `file`, which refers to it. A text that Terra would take for something
    else is left out, or begins with `./` if it is a file's name. Raises InvalidInput if there is no such
    table, or as `Selection.parts`.
    """
    if table not in TABLES:
        raise InvalidInput(f"table: {table!r} is none of {', '.join(TABLES)}")
    reference = [BUNDLE] if table == FILE else []
    yield _line([f"entity:{table}_id", *COLUMNS[table], *reference])
    for entity in entities(session, selection):
        if entity.table == table:
            yield _line([entity.id, *_cells(entity), *([_reference(entity)] if reference else [])])


def _line(cells: list[str]) -> str:
    return "\t".join(cells) + "\n"


def _cells(entity: Entity) -> Iterator[str]:
    for column in COLUMNS[entity.table]:
        yield _cell(entity.values[column], is_name=column == "file_name")


def _cell(value: Value, *, is_name: bool) -> str:
    if value is None or isinstance(value, int):
        return "" if value is None else str(value)
    text = _CONTROLS.sub(" ", value)
    if not _NO_TEXT.fullmatch(text):
        return text
    # Every name is relative: both lead to the same file.
    return f"./{text}" if is_name else ""


def _reference(entity: Entity) -> str:
    """Return a reference to the row of a file's bundle, in Terra's form."""
    return json.dumps({"entityType": BUNDLE, "entityName": entity.bundle}) if entity.bundle else ""
