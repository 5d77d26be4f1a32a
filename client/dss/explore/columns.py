"""Hits of a catalogue as rows: a column for each field of each list in a hit, as `files.name`."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from dss.errors import InvalidInput
from dss.suggestions import suggestion

Row = dict[str, Any]

# What tables show if nobody says what. Columns without values are left out, as those of another plug-in.
_SHOWN: Mapping[str, Sequence[str]] = {
    "files": (
        *("files.name", "files.format", "files.size", "bundles.bundleUuid"),
        *("projects.projectShortname", "samples.effectiveOrgan", "donorOrganisms.genusSpecies", "metadata.*"),
    ),
    "samples": (
        *("samples.id", "samples.sampleEntityType", "samples.effectiveOrgan", "samples.disease"),
        *("donorOrganisms.genusSpecies", "projects.projectShortname"),
    ),
    "projects": (
        *("projects.projectShortname", "projects.projectTitle", "projects.estimatedCellCount"),
        *("samples.effectiveOrgan", "donorOrganisms.genusSpecies"),
    ),
    "bundles": (
        *("bundles.bundleUuid", "bundles.bundleVersion", "projects.projectShortname"),
        *("samples.effectiveOrgan", "donorOrganisms.genusSpecies", "fileTypeSummaries.format", "metadata.*"),
    ),
}
# Between the values of a cell, as in the manifests of Azul.
_SEPARATOR = " || "
# Metadata are anybody's: nothing in them may move a terminal's cursor, or end a row.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def flat(hit: Mapping[str, Any]) -> Row:
    """Return a hit as one row: the values of `name` in all elements of the list `files` are `files.name`.

    One value is itself, several are a list, and none is None.
    """
    row: Row = {}
    for key, value in hit.items():
        elements = [value] if isinstance(value, Mapping) else value
        if isinstance(elements, list) and all(isinstance(each, Mapping) for each in elements):
            for name in dict.fromkeys(name for each in elements for name in each):
                values = [each[name] for each in elements if name in each]
                row[f"{key}.{name}"] = _joined(values)
        else:
            row[key] = value
    return row


def _joined(values: Sequence[Any]) -> Any:
    if len(values) == 1 and not isinstance(values[0], list):
        return values[0]
    listed = [each for value in values for each in (value if isinstance(value, list) else [value])]
    return listed[0] if len(listed) == 1 else listed or None


def columns_of(rows: Iterable[Row]) -> list[str]:
    """Return all columns of some rows, in the order in which they first occur."""
    return list(dict.fromkeys(name for row in rows for name in row))


def chosen_columns(
    entity_type: str, wanted: Sequence[str], rows: Sequence[Row], lists: Collection[str] = ()
) -> list[str]:
    """Return the columns of a table: those that are wanted, or else the ones to show of a type of entities.

    A wanted column is a name as `files.name`, a glob of names, or the name of a list, for all of its columns.
    Raises InvalidInput if the rows have no list of that name; `lists` are those that may be empty in all.
    """
    known = columns_of(rows)
    if not wanted:
        filled = [name for name in known if any(row.get(name) is not None for row in rows)]
        shown = _SHOWN.get(entity_type, ("*",))
        return [name for each in shown for name in filled if fnmatchcase(name, each)]
    found: list[str] = []
    for each in wanted:
        matching = [name for name in known if _matches(name, each)]
        known_lists = {*lists, *map(_list_of, known)}
        if rows and not matching and not any(fnmatchcase(name, _list_of(each)) for name in known_lists):
            raise InvalidInput(f"hits have no column {each!r}{suggestion(each, known)}")
        found += matching or ([] if _is_glob(each) else [each])
    return list(dict.fromkeys(found))


def late_columns(
    entity_type: str, wanted: Sequence[str], header: Collection[str], names: Iterable[str]
) -> list[str]:
    """Return which columns of later rows belong into a table whose header was made of the first ones."""
    patterns = wanted or _SHOWN.get(entity_type, ("*",))
    return [name for name in names if name not in header and any(_matches(name, each) for each in patterns)]


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")


def lists_of(wanted: Sequence[str]) -> list[str]:
    """Return the lists of hits that some columns are from; none if a glob leaves that open."""
    lists = [_list_of(each) for each in wanted]
    return [] if any(map(_is_glob, lists)) else lists


def _is_glob(text: str) -> bool:
    return any(each in text for each in "*?[")


def _list_of(column: str) -> str:
    return column.partition(".")[0]


def cell(value: Any) -> str:
    """Return a value as the text of a cell, on one line; several are joined, each once, but for null."""
    if isinstance(value, list):
        return _SEPARATOR.join(dict.fromkeys(cell(each) for each in value if each is not None))
    if value is None:
        return ""
    if isinstance(value, Mapping) and value.keys() == {"value", "unit"}:
        value = " ".join(str(each) for each in (value["value"], value["unit"]) if each is not None)
    return _CONTROLS.sub(" ", value if isinstance(value, str) else json.dumps(value))


def tsv_lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table as TSV, without their ends."""
    yield "\t".join(header)
    for row in rows:
        yield "\t".join(row)


def aligned_lines(rows: Iterable[Sequence[str]], widths: Sequence[int]) -> Iterator[str]:
    """Yield the lines of a table for people: cells are cut to the widths of the columns."""
    for row in rows:
        cells = (_fitted(text, width) for text, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def widths_of(rows: Sequence[Sequence[str]], most: int) -> list[int]:
    """Return the widths of columns in characters, at most `most` each."""
    return [min(most, max(map(len, column))) for column in zip(*rows, strict=True)]


def _fitted(text: str, width: int) -> str:
    return f"{text[: width - 1]}…" if len(text) > width else text.ljust(width)
