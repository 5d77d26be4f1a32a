"""The columns of manifests that are tables: which value of a file's document each has, and its text."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.explore.bundle_metadata import Json
from shared.explore.catalogues import Catalogue
from shared.explore.fields import MISSING
from shared.explore.manifests.selection import SelectedFile, Selection, name_of, url_of

# What joins several values of a cell. Metadata with `||` is refused by the indexer, or else by users' eyes.
SEPARATOR = " || "
_FILES, _URL, _NAME = "files", "file_url", "name"
_NOT_ITS_OWN = (_URL, _NAME)


@dataclass(frozen=True)
class Column:
    """A column: its name, the list of the document (`bundles` and `sources` too), and the key in its items.

    Of the list `files` it is the file's own value. `file_url` is the key of the URL of its content, and
    `name` that of its name, or the first of its names.
    """

    name: str
    listed: str
    key: str


def file_columns(**keys: str) -> tuple[Column, ...]:
    """Return the first columns of the predecessor's tables, by which clients find files and bundles.

    `keys` are those under which a plug-in's files have other values than the name, in order of the columns.
    """
    return (
        Column("source_id", "sources", "id"),
        Column("source_spec", "sources", "spec"),
        Column("bundle_uuid", "bundles", "uuid"),
        Column("bundle_version", "bundles", "version"),
        *(Column(name, _FILES, key) for name, key in keys.items()),
        Column("file_drs_uri", _FILES, "drs_uri"),
        Column("file_url", _FILES, _URL),
    )


def columns_of(catalogue: Catalogue) -> Sequence[Column]:
    """Return the columns of a catalogue's files: those that its plug-in declares as `manifest_columns`.

    For another plug-in they are its fields, and the URLs of the files.
    """
    declared: Sequence[Column] | None = getattr(catalogue.plugin, "manifest_columns", None)
    if declared is not None:
        return declared
    of_lists = (each for each in catalogue.fields.values() if len(each.path) == 2)
    return [*(Column(each.name, *each.path) for each in of_lists), Column("fileUrl", _FILES, _URL)]


def plain_name(column: Column) -> str:
    """Return the name of a column for programs that know letters, digits and `_` alone."""
    return column.name.replace(".", "__")


def own_value(selection: Selection, key: str, file: Mapping[str, Json]) -> Json:
    """Return the value of a file under a column's key."""
    if key == _URL:
        return url_of(selection, file)
    return name_of(file) if key == _NAME else file.get(key)


def text_of(value: Json) -> str:
    """Return a value as the text of a cell: null is empty, an age is `20 year`."""
    if isinstance(value, str):
        return value
    if value is None or value is MISSING:
        return ""
    if isinstance(value, dict):
        parts = (value[name] for name in ("value", "unit") if name in value)
        return " ".join(str(each) for each in parts if each is not None)
    return str(value)


def joined(values: Iterable[Json]) -> str:
    """Return several values as the text of a cell: the distinct ones, sorted as text; without nulls."""
    return SEPARATOR.join(sorted({text_of(value) for value in values if value is not None}))


def cells_of(
    columns: Sequence[Column], selection: Selection
) -> Callable[[SelectedFile], Iterator[list[str]]]:
    """Return what makes the cells of a file, and of each file that it stands for."""
    return Rows(columns, selection).of


class Rows:
    """Makes the cells of a table's rows: one row for each file that a selected one stands for.

    Almost all lists have one inner entity, and most of its fields one text: these take a short way, since
    there are millions of cells.
    """

    def __init__(self, columns: Sequence[Column], selection: Selection) -> None:
        self._selection = selection
        self._empty = [""] * len(columns)
        # The places of columns and their keys: of each list, and of the files' own.
        self._shared: dict[str, list[tuple[int, str]]] = {}
        for number, each in enumerate(columns):
            self._shared.setdefault(each.listed, []).append((number, each.key))
        self._own = self._shared.pop(_FILES, [])

    def of(self, selected: SelectedFile) -> Iterator[list[str]]:
        """Yield the rows of a selected file."""
        contents, document = selected.contents, selected.document
        cells = self._empty.copy()
        for listed, places in self._shared.items():
            if inner := contents.get(listed) or document.get(listed):
                if len(inner) == 1:
                    _fill(cells, inner[0], places)
                else:
                    for number, key in places:
                        cells[number] = _cell_of_several(inner, key)
        for file, _ in selected.files:
            row = cells.copy()
            _fill(row, file, self._own)
            for number, key in self._own:
                if key in _NOT_ITS_OWN:
                    row[number] = str(own_value(self._selection, key, file))
            yield row


def _fill(cells: list[str], inner: Mapping[str, Json], places: Sequence[tuple[int, str]]) -> None:
    for number, key in places:
        value = inner.get(key)
        if type(value) is list:
            if len(value) != 1:
                cells[number] = joined(value)
                continue
            value = value[0]
        if type(value) is str:
            cells[number] = value
        elif value is not None:
            cells[number] = text_of(value)


def _cell_of_several(inner: Sequence[Mapping[str, Json]], key: str) -> str:
    found = (each.get(key) for each in inner)
    return joined(value for each in found for value in (each if isinstance(each, list) else [each]))


def lines_of(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as lines of tab-separated values in the predecessor's form, `excel-tab` of Python.

    They end with CRLF, and cells are quoted that need it.
    """
    lines = []
    for row in rows:
        line = "\t".join(row)
        if '"' in line or "\n" in line or "\r" in line or line.count("\t") != len(row) - 1 or not line:
            lines.append(_quoted_line(row))
        else:
            lines.append(f"{line}\r\n")
    return "".join(lines)


def _quoted_line(row: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, "excel-tab").writerow(row)
    return text.getvalue()
