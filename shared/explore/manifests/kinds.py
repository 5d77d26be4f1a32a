"""The types of values in manifests: their schema in Avro, and what becomes of JSON values.

Of one kind both are made, so that what is written always fits its schema.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shared.explore.bundle_metadata import Json

# Avro: a long has 64 bits, as has a double.
_LONGS = range(-(1 << 63), 1 << 63)
_MOST_DOUBLE = sys.float_info.max
# What a name of Avro can't have, what it can't begin with, and what stands for either.
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]|^[0-9]|_(?=x[0-9a-f]*_)")
_ITEMS = "_x_items"
# Names of types that every PFB file has.
_TAKEN = frozenset(("Entity", "Metadata", "Node", "Property", "Link", "Multiplicity", "Relation"))


@dataclass(frozen=True)
class Compiled:
    """A kind at its place: its Avro schema, and what makes a value of it of a JSON value that it takes.

    `record` is the name of the type if it is a record.
    """

    schema: Json
    value: Callable[[Json], Any]
    takes: Callable[[Json], bool]
    record: str = ""


class Kind(Protocol):
    """A type of values."""

    @property
    def absent(self) -> Json:
        """What is written for an object that lacks a field of this kind."""
        ...

    def at(self, *path: str | None) -> Compiled:
        """Return this kind at a path from the name of an entity, which makes the names of its records."""
        ...


def avro_name(*path: str | None) -> str:
    """Return the name of the record at a path, made of the characters that Avro knows in names; each path has
    another one.

    None is the step to the elements of a list. The names of fields are left as they are: readers take any.
    """
    first, *others = (_ITEMS if part is None else _NOT_IN_NAMES.sub(_escaped, part) or "_x_" for part in path)
    return ".".join([f"{first}_x_" if first in _TAKEN else first, *others])


def _escaped(found: re.Match[str]) -> str:
    return f"_x{ord(found[0]):x}_"


def _is_long(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in _LONGS


def _is_double(value: Json) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and -_MOST_DOUBLE <= value <= _MOST_DOUBLE


_PRIMITIVES: Mapping[str, tuple[Callable[[Json], Any], Callable[[Json], bool]]] = {
    "null": (lambda _: None, lambda value: value is None),
    "boolean": (bool, lambda value: isinstance(value, bool)),
    "long": (int, _is_long),
    "double": (float, _is_double),
    "string": (str, lambda value: isinstance(value, str)),
}


@dataclass(frozen=True)
class Primitive:
    """A primitive type of Avro: null, boolean, long, double or string."""

    name: str
    absent = None

    def at(self, *path: str | None) -> Compiled:
        """Return it; it is the same everywhere."""
        return Compiled(self.name, *_PRIMITIVES[self.name])


@dataclass(frozen=True)
class Uuid:
    """A UUID, as text."""

    absent = ""

    def at(self, *path: str | None) -> Compiled:
        """Return it; it is the same everywhere."""
        return Compiled(["string"], *_PRIMITIVES["string"])


@dataclass(frozen=True)
class Record:
    """An object with these fields; others are left out."""

    fields: Mapping[str, Kind]
    absent = None

    def at(self, *path: str | None) -> Compiled:
        """Return it with the name of its path."""
        name = avro_name(*path)
        made = {field: kind.at(*path, field) for field, kind in self.fields.items()}
        schema = {
            "name": name,
            "type": "record",
            "fields": [_field(field, name, kind, made[field]) for field, kind in self.fields.items()],
        }
        fields = [(field, kind.absent, made[field].value) for field, kind in self.fields.items()]

        def value(owner: Json) -> Any:
            return {field: make(owner.get(field, absent)) for field, absent, make in fields}

        return Compiled(schema, value, lambda owner: isinstance(owner, Mapping), record=name)


def _field(name: str, namespace: str, kind: Kind, made: Compiled) -> dict[str, Json]:
    # In the predecessor's schemas each field has a namespace, which Avro ignores.
    field = {"name": name, "namespace": namespace, "type": made.schema}
    return field | {"logicalType": "UUID"} if isinstance(kind, Uuid) else field


@dataclass(frozen=True)
class Listed:
    """A list of values of a kind; what is no list is a list of it, and null is as if it were not there."""

    items: Kind

    @property
    def absent(self) -> Json:
        """A list of null, or of nothing if its items can't be null."""
        return [None] if isinstance(self.items, Union) else []

    def at(self, *path: str | None) -> Compiled:
        """Return it; its items are at the same path."""
        items = self.items.at(*path)
        make = items.value

        def value(owner: Json) -> Any:
            if not isinstance(owner, list):
                owner = self.absent if owner is None else [owner]
            return [make(each) for each in owner]

        return Compiled(
            {"type": "array", "items": items.schema}, value, lambda owner: isinstance(owner, list)
        )


@dataclass(frozen=True)
class Union:
    """A value of the first of several kinds that takes it.

    What none of them takes is its JSON text if texts are among them, and else null; as is what is nested too
    deeply for Python to write it.
    """

    members: Sequence[Kind]
    absent = None

    def at(self, *path: str | None) -> Compiled:
        """Return it; its members are at the same path, but for lists beside an object."""
        is_at_path = not any(isinstance(each, Record) for each in self.members)
        members = [
            each.at(*path) if is_at_path or not isinstance(each, Listed) else each.at(*path, None)
            for each in self.members
        ]
        has_text = any(each.schema == "string" for each in members)

        def value(owner: Json) -> Any:
            for member in members:
                if member.takes(owner):
                    made = member.value(owner)
                    # A pair names the record that it is of, so that the library need not try them all.
                    return (member.record, made) if member.record else made
            return _json_text(owner) if has_text else None

        return Compiled([each.schema for each in members], value, lambda _: True)


def _json_text(value: Json) -> str | None:
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    except RecursionError:
        # It was read, but not so deep in other calls as this.
        return None


def or_null(*kinds: Kind) -> Union:
    """Return the kind of values of some kinds that may be null."""
    return Union((Primitive("null"), *kinds))


DOUBLE = Primitive("double")
TEXT, LONG, FLAG = or_null(Primitive("string")), or_null(Primitive("long")), or_null(Primitive("boolean"))
