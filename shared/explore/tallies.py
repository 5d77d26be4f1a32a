"""Counts of the values of an entity's inner entities: enough to make its document, and changed by
differences.

What a document shows of its inner entities are sets, sums, extremes and numbers of values. All follow from
how often each value occurs, so that a document is made of these counts alone: adding a bundle to an entity
that is in 100,000 others changes the counts by the bundle's own inner entities.

A count is of a *slot*, a list's group and field, and of a value, as text. The slot with the field `ENTITIES`
counts the inner entities of a group themselves. Of numbers that are added up the sum is kept, not how often
each occurs.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from shared.explore.bundle_metadata import Json

Inner = Mapping[str, Json]
Slot = tuple[str, str, str]
# Values of one field, as text, and how often each occurs.
Counts = Mapping[str, int]
Accumulator = Callable[[Counts], Json]

# What is counted, and how often, or by how much.
Counted = tuple[Slot, str, int]

ENTITIES = ""
# What is counted of a list that is empty: the document has the field, though no value.
_EMPTY = ""
# The group of inner entities that are not grouped.
_ONE_GROUP = "[]"
# What is counted of whole numbers that are added up: their sum, and how many they are. Larger ones than these
# are counted like other values, so that no sum is too large for the database.
_SUM, _SUMMED = "+", "#"
_MOST_SUMMED = 1 << 40


# Almost all values are simple, and there are thousands in a bundle: these take a short way.
_encode_text = json.encoder.encode_basestring
_encode_other = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode
_NAMED = {"null": None, "true": True, "false": False}


def encode(value: Json) -> str:
    """Return a value as JSON text, equal for equal values alone."""
    kind = type(value)
    if kind is str:
        return _encode_text(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    return str(value) if kind is int else _encode_other(value)


def decode(text: str) -> Json:
    """Return the value of a text that `encode` has made."""
    if text.startswith('"') and "\\" not in text:
        return text[1:-1]
    return _NAMED[text] if text in _NAMED else json.loads(text)


def order(value: Json) -> tuple[bool, float, str]:
    """Return what sorts values of one kind: numbers by size, texts by code point, null last."""
    if isinstance(value, int | float):
        return False, value, ""
    return value is None, 0.0, value if isinstance(value, str) else encode(value)


def value_set(counts: Counts) -> list[Json]:
    """Return the distinct values, sorted, null last."""
    values = [decode(text) for text in counts]
    return sorted(values, key=order) if len(values) > 1 else values


def total(counts: Counts) -> Json:
    """Return the sum of all values, null if there are none but nulls."""
    others = [decode(text) * n for text, n in counts.items() if text not in (_SUM, _SUMMED, "null")]
    return counts.get(_SUM, 0) + sum(others) if others or counts.get(_SUMMED) else None


def greatest(counts: Counts) -> Json:
    """Return the greatest value, null if there is none."""
    return max((value for text in counts if (value := decode(text)) is not None), default=None)


def least(counts: Counts) -> Json:
    """Return the least value, null if there is none."""
    return min((value for text in counts if (value := decode(text)) is not None), default=None)


def common(counts: Counts) -> Json:
    """Return the value that is the same in all inner entities of a group."""
    return decode(next(iter(counts)))


def number(counts: Counts) -> int:
    """Return how many values there are, equal ones each counted."""
    return sum(counts.values())


def distinct_number(counts: Counts) -> int:
    """Return how many different values there are."""
    return len(counts)


def most_frequent(counts: Counts) -> list[Json]:
    """Return the keys of values that count something, the most frequent first."""
    sums: Counter[str] = Counter()
    for text, n in counts.items():
        for key, count in decode(text).items():
            sums[key] += count * n
    return sorted(sums, key=lambda key: (-sums[key], key))


@dataclass(frozen=True)
class Merge:
    """How the inner entities of a list become one, or one for each group of equal values of `group_by`.

    Fields that inner entities have are accumulated by `value_set`, unless `fields` says otherwise; if `only`
    is given, others are dropped. `derived` are further fields: their name, the field whose values they
    accumulate (ENTITIES for the inner entities themselves), and how. Values of `whole` fields are lists that
    count as one value. With `as_they_are` inner entities are not merged; with `omit` documents lack them.
    """

    fields: Mapping[str, Accumulator] = field(default_factory=dict)
    derived: Mapping[str, tuple[str, Accumulator]] = field(default_factory=dict)
    only: bool = False
    drop: frozenset[str] = frozenset()
    group_by: tuple[str, ...] = ()
    whole: frozenset[str] = frozenset()
    as_they_are: bool = False
    omit: bool = False

    def slots(self, listed: str, inner: Inner) -> Iterator[Counted]:
        """Yield what to count of an inner entity."""
        if self.omit:
            return
        if self.as_they_are:
            yield (listed, "", ENTITIES), encode(inner), 1
            return
        group = self._group(inner)
        yield (listed, group, ENTITIES), "null", 1
        for name, value in inner.items():
            if self._keeps(name):
                slot = listed, group, name
                if self.fields.get(name) is total and type(value) is int and abs(value) < _MOST_SUMMED:
                    yield slot, _SUM, value
                    yield slot, _SUMMED, 1
                    continue
                for text in [encode(each) for each in self._values(name, value)] or [_EMPTY]:
                    yield slot, text, 1

    def merged(self, groups: Mapping[str, Mapping[str, Counts]]) -> list[dict[str, Json]]:
        """Return the inner entities of a list: one for each group, or all as they are."""
        if self.as_they_are:
            return [decode(text) for fields in groups.values() for text in sorted(fields[ENTITIES])]
        return [self._entity(groups[group]) for group in sorted(groups)]

    def _entity(self, fields: Mapping[str, Counts]) -> dict[str, Json]:
        entity = {
            name: self.fields.get(name, value_set)(_values_alone(counts))
            for name, counts in fields.items()
            if name != ENTITIES
        }
        derived = {name: how(fields.get(source, {})) for name, (source, how) in self.derived.items()}
        return entity | derived

    def _keeps(self, name: str) -> bool:
        return name in self.fields or not (self.only or name in self.drop)

    def _values(self, name: str, value: Json) -> Iterable[Json]:
        return value if isinstance(value, list) and name not in self.whole else [value]

    def _group(self, inner: Inner) -> str:
        if not self.group_by:
            return _ONE_GROUP
        # A list is a group by its values; their order doesn't matter.
        values = [inner.get(name) for name in self.group_by]
        return encode([sorted(each, key=order) if isinstance(each, list) else each for each in values])


def _values_alone(counts: Counts) -> Counts:
    return {text: n for text, n in counts.items() if text != _EMPTY} if _EMPTY in counts else counts


_DEFAULT = Merge()


class ListCounts:
    """Counts of the values of one list's inner entities, by group and field.

    Entities that have the same inner entities share them, and what is made of them: it must not change.
    """

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, dict[str, int]]] = {}
        self._merged: list[tuple[Merge, list[dict[str, Json]]]] = []

    @classmethod
    def of(cls, counted: Iterable[Counted]) -> "ListCounts":
        """Return counts of what is counted of one list."""
        counts = cls()
        for (_, group, name), text, n in counted:
            of_field = counts._field(group, name)
            of_field[text] = of_field.get(text, 0) + n
        return counts

    def add(self, group: str, name: str, counts: Counts) -> None:
        """Set the counts of one field."""
        self._field(group, name).update(counts)

    def items(self) -> Iterator[tuple[str, str, Counts]]:
        """Yield the counts of each field of each group."""
        for group, fields in self._groups.items():
            for name, counts in fields.items():
                yield group, name, counts

    def merged(self, merge: Merge) -> list[dict[str, Json]]:
        """Return the merged inner entities: the same list each time."""
        for known, entities in self._merged:
            if known is merge:
                return entities
        entities = merge.merged(self._groups)
        self._merged.append((merge, entities))
        return entities

    def __bool__(self) -> bool:
        return bool(self._groups)

    def _field(self, group: str, name: str) -> dict[str, int]:
        return self._groups.setdefault(group, {}).setdefault(name, {})


class Tallies(Mapping[Slot, Counts]):
    """Counts of an entity's values, by slot. Those of a list may be shared with other entities."""

    def __init__(self, lists: Mapping[str, ListCounts]) -> None:
        self.lists = lists

    @classmethod
    def of(cls, counts: Mapping[Slot, Counts]) -> "Tallies":
        """Return any counts in this form."""
        if isinstance(counts, cls):
            return counts
        lists: dict[str, ListCounts] = {}
        for (listed, group, name), of_slot in counts.items():
            lists.setdefault(listed, ListCounts()).add(group, name, of_slot)
        return cls(lists)

    @cached_property
    def _slots(self) -> Mapping[Slot, Counts]:
        return {
            (listed, group, name): counts
            for listed, of_list in self.lists.items()
            for group, name, counts in of_list.items()
        }

    def __getitem__(self, slot: Slot) -> Counts:
        return self._slots[slot]

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots)

    def __len__(self) -> int:
        return len(self._slots)


@dataclass(frozen=True)
class Merges:
    """How an entity's document is made: a Merge for each list that is not merged by the default one."""

    lists: Mapping[str, Merge]

    def merge(self, listed: str) -> Merge:
        """Return how a list is merged."""
        return self.lists.get(listed, _DEFAULT)

    def slots(self, listed: str, inner: Inner) -> Iterator[Counted]:
        """Yield what to count of an inner entity."""
        return self.merge(listed).slots(listed, inner)

    def contents(self, tallies: Mapping[Slot, Counts]) -> dict[str, list[dict[str, Json]]]:
        """Return the lists of a document, which other documents may share: they must not change."""
        lists = Tallies.of(tallies).lists
        return {listed: counts.merged(self.merge(listed)) for listed, counts in lists.items()}
