"""What several bundle versions together say of one entity."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.explore.bundle_metadata import Contents
from shared.explore.tallies import Counted, Counts, Inner, Merges, Slot, encode

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
    """Return by what an inner entity is told from others: its document's id, or all of it if it has none."""
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

    def slots(self, merges: Merges, listed: str, inner: Inner) -> list[Counted]:
        """Return what to count of an inner entity, which must not change meanwhile."""
        merge = merges.merge(listed)
        key = id(merge), id(inner), listed
        if key not in self._known:
            self._known[key] = inner, list(merge.slots(listed, inner))
        return self._known[key][1]


def tally(merges: Merges, shares: Iterable[Share], known: Known | None = None) -> Mapping[Slot, Counts]:
    """Count the values of an entity's inner entities: each as the bundle with the greatest version has it.

    `known` is shared by the entities of a bundle, and spares work.
    """
    known = known or Known()
    winners: dict[InnerKey, Inner] = {}
    for share in sorted(shares, key=lambda each: (each.version, each.uuid)):
        winners.update(inner_entities(share.contents))
    counts: dict[Slot, dict[str, int]] = {}
    for (listed, _), inner in winners.items():
        for slot, text, n in known.slots(merges, listed, inner):
            of_slot = counts.setdefault(slot, {})
            of_slot[text] = of_slot.get(text, 0) + n
    return counts
