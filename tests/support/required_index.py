"""The index that Firestore requires for a query, by the rules of its documentation; the emulator needs none.

https://cloud.google.com/firestore/docs/query-data/index-overview: fields compared for equality or membership
come first, in any order among themselves, then those that are ordered or ranged over, in order. A query of
one field is served by that field's own index, unless the field is exempted.
"""

from dataclasses import dataclass
from itertools import chain, product

from google.cloud.firestore_v1.types import StructuredQuery

from shared.catalog.indexes import Exemption, Index

_EQUALITY = {StructuredQuery.FieldFilter.Operator.EQUAL, StructuredQuery.FieldFilter.Operator.IN}
_MEMBERSHIP = {
    StructuredQuery.FieldFilter.Operator.ARRAY_CONTAINS,
    StructuredQuery.FieldFilter.Operator.ARRAY_CONTAINS_ANY,
}
_ORDER = {
    StructuredQuery.Direction.ASCENDING: "ASCENDING",
    StructuredQuery.Direction.DESCENDING: "DESCENDING",
}


@dataclass(frozen=True)
class RequiredIndex:
    """The fields of an index, with modes: those of `any_order` first, then those of `in_order`."""

    collection: str
    any_order: frozenset[tuple[str, str]]
    in_order: tuple[tuple[str, str], ...]

    @property
    def fields(self) -> set[str]:
        """The names of all fields."""
        return {name for name, _ in (*self.any_order, *self.in_order)}

    def served_by(self, index: Index) -> bool:
        """Return whether a composite index serves the query."""
        first, rest = index.fields[: len(self.any_order)], index.fields[len(self.any_order) :]
        return (
            index.collection == self.collection
            and frozenset(first) == self.any_order
            and rest == self.in_order
        )

    def hindered_by(self, exemption: Exemption) -> bool:
        """Return whether the exemption takes away the index that a query of one field requires."""
        return (
            self.collection == exemption.collection
            and len(self.fields) == 1
            and exemption.field in self.fields
        )


def required_indexes(query: StructuredQuery) -> set[RequiredIndex]:
    """Return the indexes that a query requires, one for each of its alternatives.

    Raise AssertionError if the form of the query is unknown.
    """
    return {_required(query, conditions) for conditions in _alternatives(query.where)}


def _required(query: StructuredQuery, conditions: list[StructuredQuery.FieldFilter]) -> RequiredIndex:
    (source,) = query.from_
    any_order: set[tuple[str, str]] = set()
    ranged: list[str] = []
    for condition in conditions:
        name = condition.field.field_path
        if condition.op in _EQUALITY:
            any_order.add((name, "ASCENDING"))
        elif condition.op in _MEMBERSHIP:
            any_order.add((name, "CONTAINS"))
        elif name not in ranged:
            ranged.append(name)
    in_order = [
        (order.field.field_path, _ORDER[order.direction])
        for order in query.order_by
        # Every index ends with the name of the document.
        if order.field.field_path != "__name__"
    ]
    in_order += [(name, "ASCENDING") for name in ranged if name not in dict(in_order)]
    return RequiredIndex(source.collection_id, frozenset(any_order), tuple(in_order))


def _alternatives(where: StructuredQuery.Filter) -> list[list[StructuredQuery.FieldFilter]]:
    """Return the conditions of a query in disjunctive normal form, as Firestore serves it."""
    if "composite_filter" in where:
        parts = [_alternatives(part) for part in where.composite_filter.filters]
        if where.composite_filter.op == StructuredQuery.CompositeFilter.Operator.OR:
            return [conditions for part in parts for conditions in part]
        return [list(chain(*chosen)) for chosen in product(*parts)]
    if "field_filter" in where:
        return [[where.field_filter]]
    assert not StructuredQuery.Filter.pb(where).ByteSize(), f"a filter of a kind not known here: {where}"
    return [[]]
