"""The columns of manifests that are tables: which value of a file's document each has, and its text."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.explore.bundle_metadata import Json
from shared.explore.catalogues import Catalogue
from shared.explore.fields import MISSING
from shared.explore.manifests.selection import SelectedFile, Selection, name_of, url_of

# What joins several values of a cell. Metadata with `||` is refused by the indexer, or else by users' eyes.
SEPARATOR = " || "
_FILES, _URL, _NAME = "files", "file_url", "name"


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
    # Of all rows of a document but for the files' own.
    shared = [(number, each.listed, each.key) for number, each in enumerate(columns) if each.listed != _FILES]
    own = [(number, each.key) for number, each in enumerate(columns) if each.listed == _FILES]
    width = len(columns)

    def rows(selected: SelectedFile) -> Iterator[list[str]]:
        beside = {name: selected.document.get(name, ()) for name in ("bundles", "sources")}
        lists: Mapping[str, Any] = {**selected.contents, **beside}
        cells = [""] * width
        for number, listed, key in shared:
            if inner := lists.get(listed):
                cells[number] = _cell(inner, key)
        for file, _ in selected.files:
            row = cells.copy()
            for number, key in own:
                if key == _URL:
                    row[number] = url_of(selection, file)
                elif key == _NAME:
                    row[number] = name_of(file)
                elif (value := file.get(key)) is not None:
                    row[number] = joined(value) if isinstance(value, list) else text_of(value)
            yield row

    return rows


def _cell(inner: Sequence[Mapping[str, Json]], key: str) -> str:
    """Return the cell of a list: almost always it has one inner entity, whose field has one value."""
    if len(inner) == 1:
        value = inner[0].get(key)
        if isinstance(value, list):
            if len(value) == 1:
                return text_of(value[0])
            return joined(value) if value else ""
        return text_of(value)
    found = (each.get(key) for each in inner)
    return joined(value for each in found for value in (each if isinstance(each, list) else [each]))
