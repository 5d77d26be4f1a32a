"""What is stored of a document to find, count and sort it: its terms, its other values, and its sort keys.

What follows from the terms alone, as the sort keys of facets do, is stored once for all documents that have
the same.
"""

import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.explore.bundle_metadata import Json
from shared.explore.dates import microseconds
from shared.explore.fields import MISSING, Document, Field, FieldType, Missing, greatest, least
from shared.explore.tallies import decode, encode

# A value as text under which a facet counts it; MISSING has a key that no JSON has.
_MISSING_KEY = "missing"

# The first character of a sort key: values, then null, then what is missing.
_VALUE, _NULL, _LACKS = "0", "1", "2"
# Characters of a text that count for its order; what is equal up to there is in order of the entity ids.
MAX_SORT_KEY = 512
# Fields whose least and greatest values are in an index, beside a sort key: PostgreSQL refuses an entry of
# more than 2,704 bytes. Ranges of others are looked up in the documents' keys.
MOST_NUMBERS = 16


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


def number(a_field: Field, value: Json | Missing) -> float:
    """Return a number that sorts, in PostgreSQL, as values of a field with ranges do: null is infinite, and
    what is missing is no number. Dates are microseconds, exact from 1685 to 2255, else to 32 of them.

    Raises ValueError for a date that `in_utc` has not made.
    """
    if value is MISSING:
        return math.nan
    if value is None:
        return math.inf
    if a_field.type is FieldType.DATE:
        return float(microseconds(str(value)))
    return float(value)  # type: ignore[arg-type]


def number_of(a_field: Field, key: str) -> float:
    """Return the number of the value that a field has a sort key for. Raises ValueError if it is none."""
    if key in (_LACKS, _NULL):
        return math.nan if key == _LACKS else math.inf
    text = key.removeprefix(_VALUE)
    if text == key:
        raise ValueError(f"no sort key: {key[:100]!r}")
    if a_field.type is FieldType.DATE:
        return number(a_field, text)
    bits = int(text, 16)
    if len(text) != 16 or bits < 0:
        raise ValueError(f"no sort key of a number: {key[:100]!r}")
    bits ^= 1 << 63 if bits >> 63 else 0xFFFFFFFFFFFFFFFF
    (found,) = struct.unpack(">d", struct.pack(">Q", bits))
    return float(found)


def greatest_of(name: str) -> str:
    """Return under which name a document's keys have a field's greatest value, if it is not the least."""
    return f"{name}>"


def has_range(a_field: Field) -> bool:
    """Return whether documents are found by ranges of a field's values, which are numbers or dates."""
    return not a_field.is_facet and a_field.type in (FieldType.NUMBER, FieldType.DATE)


def numbered(fields: Iterable[Field]) -> list[str]:
    """Return the names of the fields whose ranges are looked up in documents' numbers, in their order."""
    return [each.name for each in fields if has_range(each) and not each.is_hidden][:MOST_NUMBERS]


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
    sort keys. `numbers` are the least and the greatest value of fields with ranges.
    """

    parts: Mapping[str, Part] = field(repr=False)
    values: Mapping[str, list[Json]] = field(repr=False)
    keys: Mapping[str, str] = field(repr=False)
    numbers: Mapping[str, tuple[float, float]] = field(repr=False)

    def key(self, name: str) -> str:
        """Return the sort key of any field."""
        return {**self.keys, **dict(pair for part in self.parts.values() for pair in part.keys)}[name]

    def numbers_of(self, names: Sequence[str]) -> list[float]:
        """Return the least values of some fields, and then, if any differs, the greatest ones."""
        found = [self.numbers[name] for name in names]
        lows, highs = [low for low, _ in found], [high for _, high in found]
        # What is missing is no number, which equals nothing but is the same in both.
        return lows if all(low is high for low, high in found) else lows + highs


@dataclass(frozen=True)
class _OfGroup:
    """What is stored of the fields of one group."""

    part: Part | None
    values: Mapping[str, list[Json]]
    keys: Mapping[str, str]
    numbers: Mapping[str, tuple[float, float]]


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
        numbers: dict[str, tuple[float, float]] = {}
        for group, fields in self._groups.items():
            found = self._of_group(group, fields, document)
            values.update(found.values)
            keys.update(found.keys)
            numbers.update(found.numbers)
            if found.part is not None:
                parts[group] = found.part
        return Row(parts, values, keys, numbers)

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
    numbers: dict[str, tuple[float, float]] = {}
    for each in fields:
        found = each.values(document)
        first = least(each, found)
        key = sort_key(each, first)
        if each.is_facet:
            term_keys.add((each.name, key))
            terms.update((each.name, term_key(value)) for value in found)
            continue
        values[each.name] = _distinct(found)
        if each.is_hidden:
            continue
        keys[each.name] = key
        if has_range(each):
            low = high = number(each, first)
            last = greatest(each, found)
            if (last_key := sort_key(each, last)) != key:
                keys[greatest_of(each.name)], high = last_key, number(each, last)
            numbers[each.name] = low, high
    part = Part(frozenset(terms), frozenset(term_keys)) if term_keys else None
    return _OfGroup(part, values, keys, numbers)


def _distinct(values: list[Any]) -> list[Json]:
    """Return distinct values; an empty list if the document lacks the field."""
    present = {term_key(value): value for value in values if value is not MISSING}
    return list(present.values())
