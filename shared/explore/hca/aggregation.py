"""Merges what several bundles say of one entity into the one document that is searched and shown.

An inner entity that several bundles describe counts once, as the greatest bundle version has it. Then the inner
entities of each list become one, whose fields hold the sorted, distinct values of all; files and cell suspensions
become one for each group. Lists of the entity's own type stay as they are.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.explore.bundle_metadata import Contents, Json
from shared.explore.hca.values import first

Entities = Sequence[Mapping[str, Json]]
Accumulator = Callable[[Entities, str], Json]


def sort_key(value: Json) -> tuple[bool, str | float, str]:
    """Return what sorts values of one kind: numbers by size, texts by code point, null last."""
    if isinstance(value, int | float):
        return value is None, value, ""
    return value is None, 0.0, value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _identity(value: Json) -> str:
    return json.dumps(value, sort_keys=True)


def _values(entities: Entities, name: str) -> Iterable[Json]:
    for entity in entities:
        if name in entity:
            value = entity[name]
            yield from value if isinstance(value, list) else [value]


def value_set(entities: Entities, name: str) -> list[Json]:
    """Return the distinct values of a field, sorted, null last."""
    distinct = {_identity(value): value for value in _values(entities, name)}
    return sorted(distinct.values(), key=sort_key)


def whole_value_set(entities: Entities, name: str) -> list[Json]:
    """Return the distinct values of a field whose values are lists themselves."""
    distinct = {_identity(entity[name]): entity[name] for entity in entities if name in entity}
    return sorted(distinct.values(), key=sort_key)


def total(entities: Entities, name: str) -> Json:
    """Return the sum of a field, null if no entity has a value."""
    present = [entity[name] for entity in entities if entity.get(name) is not None]
    return sum(present) if present else None


def greatest(entities: Entities, name: str) -> Json:
    """Return the greatest value of a field, null if there is none."""
    return max((entity[name] for entity in entities if entity.get(name) is not None), default=None)


def least(entities: Entities, name: str) -> Json:
    """Return the least value of a field, null if there is none."""
    return min((entity[name] for entity in entities if entity.get(name) is not None), default=None)


def common(entities: Entities, name: str) -> Json:
    """Return the value of a field that is the same in all entities of a group."""
    return entities[0][name]


def most_frequent(entities: Entities, name: str) -> list[Json]:
    """Return the keys of a field of counts, the most frequent first."""
    counts: dict[str, int] = {}
    for entity in entities:
        for key, count in entity[name].items():
            counts[key] = counts.get(key, 0) + count
    return sorted(counts, key=lambda key: (-counts[key], key))


def distinct_count(source: str) -> Accumulator:
    """Return an accumulator that counts the distinct values of another field."""
    return lambda entities, _: len({_identity(value) for value in _values(entities, source)})


@dataclass(frozen=True)
class Merge:
    """How the inner entities of a list become one, or one for each group of equal `group_by` fields.

    Fields that entities have are accumulated by `value_set`, unless `fields` says otherwise; if `only` is given,
    others are dropped. Fields of `derived` are added.
    """

    fields: Mapping[str, Accumulator] = field(default_factory=dict)
    derived: Mapping[str, Accumulator] = field(default_factory=dict)
    only: bool = False
    drop: frozenset[str] = frozenset()
    group_by: tuple[str, ...] = ()

    def merge(self, entities: Entities) -> list[dict[str, Json]]:
        """Return the merged entities."""
        groups: dict[str, list[Mapping[str, Json]]] = {}
        for entity in entities:
            groups.setdefault(self._group(entity), []).append(entity)
        return [self._merged(groups[key]) for key in sorted(groups)]

    def _group(self, entity: Mapping[str, Json]) -> str:
        # A set of values is a group: their order doesn't matter.
        values = [entity.get(name) for name in self.group_by]
        return _identity([sorted(each, key=sort_key) if isinstance(each, list) else each for each in values])

    def _merged(self, entities: Entities) -> dict[str, Json]:
        names = dict.fromkeys(name for entity in entities for name in entity)
        kept = [name for name in names if name in self.fields or not (self.only or name in self.drop)]
        merged = {name: self.fields.get(name, value_set)(entities, name) for name in kept}
        return merged | {name: derive(entities, name) for name, derive in self.derived.items()}


_DATES: dict[str, Accumulator] = {
    "submission_date": least,
    "update_date": greatest,
    "last_modified_date": greatest,
    "aggregate_submission_date": least,
    "aggregate_update_date": greatest,
    "aggregate_last_modified_date": greatest,
}
_DEFAULT = Merge()
_MERGES: Mapping[str, Merge] = {
    "donors": Merge(
        fields={"organism_age_range": whole_value_set},
        derived={"donor_count": distinct_count("biomaterial_id")},
    ),
    "cell_suspensions": Merge(
        fields={"total_estimated_cells": total, "total_estimated_cells_redundant": total}, group_by=("organ",)
    ),
    "projects": Merge(
        fields={"estimated_cell_count": greatest},
        drop=frozenset(("project_description", "contact_names", "contributors", "publications")),
    ),
    "files": Merge(
        fields={
            "content_description": value_set,
            "file_format": common,
            "is_intermediate": common,
            "file_source": value_set,
            "size": total,
        },
        derived={"count": lambda entities, _: len(entities), "matrix_cell_count": total},
        only=True,
        group_by=("content_description", "file_format", "is_intermediate"),
    ),
    "imaging_protocols": Merge(fields={"assay_type": most_frequent}),
    "dates": Merge(fields=_DATES, only=True),
    "matrices": Merge(fields={"file": value_set}, only=True),
    "contributed_analyses": Merge(fields={"file": value_set}, only=True),
}
# Lists that aren't merged, because they are of the entity itself; bundles show all of their files.
_OWN: Mapping[str, frozenset[str]] = {
    "files": frozenset(("files",)),
    "cell_suspensions": frozenset(("cell_suspensions",)),
    "samples": frozenset(("samples", "sample_specimens", "sample_cell_lines", "sample_organoids")),
    "projects": frozenset(("projects",)),
    "bundles": frozenset(("files",)),
}


def aggregate(entity_type: str, contributions: Iterable[tuple[str, Contents]]) -> dict[str, Any]:
    """Return the contents of an entity's document, of contributions with the versions of their bundles."""
    lists: dict[str, dict[str, Mapping[str, Json]]] = {}
    for _, contents in sorted(contributions, key=lambda pair: pair[0]):
        for name, entities in contents.items():
            kept = lists.setdefault(name, {})
            # Later versions replace earlier ones.
            kept.update((_entity_key(entity), entity) for entity in entities)
    own = _OWN[entity_type]
    contents = {
        name: list(kept.values()) if name in own else _MERGES.get(name, _DEFAULT).merge(list(kept.values()))
        for name, kept in lists.items()
    }
    return {"contents": contents, **_cell_counts(entity_type, lists)}


def _entity_key(entity: Mapping[str, Json]) -> str:
    # What a description implies has no document.
    return str(first(entity, "document_id") or _identity(entity))


def _cell_counts(entity_type: str, lists: Mapping[str, Mapping[str, Mapping[str, Json]]]) -> dict[str, Json]:
    cells = total(list(lists.get("cell_suspensions", {}).values()), "total_estimated_cells") or 0
    estimate = greatest(list(lists["projects"].values()), "estimated_cell_count")
    effective = estimate if entity_type == "projects" and estimate is not None else cells
    return {"cell_count": cells, "effective_cell_count": effective}
