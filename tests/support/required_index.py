"""The index that Firestore requires for a query, by the rules of its documentation; the emulator needs none.

https://cloud.google.com/firestore/docs/query-data/index-overview: fields compared for equality or membership
come first, in any order among themselves, then those that are ordered or ranged over, in order. A query of
one field is served by that field's own index, if it has one, and a query that only compares several for
equality by those of each, merged. Without a condition or an order, a collection's documents are read by name.
"""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain, product

from google.cloud.firestore_v1.types import StructuredQuery

from shared.catalog.indexes import FieldIndex, Index

_EQUALITY = {StructuredQuery.FieldFilter.Operator.EQUAL, StructuredQuery.FieldFilter.Operator.IN}
_MEMBERSHIP = {
    StructuredQuery.FieldFilter.Operator.ARRAY_CONTAINS,
    StructuredQuery.FieldFilter.Operator.ARRAY_CONTAINS_ANY,
}
_ORDER = {
    StructuredQuery.Direction.ASCENDING: "ASCENDING",
    StructuredQuery.Direction.DESCENDING: "DESCENDING",
}
# Every index ends with the name of the document, in the order of the field before it.
_NAME = "__name__"


@dataclass(frozen=True)
class RequiredIndex:
    """The fields of an index, with modes: those of `any_order` first, then those of `in_order`.

    `across`: of all collections of this name.
    """

    collection: str
    any_order: frozenset[tuple[str, str]]
    in_order: tuple[tuple[str, str], ...]
    across: bool = False

    @property
    def fields(self) -> set[str]:
        """The names of all fields."""
        return {name for name, _ in (*self.any_order, *self.in_order)}

    @property
    def single(self) -> frozenset[FieldIndex]:
        """The indexes of single fields that serve the query together; none if it needs a composite one."""
        if len(self.fields) > 1 and (self.in_order or any(mode == "CONTAINS" for _, mode in self.any_order)):
            return frozenset()
        # A field that is compared and ordered by needs the index of the order.
        modes = dict(self.any_order) | dict(self.in_order)
        return frozenset(
            FieldIndex(self.collection, name, mode, across=self.across) for name, mode in modes.items()
        )

    def served_by(self, index: Index) -> bool:
        """Return whether a composite index serves the query."""
        first, rest = index.fields[: len(self.any_order)], index.fields[len(self.any_order) :]
        return (
            not self.across
            and index.collection == self.collection
            and frozenset(first) == self.any_order
            and rest == self.in_order
        )

    def uses(
        self, indexes: Collection[Index], fields: Collection[FieldIndex]
    ) -> set[Index | FieldIndex] | None:
        """Return which indexes serve the query: a composite one, or those of fields; None if none does."""
        composite = {index for index in indexes if self.served_by(index)}
        if composite and len(self.fields) > 1:
            return {*composite}
        # Without a field, documents are read by name.
        is_served = self.single <= set(fields) and bool(self.single or not self.fields)
        return {*self.single} if is_served else None


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
        elif name != _NAME and name not in ranged:
            ranged.append(name)
    in_order = [
        (order.field.field_path, _ORDER[order.direction])
        for order in query.order_by
        if order.field.field_path != _NAME
    ]
    by_name = [_ORDER[order.direction] for order in query.order_by if order.field.field_path == _NAME]
    last = in_order[-1][1] if in_order else "ASCENDING"
    assert by_name in ([], [last]), f"an index in which names have another order than {last}: {query}"
    in_order += [(name, "ASCENDING") for name in ranged if name not in dict(in_order)]
    return RequiredIndex(
        source.collection_id, frozenset(any_order), tuple(in_order), across=source.all_descendants
    )


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
