"""Infers which types JSON documents have that nobody has described: what all of them have at each place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.explore.bundle_metadata import Json
from shared.explore.manifests.kinds import Kind, Listed, Primitive, Record, Union

# Bounds of a schema, which is in memory, and in the file of all that is written by it. What is beyond them is
# written as JSON text. Objects with more keys are tables of values by name, rather than records.
MOST_KEYS = 1_000
MOST_DEPTH = 30
MOST_PLACES = 50_000

# From the narrowest: a value is of the first of a place's types that takes it.
_PRIMITIVES = {name: Primitive(name).at().takes for name in ("null", "boolean", "long", "double", "string")}


def _types_of(value: Json) -> list[str]:
    """Return the types that take a value, the narrowest first. What none takes is written as text."""
    return [name for name, takes in _PRIMITIVES.items() if takes(value)] or ["string"]


@dataclass
class Places:
    """How many places the documents have in all; `left` is how many they may have more."""

    left: int = MOST_PLACES


@dataclass
class Observed:
    """What documents have at one place: primitive types, keys of objects, and elements of lists.

    Where `is_text`, objects and lists are text.
    """

    places: Places = field(default_factory=Places)
    depth: int = 0
    types: set[str] = field(default_factory=set)
    fields: dict[str, "Observed"] | None = None
    items: "Observed | None" = None
    is_text: bool = False

    def add(self, value: Json) -> None:
        """Take in a value."""
        if isinstance(value, dict) and not self.is_text:
            self._add_object(value)
        elif isinstance(value, list) and not self.is_text:
            self._add_list(value)
        else:
            self.types.add(_types_of(value)[0])

    def _add_object(self, value: Mapping[str, Json]) -> None:
        if self.fields is None:
            self.fields = {}
        new = value.keys() - self.fields.keys()
        is_large = len(self.fields) + len(new) > MOST_KEYS
        if is_large or len(new) > self.places.left or self.depth >= MOST_DEPTH:
            self._become_text()
            return
        for key, each in value.items():
            if key in new:
                self.fields[key] = self._place()
            self.fields[key].add(each)

    def _add_list(self, value: list[Json]) -> None:
        if self.items is None:
            if self.depth >= MOST_DEPTH or not self.places.left:
                self._become_text()
                return
            self.items = self._place()
        for each in value:
            self.items.add(each)

    def _place(self) -> "Observed":
        self.places.left -= 1
        return Observed(self.places, self.depth + 1)

    def _become_text(self) -> None:
        self.places.left += self.count()
        self.fields, self.items, self.is_text = None, None, True
        self.types.add("string")

    def count(self) -> int:
        """Return how many places there are below this one."""
        below = [*(self.fields or {}).values(), *([self.items] if self.items else [])]
        return len(below) + sum(each.count() for each in below)

    def fits(self, value: Json) -> bool:
        """Return whether a value has nothing that was not there before."""
        if isinstance(value, dict) and not self.is_text:
            fields = self.fields or {}
            return self.fields is not None and all(
                key in fields and fields[key].fits(each) for key, each in value.items()
            )
        if isinstance(value, list) and not self.is_text:
            return self.items is not None and all(map(self.items.fits, value))
        return any(each in self.types for each in _types_of(value))

    def record(self) -> Record:
        """Return the kind of the objects, with their fields in order of their names."""
        return Record({key: self.fields[key].kind() for key in sorted(self.fields)} if self.fields else {})

    def kind(self) -> Kind:
        """Return the kind of the values, which may be null: other documents may lack them."""
        # One type for all numbers of a place, if some are no whole ones.
        types = {"null", *self.types} - ({"long"} if "double" in self.types else set())
        members: list[Kind] = [Primitive(name) for name in _PRIMITIVES if name in types]
        if self.items is not None:
            members.append(Listed(self.items.kind()))
        if self.fields is not None:
            members.append(self.record())
        return Union(members)

    def packed(self) -> Json:
        """Return all of it as JSON; how many places are left must be kept beside it."""
        return [
            sorted(self.types),
            None if self.fields is None else {key: each.packed() for key, each in self.fields.items()},
            None if self.items is None else self.items.packed(),
            self.is_text,
        ]

    @classmethod
    def unpacked(cls, packed: Any, places: Places, depth: int = 0) -> "Observed":
        """Return what was packed."""
        types, fields, items, is_text = packed
        return cls(
            places,
            depth,
            set(types),
            None
            if fields is None
            else {key: cls.unpacked(each, places, depth + 1) for key, each in fields.items()},
            None if items is None else cls.unpacked(items, places, depth + 1),
            is_text,
        )
