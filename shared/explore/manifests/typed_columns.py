"""The columns of manifests whose cells have types, and are lists where a file may have several values."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.explore.bundle_metadata import Json
from shared.explore.fields import FieldType
from shared.explore.manifests.columns import Column, columns_of, own_value, plain_name, text_of
from shared.explore.manifests.file_kinds import FILES, kinds_of
from shared.explore.manifests.kinds import Kind, Listed, Primitive, Record, Union
from shared.explore.manifests.selection import SelectedFile, Selection
from shared.explore.plugins import Plugin
from shared.explore.tallies import Merge, common, distinct_number, greatest, least, number, total

# A catalogue has one.
_SOURCES = "sources"
# What makes one value of all those that are merged.
_SINGLE = (total, greatest, least, common, number, distinct_number)
# Beside the primitive types of kinds.
TIME = "time"


@dataclass(frozen=True)
class TypedColumn:
    """A column: a name of letters, digits and `_`, and a primitive type of `Kind`, or TIME, in UTC."""

    name: str
    type: str
    is_list: bool
    source: Column


def typed_columns_of(plugin: Plugin, columns: Sequence[Column]) -> list[TypedColumn]:
    """Return columns of a plug-in's files with their types; one that isn't known is text."""
    kinds = kinds_of(plugin)
    times = {each.path for each in plugin.fields if each.type is FieldType.DATE}
    made = []
    for each in columns:
        of_list = kinds.get(each.listed)
        kind = of_list.fields.get(each.key) if isinstance(of_list, Record) else None
        found = TIME if (each.listed, each.key) in times else _primitive(kind)
        made.append(TypedColumn(plain_name(each), found, not _is_single(plugin, each, kind), each))
    return made


def all_columns_of(selection: Selection) -> list[TypedColumn]:
    """Return all columns of a catalogue: those of its tables, and those that its plug-in declares as
    `manifest_typed_columns`."""
    plugin = selection.catalogue.plugin
    more: Sequence[Column] = getattr(plugin, "manifest_typed_columns", ())
    return typed_columns_of(plugin, [*columns_of(selection.catalogue), *more])


def _primitive(kind: Kind | None) -> str:
    """Return the type of the values of a kind, also if they are in a list; of records it is their text."""
    if isinstance(kind, Listed):
        return _primitive(kind.items)
    if isinstance(kind, Union):
        return next(found for each in kind.members if (found := _primitive(each)) != "null")
    return kind.name if isinstance(kind, Primitive) else "string"


def _is_single(plugin: Plugin, column: Column, kind: Kind | None) -> bool:
    """Return whether a file has one value at most; of its own values, kinds say it."""
    if column.listed == _SOURCES:
        return True
    if column.listed == FILES:
        is_many = isinstance(kind, Listed) or (
            isinstance(kind, Union) and any(isinstance(each, Listed) for each in kind.members)
        )
        return not is_many
    merge = plugin.merges[FILES].merge(column.listed)
    if merge.as_they_are or merge.group_by or column.listed == "bundles":
        return False
    return _accumulator(merge, column.key) in _SINGLE


def _accumulator(merge: Merge, key: str) -> Any:
    return merge.derived[key][1] if key in merge.derived else merge.fields.get(key)


def _time(value: Json) -> datetime | None:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None


_OF_KINDS = {name: Primitive(name).at() for name in ("boolean", "long", "double")}


def _converter(column: TypedColumn) -> Callable[[Json], Any]:
    """Return what makes a value of the column's type of one that is not null; null of one of another type."""
    if column.type == TIME:
        return _time
    if column.type not in _OF_KINDS:
        return text_of
    kind = _OF_KINDS[column.type]
    return lambda value: kind.value(value) if kind.takes(value) else None


def _cell(column: TypedColumn) -> Callable[[Sequence[Json]], Any]:
    """Return what makes a cell of values, which may be lists: one value, or the distinct ones."""
    convert, is_list = _converter(column), column.is_list

    def cell(found: Sequence[Json]) -> Any:
        values = [each for value in found for each in (value if isinstance(value, list) else (value,))]
        made = [each for value in values if value is not None and (each := convert(value)) is not None]
        if is_list:
            return made if len(made) < 2 else list(dict.fromkeys(made))
        return made[0] if made else None

    return cell


def typed_rows(
    columns: Sequence[TypedColumn], selection: Selection
) -> Callable[[SelectedFile], Iterator[list[Any]]]:
    """Return what makes the cells of a file, and of each file that it stands for.

    A cell without a value is null, or an empty list; those of lists are distinct.
    """
    cells_of = [(place, each.source, _cell(each)) for place, each in enumerate(columns)]
    own = [(place, source.key, cell) for place, source, cell in cells_of if source.listed == FILES]
    shared = [
        (place, source.listed, source.key, cell) for place, source, cell in cells_of if source.listed != FILES
    ]

    def rows(selected: SelectedFile) -> Iterator[list[Any]]:
        lists: Mapping[str, Any] = {
            **selected.contents,
            **{name: selected.document.get(name, ()) for name in ("bundles", _SOURCES)},
        }
        cells: list[Any] = [None] * len(columns)
        for place, listed, key, cell in shared:
            cells[place] = cell([each.get(key) for each in lists.get(listed, ())])
        for file, _ in selected.files:
            row = cells.copy()
            for place, key, cell in own:
                row[place] = cell([own_value(selection, key, file)])
            yield row

    return rows
