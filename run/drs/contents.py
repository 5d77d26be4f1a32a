"""The contents of the bundles and collections in one answer, expanded if that is asked for."""

from collections.abc import Collection, Iterable, Mapping
from functools import partial

from run.api.audit_log import noted
from run.api.call import Call
from shared.drs.contents import Contents, Item, collection_items, read_bundle
from shared.drs.limits import DEEPEST, MOST_ITEMS
from shared.drs.objects import BundleObject, Container, find_containers
from shared.errors import RequestTooLarge
from shared.identifiers import Fqid, Kind
from shared.parallel import map_in_threads
from shared.system import Dss
from shared.totals import Total

# Bundles and collections of which one request reads the items at once.
_AT_ONCE = 4
# Bytes of memory that an item takes until it is sent, as Python's objects and as JSON: measured, 2.0 KB.
_MEMORY_OF_ITEM = 2_500
# Items that cost a unit of a request budget together: 0.024 ms of CPU time each (docs/benchmarks/drs.md).
_ITEMS_A_UNIT = 100
# Objects that cost a unit together when they are looked up: some 0.2 ms of CPU time and a read each.
_OBJECTS_A_UNIT = 8


def units_of(objects: int) -> int:
    """Return what it costs to look up so many objects."""
    return -(-objects // _OBJECTS_A_UNIT)


def memory_of(containers: Collection[Container], *, expand: bool) -> int:
    """Return the bytes of memory that the contents of these take at most until they are sent."""
    direct = sum(map(_count, containers))
    return _MEMORY_OF_ITEM * (max(direct, MOST_ITEMS) if expand and containers else direct)


def _count(container: Container) -> int:
    """Return how many items a bundle lists; a collection may have some fragments of one file."""
    return container.head.file_count if isinstance(container, BundleObject) else container.head.item_count


def read_contents(call: Call, containers: Collection[Container], *, expand: bool) -> Contents:
    """Return the items of bundles and collections; with `expand`, those of all in them that the caller reads.

    A container of less than a hundred items costs nothing beside what its request does. Raise RequestTooLarge
    if they are nested too deep, or if more than MOST_ITEMS come to the first list.
    """
    contents = Contents()
    level: Collection[Container] = containers
    for _ in range(DEEPEST):
        _check_count(contents.items.values(), level)
        call.charge(sum(map(_count, level)) // _ITEMS_A_UNIT)
        _read(call.dss, level, contents)
        level = _nested(call, contents.items, level) if expand else ()
        if not level:
            if expand:
                _check_size(containers, contents.items)
            return contents
    raise RequestTooLarge(f"expand: more than {DEEPEST} collections within each other; ask without it")


def _check_count(lists: Iterable[list[Item]], level: Collection[Container]) -> None:
    """Check the number of items before any are read."""
    read = sum(map(len, lists))
    if (read or len(level) > 1) and read + sum(map(_count, level)) > MOST_ITEMS:
        raise _too_many()


def _read(dss: Dss, level: Collection[Container], contents: Contents) -> None:
    read = partial(_items, dss)
    found = map(read, level) if len(level) <= 1 else map_in_threads(read, level, threads=_AT_ONCE)
    for container, (items, total) in zip(level, found, strict=True):
        contents.items[container.fqid] = items
        if total:
            contents.totals[container.fqid] = total


def _items(dss: Dss, container: Container) -> tuple[list[Item], Total | None]:
    if isinstance(container, BundleObject):
        return read_bundle(dss, container.head)
    return collection_items(dss, container.head), None


def _nested(
    call: Call, lists: Mapping[Fqid, list[Item]], level: Collection[Container]
) -> Collection[Container]:
    """Return the bundles and collections in those of a level that are not read yet, if the caller may."""
    items = dict.fromkeys(
        item
        for container in level
        for item in lists[container.fqid]
        if item.kind is not Kind.FILE and item.fqid not in lists
    )
    call.charge(units_of(len(items)))
    found = find_containers(call.dss, items)
    nested = [one for one in found.values() if one.is_there and call.finds(one.resource)]
    for one in nested:
        if one.resource.is_managed:
            noted().read_managed(one.fqid)
    return nested


def _check_size(containers: Collection[Container], lists: Mapping[Fqid, list[Item]]) -> None:
    """Check the number of items in the answer: what is in several collections is in it several times."""
    sizes: dict[Fqid, int] = {}

    def size(fqid: Fqid) -> int:
        if fqid not in sizes:
            sizes[fqid] = sum(1 + size(item.fqid) for item in lists.get(fqid, ()))
        return sizes[fqid]

    direct = max((len(lists[one.fqid]) for one in containers), default=0)
    if sum(size(one.fqid) for one in containers) > max(MOST_ITEMS, direct):
        raise _too_many()


def _too_many() -> RequestTooLarge:
    return RequestTooLarge(
        f"the answer would list more than {MOST_ITEMS:,} objects; ask for fewer, or without expand"
    )
