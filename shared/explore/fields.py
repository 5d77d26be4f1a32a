"""What documents are filtered, counted and sorted by: the fields that a plug-in declares."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import product
from typing import Any

from shared.explore.bundle_metadata import Json

Document = Mapping[str, Any]


class FieldType(Enum):
    """How the values of a field are compared."""

    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"
    DATE = "date"
    RANGE = "range"
    OBJECT = "object"


class Missing:
    """Stands for a field that a document lacks, because it has no inner entity with that field."""


MISSING = Missing()


@dataclass(frozen=True)
class Field:
    """A field of the API: its name, and where a document has its values.

    `path` is a key of the document, or the list of inner entities and the key in each of them, or two keys:
    then the values are pairs. Values of facets are counted. `nested` fields are objects that are matched by
    some of their keys; `counted_by` is the key by which they are counted. A hidden field is for summaries,
    and not for users. `beside` names a facet, and a member that its terms get: of each pair whose first
    value is the term, the second. `distinct_in` are the types of documents whose different values are
    counted, in place of the documents.
    """

    name: str
    path: tuple[str, ...]
    type: FieldType = FieldType.TEXT
    is_facet: bool = False
    is_hidden: bool = False
    nested: tuple[str, ...] = ()
    counted_by: str = ""
    beside: tuple[str, str] | None = None
    distinct_in: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """The group of facets whose terms tend to come together: those of one list of inner entities."""
        return self.path[0]

    def values(self, document: Document) -> list[Json | Missing]:
        """Return a document's values: null for a field that is empty, MISSING alone if it lacks the field."""
        return list(self._values(document)) or [MISSING]

    def _values(self, document: Document) -> Iterator[Json]:
        if len(self.path) == 1:
            if self.path[0] in document:
                yield document[self.path[0]]
            return
        listed, *keys = self.path
        owners = document["contents"].get(listed, ()) if listed not in document else document[listed]
        for owner in owners:
            if all(key in owner for key in keys):
                each_key = [self._listed(owner[key]) for key in keys]
                yield from each_key[0] if len(keys) == 1 else map(list, product(*each_key))

    def _listed(self, value: Json) -> list[Json]:
        if not isinstance(value, list) or self._is_one(value):
            return [value]
        return value or [None]

    def _is_one(self, value: list[Json]) -> bool:
        """Return whether a list is one range."""
        return self.type is FieldType.RANGE and bool(value) and not isinstance(value[0], list)


def least(field: Field, values: list[Json | Missing]) -> Json | Missing:
    """Return what a document is sorted by: its least value; null comes after all others, MISSING last."""
    if len(values) == 1:
        return values[0]
    present = [value for value in values if value is not None and value is not MISSING]
    if present:
        return min(present, key=lambda value: _comparable(field, value))
    return None if None in values else MISSING


def greatest(field: Field, values: list[Json | Missing]) -> Json | Missing:
    """Return the greatest value of a document that has any, or else what `least` returns."""
    if len(values) == 1:
        return values[0]
    present = [value for value in values if value is not None and value is not MISSING]
    return max(present, key=lambda value: _comparable(field, value)) if present else least(field, values)


def _comparable(field: Field, value: Json | Missing) -> Any:
    if field.type in (FieldType.NUMBER, FieldType.FLAG):
        return value
    return str(value)


def facet_groups(fields: Iterable[Field]) -> tuple[str, ...]:
    """Return the groups of all facets, in the order in which profiles have them."""
    return tuple(dict.fromkeys(each.group for each in fields if each.is_facet))
