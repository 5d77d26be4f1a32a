"""Merge ordered streams: what is known and what was found, side by side."""

import heapq
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import TypeVar

Known = TypeVar("Known")
Found = TypeVar("Found")
Item = TypeVar("Item")


def side_by_side(
    known: Iterator[tuple[str, Known]], found: Mapping[str, Iterator[tuple[str, Found]]]
) -> Iterator[tuple[str, Known | None, dict[str, Found]]]:
    """Yield every key of all streams, in order, with its known item, and the items found by stream name.

    Each stream yields keys with items, in order of key, each key once. Only the next item of each is in
    memory. For example `[a, b]` known and `{"gcp": [b, c]}` found yield `a` (known only), `b` (both), `c`
    (found only).
    """
    streams: list[Iterator[tuple[str, str, Known | None, Found | None]]]
    streams = [((key, "", item, None) for key, item in known)]
    streams += [_named(name, items) for name, items in found.items()]
    for key, rows in groupby(heapq.merge(*streams, key=lambda row: row[0]), lambda row: row[0]):
        known_item: Known | None = None
        found_items: dict[str, Found] = {}
        for _, name, item, found_item in rows:
            known_item = known_item if item is None else item
            if found_item is not None:
                found_items[name] = found_item
        yield key, known_item, found_items


def _named(
    name: str, items: Iterator[tuple[str, Found]]
) -> Iterator[tuple[str, str, Known | None, Found | None]]:
    for key, item in items:
        yield key, name, None, item


def by_key(items: Iterator[Item], key: Callable[[Item], str]) -> Iterator[tuple[str, Item]]:
    """Yield items with their keys."""
    return ((key(item), item) for item in items)
