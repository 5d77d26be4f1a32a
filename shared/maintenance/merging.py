"""What is known and what is there, side by side: several ordered streams, read as one."""

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
    """Yield every key that a stream has, in order: what is known of it, and what was found by whom.

    The streams are of keys and items; each is in order of its keys, and has a key once. Nothing is kept but
    the next item of each.
    """
    streams: list[Iterator[tuple[str, str, Known | None, Found | None]]]
    streams = [((key, "", item, None) for key, item in known)]
    streams += [_named(name, items) for name, items in found.items()]
    for key, rows in groupby(heapq.merge(*streams, key=lambda row: row[0]), lambda row: row[0]):
        of_key: Known | None = None
        by_name: dict[str, Found] = {}
        for _, name, one, other in rows:
            of_key = of_key if one is None else one
            if other is not None:
                by_name[name] = other
        yield key, of_key, by_name


def _named(
    name: str, items: Iterator[tuple[str, Found]]
) -> Iterator[tuple[str, str, Known | None, Found | None]]:
    for key, item in items:
        yield key, name, None, item


def by_key(items: Iterator[Item], key: Callable[[Item], str]) -> Iterator[tuple[str, Item]]:
    """Yield items with their keys."""
    return ((key(item), item) for item in items)
