"""The values of a document as people read them, and where the page of a document is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from run.browse.links import file_url
from run.browse.operations import HOME
from run.browse.texts import bytes_text, number_text, short, time_text
from shared.explore.bundle_metadata import Json
from shared.explore.catalogues import Catalogue
from shared.explore.fields import MISSING, Field, FieldType
from shared.explore.query import Found

NONE = "none"
# Values that a cell of a table shows.
_MOST_VALUES = 3
_MOST_CHARACTERS = 90
# Fields whose numbers are bytes.
_SIZES = frozenset(("fileSize",))


@dataclass(frozen=True)
class Cell:
    """The first values of a field, and how many others there are."""

    texts: Sequence[str]
    others: int = 0


def cell_of(known: Field, document: Mapping[str, Any]) -> Cell:
    """Return what a table shows of a field of a document."""
    # Lists of a document may have the same value often.
    values = dict.fromkeys(value_text(known, value) for value in present(known, document))
    texts = [short(text, _MOST_CHARACTERS) for text in values]
    return Cell(texts[:_MOST_VALUES], max(0, len(texts) - _MOST_VALUES))


def present(known: Field, document: Mapping[str, Any]) -> Iterator[Json]:
    """Yield the values that a document has of a field."""
    for value in known.values(document):
        if value is not None and value is not MISSING:
            yield value


def value_text(known: Field, value: Json) -> str:
    """Return a value of a field in words."""
    match value:
        case None:
            return NONE
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return bytes_text(value) if known.name in _SIZES else number_text(value)
        case {"value": amount, **more}:
            return " ".join(str(each) for each in (amount, more.get("unit")) if each)
        case dict():
            return ", ".join(str(each) for each in value.values() if each is not None)
        case list():
            return " to ".join(value_text(known, each) for each in value)
    text = str(value)
    return time_text(text) if known.type is FieldType.DATE or known.name.endswith("Version") else text


def url_of(catalogue: Catalogue, entity_type: str, found: Found) -> str:
    """Return the page of an entity."""

    def first(name: str) -> str:
        known = catalogue.fields.get(name)
        return next((str(value) for value in present(known, found.document)), "") if known else ""

    replica = catalogue.setting.replica
    if entity_type == "files":
        return file_url(first("fileId"), first("fileVersion"), first("fileName"), replica)
    if entity_type == "bundles":
        query = {"version": first("bundleVersion"), "replica": replica}
    else:
        query = {"catalog": catalogue.name}
    return f"{HOME}/{entity_type}/{found.entity_id}?{urlencode(query)}"
