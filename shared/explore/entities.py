"""What several bundle versions together say of one entity."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from shared.explore.bundle_metadata import Contents
from shared.explore.tallies import Counted, Inner, ListCounts, Merges, Tallies, encode

# Documents name at most so many of their bundles; they are found by each of them.
MOST_BUNDLES = 100

# Documents of bundles have at most so many of their files, on a page and alone: there may be thousands, and
# a page has many bundles. All of them are entities of their own, and the whole list is searched.
FILES_ON_A_PAGE, FILES_ALONE = 100, 1000
_BUNDLES, _FILES = "bundles", "files"

# An inner entity is the same in several bundles if it is of the same list and has the same id.
InnerKey = tuple[str, str]


@dataclass(frozen=True)
class Share:
    """What the newest version of one bundle says of an entity."""

    uuid: str
    version: str
    labels: frozenset[str]
    contents: Contents = field(repr=False)


def shortened(entity_type: str, document: Mapping[str, Any], most: int) -> Mapping[str, Any]:
    """Return a document with at most `most` of a bundle's files; `files_total` then has their number."""
    contents = document["contents"]
    total = len(contents.get(_FILES, ()))
    if entity_type != _BUNDLES or total <= most:
        return document
    return {**document, "contents": {**contents, _FILES: contents[_FILES][:most]}, "files_total": total}


def inner_key(listed: str, inner: Inner) -> InnerKey:
    """Return the key of an inner entity: its list, and its document's id, or all of it if it has none."""
    return listed, str(inner.get("document_id") or encode(inner))


def inner_entities(contents: Contents) -> Iterator[tuple[InnerKey, Inner]]:
    """Yield all inner entities of a contribution."""
    for listed, entities in contents.items():
        for inner in entities:
            yield inner_key(listed, inner), inner


class Known:
    """What was to be counted of inner entities: those of a bundle are repeated in many of its entities."""

    def __init__(self) -> None:
        # By identity; the inner entity is kept with it, so that no other gets its id.
        self._known: dict[tuple[int, int, str], tuple[Inner, list[Counted]]] = {}

        self._keys: dict[tuple[int, str], tuple[Inner, InnerKey]] = {}
        self._counts: dict[tuple[int, str, tuple[int, ...]], ListCounts] = {}

    def key(self, listed: str, inner: Inner) -> InnerKey:
        """Return the key of an inner entity, which must not change meanwhile."""
        place = id(inner), listed
        if place not in self._keys:
            self._keys[place] = inner, inner_key(listed, inner)
        return self._keys[place][1]

    def slots(self, merges: Merges, listed: str, inner: Inner) -> list[Counted]:
        """Return what to count of an inner entity, which must not change meanwhile."""
        merge = merges.merge(listed)
        key = id(merge), id(inner), listed
        if key not in self._known:
            self._known[key] = inner, list(merge.slots(listed, inner))
        return self._known[key][1]

    def counts(self, merges: Merges, listed: str, inner: Collection[Inner]) -> ListCounts:
        """Return the counts of a list: the same for the same inner entities."""
        key = id(merges.merge(listed)), listed, tuple(map(id, inner))
        if key not in self._counts:
            slots = (self.slots(merges, listed, each) for each in inner)
            self._counts[key] = ListCounts.of(chain.from_iterable(slots))
        return self._counts[key]


def tally(merges: Merges, shares: Iterable[Share], known: Known | None = None) -> Tallies:
    """Count the values of an entity's inner entities: each as the bundle with the greatest version has it.

    `known` is shared by the entities of a bundle, and spares work.
    """
    known = known or Known()
    winners: dict[str, dict[InnerKey, Inner]] = {}
    for share in sorted(shares, key=lambda each: (each.version, each.uuid)):
        for listed, entities in share.contents.items():
            winners.setdefault(listed, {}).update((known.key(listed, inner), inner) for inner in entities)
    counts = {listed: known.counts(merges, listed, of_list.values()) for listed, of_list in winners.items()}
    return Tallies({listed: of_list for listed, of_list in counts.items() if of_list})
