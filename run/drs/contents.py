"""The contents of the bundles and collections in one answer, expanded if that is asked for."""

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from itertools import chain

from run.api.audit_log import noted
from run.api.call import Call
from shared.drs.contents import Item, bundle_items, collection_items
from shared.drs.limits import DEEPEST, MOST_ITEMS
from shared.drs.objects import BundleObject, Container, find_containers
from shared.errors import RequestTooLarge
from shared.identifiers import Fqid, Kind
from shared.parallel import map_in_threads
from shared.system import Dss

# Bundles and collections of which one request reads the items at once.
_AT_ONCE = 4
# Bytes of memory that an item takes until it is sent, as Python's objects and as JSON: measured, 2.0 KB.
_MEMORY_OF_ITEM = 2_500

Lists = Mapping[Fqid, list[Item]]


def memory_of(containers: Collection[Container], *, expand: bool) -> int:
    """Return the bytes of memory that the contents of these take at most until they are sent."""
    direct = sum(map(_count, containers))
    return _MEMORY_OF_ITEM * (max(direct, MOST_ITEMS) if expand and containers else direct)


def _count(container: Container) -> int:
    """Return how many items a bundle lists; a collection may have some fragments of one file."""
    return container.head.file_count if isinstance(container, BundleObject) else container.head.item_count


def read_contents(call: Call, containers: Collection[Container], *, expand: bool) -> Lists:
    """Return the items of bundles and collections; with `expand`, those of all in them that the caller reads.

    Raise RequestTooLarge if they are nested too deep, or if more than MOST_ITEMS come to the first list.
    """
    lists: dict[Fqid, list[Item]] = {}
    level: Collection[Container] = containers
    for _ in range(DEEPEST):
        _check_count(chain(lists.values()), level)
        lists.update(_read(call.dss, level))
        level = _nested(call, lists, level) if expand else ()
        if not level:
            _check_size(containers, lists)
            return lists
    raise RequestTooLarge(f"expand: more than {DEEPEST} collections within each other; ask without it")


def _check_count(lists: Iterable[list[Item]], level: Collection[Container]) -> None:
    """Check the number of items before any are read."""
    read = sum(map(len, lists))
    if (read or len(level) > 1) and read + sum(map(_count, level)) > MOST_ITEMS:
        raise _too_many()


def _read(dss: Dss, level: Collection[Container]) -> Iterable[tuple[Fqid, list[Item]]]:
    read = partial(_items, dss)
    return map(read, level) if len(level) <= 1 else map_in_threads(read, level, threads=_AT_ONCE)


def _items(dss: Dss, container: Container) -> tuple[Fqid, list[Item]]:
    if isinstance(container, BundleObject):
        return container.fqid, bundle_items(dss, container.head)
    return container.fqid, collection_items(dss, container.head)


def _nested(call: Call, lists: Lists, level: Collection[Container]) -> Collection[Container]:
    """Return the bundles and collections in those of a level that are not read yet, if the caller may."""
    items = dict.fromkeys(
        item
        for container in level
        for item in lists[container.fqid]
        if item.kind is not Kind.FILE and item.fqid not in lists
    )
    found = find_containers(call.dss, items)
    nested = [one for one in found.values() if one.is_there and call.finds(one.resource)]
    for one in nested:
        if one.resource.is_managed:
            noted().read_managed(one.fqid)
    return nested


def _check_size(containers: Collection[Container], lists: Lists) -> None:
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
