"""Totals of collections: how much is read for them, once, and at most."""

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from shared.access import Resource
from shared.catalog import CollectionHead
from shared.drs import totals
from shared.drs.contents import Contents, Item
from shared.drs.limits import MOST_ITEMS
from shared.drs.objects import CollectionObject
from shared.drs.totals import CollectionTotals
from shared.errors import RequestTooLarge
from shared.identifiers import Fqid, Kind
from shared.totals import Total

VERSION = "2026-01-12T093000.000000Z"
OWNER, OTHER = "owner@example.org", "other@example.org"
KEPT: list[Fqid] = []


def keep_total(fqid: Fqid, *_: object) -> None:
    KEPT.append(fqid)


DSS: Any = SimpleNamespace(
    policy=SimpleNamespace(default="public"),
    catalog=SimpleNamespace(collections=SimpleNamespace(keep_total=keep_total)),
)


def collection(
    number: int,
    *readers: str,
    owner: str = OWNER,
    is_there: bool = True,
    items: int = 1,
    total: Total | None = None,
) -> CollectionObject:
    fqid = Fqid(f"5f6a0bd3-6a64-4f3e-9c0e-{number:012d}", VERSION)
    return CollectionObject(
        fqid=fqid,
        resource=Resource(name="", owner=owner, readers=frozenset(readers)),
        is_there=is_there,
        head=CollectionHead(fqid=fqid, owner=owner, item_count=items, page_count=1, digest="", total=total),
    )


def item(of: CollectionObject) -> Item:
    return Item(str(of.fqid), Kind.COLLECTION, of.fqid)


class World:
    """Collections by what they link to; `read` are those of which the items were read."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, links: Mapping[CollectionObject, list[CollectionObject]]
    ) -> None:
        self.read: list[Fqid] = []
        self.charged: list[int] = []
        known = {one.fqid: one for one in (*links, *(one for found in links.values() for one in found))}
        within = {one.fqid: [item(each) for each in found] for one, found in links.items()}

        def items(_: object, head: CollectionHead) -> list[Item]:
            self.read.append(head.fqid)
            return within.get(head.fqid, [])

        def found(_: object, items: Iterable[Item]) -> list[CollectionObject]:
            return [known[each.fqid] for each in items]

        monkeypatch.setattr(totals, "collection_items", items)
        monkeypatch.setattr(totals, "find_items", found)
        KEPT.clear()

    def totals(self, contents: Contents) -> CollectionTotals:
        return CollectionTotals(DSS, contents, self.charged.append)


def test_what_was_read_is_not_read_again_and_what_is_in_several_only_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outer, left, right, shared = map(collection, range(4))
    world = World(monkeypatch, {outer: [left, right], left: [shared], right: [shared]})

    world.totals(Contents(items={outer.fqid: [item(left), item(right)]})).of(outer)

    assert world.read == [left.fqid, shared.fqid, right.fqid]
    assert sum(world.charged) == 4
    assert set(KEPT) == {one.fqid for one in (outer, left, right, shared)}


def test_a_total_that_lacks_something_further_down_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    outer, inner, other, gone = (*map(collection, range(3)), collection(3, is_there=False))
    world = World(monkeypatch, {outer: [inner, other], inner: [gone]})

    world.totals(Contents()).of(outer)

    assert [str(one) for one in KEPT] == [str(other.fqid)]


def test_more_items_than_one_request_may_read_are_refused_before_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outer, one, two = collection(0), collection(1, items=MOST_ITEMS), collection(2)
    world = World(monkeypatch, {outer: [one, two]})

    with pytest.raises(RequestTooLarge, match=str(two.fqid)):
        world.totals(Contents(items={outer.fqid: [item(one), item(two)]})).of(outer)

    assert world.read == [one.fqid]


def test_what_is_small_is_still_counted_after_something_was_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    large, small = collection(0, items=MOST_ITEMS + 1), collection(1)
    totals = World(monkeypatch, {large: [], small: []}).totals(Contents())

    with pytest.raises(RequestTooLarge):
        totals.of(large)

    assert totals.of(small).size == 0


@pytest.mark.parametrize(
    ("readers", "owner", "inner_readers", "counts"),
    [
        ((), OWNER, (), True),
        ((), OTHER, (), False),
        # Who owns the outer one was in this group when they linked to it.
        ((), OTHER, ("lab",), True),
        (("lab",), OTHER, ("lab", "dss"), True),
        (("lab", "dss"), OTHER, ("lab",), False),
        (("lab",), OWNER, (), False),
        (("public",), OTHER, ("signed-in",), False),
        (("lab",), OTHER, ("signed-in",), True),
    ],
)
def test_what_all_readers_may_read_counts(
    monkeypatch: pytest.MonkeyPatch,
    readers: tuple[str, ...],
    owner: str,
    inner_readers: tuple[str, ...],
    counts: bool,
) -> None:
    outer, inner = collection(0, *readers), collection(1, *inner_readers, owner=owner)

    World(monkeypatch, {outer: [inner], inner: []}).totals(Contents()).of(outer)

    assert (outer.fqid in KEPT) == counts


def test_a_total_that_was_kept_without_its_readers_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    older = collection(0, "public", total=Total(5, {}))
    world = World(monkeypatch, {older: []})

    assert world.totals(Contents()).of(older).size == 0
    assert world.read == KEPT == [older.fqid]
