"""What happened to a bundle version, as the catalogue records it."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.explore.bundle_metadata import Contents, Contribution

EntityKey = tuple[str, str]


def key_columns(keys: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """Return the first parts of pairs, as the types of entities, and the second ones, as their ids."""
    pairs = list(keys)
    return [first for first, _ in pairs], [second for _, second in pairs]


@dataclass(frozen=True)
class Said:
    """What a bundle version says of its entities, in a form in which each inner entity is there once.

    The inner entities of a bundle are repeated in many of its contributions.
    """

    inner: Sequence[dict[str, Any]] = field(repr=False)
    entities: Mapping[str, Mapping[str, Mapping[str, Sequence[int]]]] = field(repr=False)

    @classmethod
    def of(cls, contributions: Sequence[Contribution]) -> "Said":
        """Return the contributions of a bundle."""
        numbers: dict[str, int] = {}
        inner: list[dict[str, Any]] = []
        # Many contributions share one object, which is encoded once. It lives as long as they do.
        known: dict[int, int] = {}

        def number(entity: dict[str, Any]) -> int:
            if id(entity) not in known:
                key = json.dumps(entity, sort_keys=True)
                if key not in numbers:
                    numbers[key] = len(inner)
                    inner.append(entity)
                known[id(entity)] = numbers[key]
            return known[id(entity)]

        entities: dict[str, dict[str, Any]] = {}
        for each in contributions:
            lists = {name: [number(entity) for entity in listed] for name, listed in each.contents.items()}
            entities.setdefault(each.entity_type, {})[each.entity_id] = lists
        return cls(inner, entities)

    @classmethod
    def parse(cls, text: str) -> "Said":
        """Return what `encode` has made a text of."""
        inner, entities = json.loads(text)
        return cls(inner, entities)

    def encode(self) -> str:
        """Return a text."""
        return json.dumps([self.inner, self.entities], ensure_ascii=False, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """The digest by which the same is known again; it protects against nobody."""
        return hashlib.md5(self.encode().encode(), usedforsecurity=False).hexdigest()

    @property
    def keys(self) -> list[EntityKey]:
        """The entities that the bundle version says something of."""
        return [(kind, entity_id) for kind, entities in self.entities.items() for entity_id in entities]

    def contents(self, key: EntityKey) -> Contents:
        """Return what it says of one of them."""
        kind, entity_id = key
        lists = self.entities[kind][entity_id]
        return {name: [self.inner[number] for number in numbers] for name, numbers in lists.items()}
