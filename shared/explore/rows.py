"""What is stored of a document to find, count and sort it: its terms, its other values, and its sort keys.

What follows from the terms alone, as the sort keys of facets do, is stored once for all documents that have
the same.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.explore.bundle_metadata import Json
from shared.explore.fields import MISSING, Document, Field, FieldType, Missing, greatest, least
from shared.explore.tallies import decode, encode

# A value as text under which a facet counts it; MISSING has a key that no JSON has.
_MISSING_KEY = "missing"

# The first character of a sort key: values, then null, then what is missing.
_VALUE, _NULL, _LACKS = "0", "1", "2"
# Characters of a text that count for its order; what is equal up to there is in order of the entity ids.
MAX_SORT_KEY = 512


def term_key(value: Json | Missing) -> str:
    """Return the text under which a facet counts a value: equal for equal values alone."""
    return _MISSING_KEY if value is MISSING else encode(value)


def term_value(key: str) -> Json:
    """Return the value of a term's key; null for what is missing."""
    return None if key == _MISSING_KEY else decode(key)


def is_missing(key: str) -> bool:
    """Return whether a term stands for documents that lack the field."""
    return key == _MISSING_KEY


def sort_key(a_field: Field, value: Json | Missing) -> str:
    """Return a text that sorts, by code points, as values of a field do."""
    if value is MISSING:
        return _LACKS
    if value is None:
        return _NULL
    if a_field.type is FieldType.NUMBER:
        return _VALUE + number_key(float(value))  # type: ignore[arg-type]
    if isinstance(value, str):
        return _VALUE + value[:MAX_SORT_KEY]
    return _VALUE + json.dumps(value, sort_keys=True)[:MAX_SORT_KEY]


def number_key(value: float) -> str:
    """Return 16 hexadecimal digits that sort as the numbers do."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", value))
    # IEEE 754: positive numbers sort as their bits; of negative ones all bits are flipped.
    return f"{bits ^ (0xFFFFFFFFFFFFFFFF if bits >> 63 else 1 << 63):016x}"


def greatest_of(name: str) -> str:
    """Return under which name a document's keys have a field's greatest value, if it is not the least."""
    return f"{name}>"


def has_range(a_field: Field) -> bool:
    """Return whether documents are found by ranges of a field's values, which are numbers or dates."""
    return not a_field.is_facet and a_field.type in (FieldType.NUMBER, FieldType.DATE)


@dataclass(frozen=True)
class Part:
    """What a document has of one group of facets: pairs of a facet and a term's key, and the facets' sort
    keys."""

    terms: frozenset[tuple[str, str]]
    keys: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Row:
    """What is stored to find a document.

    `parts` are those of its facets, by group. `values` are the values of the other fields, and `keys` their
    sort keys.
    """

    parts: Mapping[str, Part] = field(repr=False)
    values: Mapping[str, list[Json]] = field(repr=False)
    keys: Mapping[str, str] = field(repr=False)

    def key(self, name: str) -> str:
        """Return the sort key of any field."""
        return {**self.keys, **dict(pair for part in self.parts.values() for pair in part.keys)}[name]


@dataclass(frozen=True)
class _OfGroup:
    """What is stored of the fields of one group."""

    part: Part | None
    values: Mapping[str, list[Json]]
    keys: Mapping[str, str]


class Rows:
    """Makes what is stored to find documents of a plug-in's fields.

    Documents may share lists of inner entities, which must not change: what follows from a list is made once.
    """

    def __init__(self, fields: Sequence[Field]) -> None:
        self._groups: dict[str, list[Field]] = {}
        for each in fields:
            self._groups.setdefault(each.group, []).append(each)
        # By identity; the list is kept with it, so that no other gets its id.
        self._known: dict[tuple[str, int], tuple[Any, _OfGroup]] = {}

    def of(self, document: Document) -> Row:
        """Return what is stored to find a document. Pure: the same for the same document."""
        parts: dict[str, Part] = {}
        values: dict[str, list[Json]] = {}
        keys: dict[str, str] = {}
        for group, fields in self._groups.items():
            found = self._of_group(group, fields, document)
            values.update(found.values)
            keys.update(found.keys)
            if found.part is not None:
                parts[group] = found.part
        return Row(parts, values, keys)

    def _of_group(self, group: str, fields: Sequence[Field], document: Document) -> _OfGroup:
        listed = document[group] if group in document else document["contents"].get(group)
        if not isinstance(listed, list | None):
            return _of_group(fields, document)
        key = group, id(listed)
        if key not in self._known:
            self._known[key] = listed, _of_group(fields, document)
        return self._known[key][1]


def row_of(document: Document, fields: Sequence[Field]) -> Row:
    """Return what is stored to find a document. Pure: the same for the same document."""
    return Rows(fields).of(document)


def _of_group(fields: Sequence[Field], document: Document) -> _OfGroup:
    terms: set[tuple[str, str]] = set()
    term_keys: set[tuple[str, str]] = set()
    values: dict[str, list[Json]] = {}
    keys: dict[str, str] = {}
    for each in fields:
        found = each.values(document)
        key = sort_key(each, least(each, found))
        if each.is_facet:
            term_keys.add((each.name, key))
            terms.update((each.name, term_key(value)) for value in found)
            continue
        values[each.name] = _distinct(found)
        if each.is_hidden:
            continue
        keys[each.name] = key
        if has_range(each) and (last := sort_key(each, greatest(each, found))) != key:
            keys[greatest_of(each.name)] = last
    part = Part(frozenset(terms), frozenset(term_keys)) if term_keys else None
    return _OfGroup(part, values, keys)


def _distinct(values: list[Any]) -> list[Json]:
    """Return distinct values; an empty list if the document lacks the field."""
    present = {term_key(value): value for value in values if value is not MISSING}
    return list(present.values())
