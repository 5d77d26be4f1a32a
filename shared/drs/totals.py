"""The totals of collections: of those items that everybody may read who may read the collection."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from shared.access import narrowed
from shared.drs.contents import Contents, Item, bundle_total, collection_items
from shared.drs.limits import DEEPEST, MOST_ITEMS
from shared.drs.objects import BundleObject, CollectionObject, DataObject, FileObject, find_items
from shared.errors import RequestTooLarge
from shared.identifiers import Fqid
from shared.parallel import map_in_threads
from shared.system import Dss
from shared.totals import Total

# Bundles of which one request reads the files at once.
_BUNDLES_AT_ONCE = 4
# Items that are looked up at once; each takes some 2 KB of memory meanwhile.
_ITEMS_AT_ONCE = 5_000
# Begins the name of a person who alone reads something; names of groups have no spaces.
_OWNER = "owner "


@dataclass(frozen=True)
class _Counted:
    """A total; it is complete if no item is left out, neither here nor further down."""

    total: Total
    is_complete: bool


class CollectionTotals:
    """The totals of the collections in one answer; threads may not share it.

    `contents` has been read for the answer, and is not read again. `charge` is called with the number of
    items before they are looked up.
    """

    def __init__(self, dss: Dss, contents: Contents, charge: Callable[[int], None]) -> None:
        self._dss = dss
        self._contents = contents
        self._charge = charge
        self._left = MOST_ITEMS
        self._known: dict[Fqid, _Counted] = {}

    def of(self, found: CollectionObject) -> Total:
        """Return the total of a collection, by a read for each of its items; it is kept if it is complete.

        An item does not count if it was deleted or removed for good, or if some reader of the collection may
        not read it. Raise RequestTooLarge if collections within it are nested too deep, or have too many
        items together; those in the middle have to be asked for first.
        """
        return self._of(found, 1).total

    def _of(self, found: CollectionObject, depth: int) -> _Counted:
        if found.fqid not in self._known:
            self._known[found.fqid] = self._kept(found) or self._count(found, depth)
        return self._known[found.fqid]

    def _kept(self, found: CollectionObject) -> _Counted | None:
        """Return the total that was kept, unless the collection has got further readers since then.

        One that was kept without its readers is made anew.
        """
        head = found.head
        if head.total and head.total_readers and self._is_for_all(found, head.total_readers):
            return _Counted(head.total, is_complete=True)
        return None

    def _is_for_all(self, found: CollectionObject, audience: frozenset[str]) -> bool:
        """Return whether all who may read a collection are in the audience of something in it.

        Its owner is, of what groups read: who links to something may read it at that moment.
        """
        own = _audience(found)
        if not found.resource.readers:
            return audience == own or not any(name.startswith(_OWNER) for name in audience)
        default = self._dss.policy.default
        return narrowed((own, audience), default) == narrowed((own,), default)

    def _count(self, found: CollectionObject, depth: int) -> _Counted:
        if depth > DEEPEST:
            raise RequestTooLarge(
                f"collection {found.fqid}: more than {DEEPEST} collections contain it; ask for this one first"
            )
        items = self._items(found)
        totals: list[_Counted] = []
        readers: set[frozenset[str]] = set()
        for start in range(0, len(items), _ITEMS_AT_ONCE):
            part = items[start : start + _ITEMS_AT_ONCE]
            self._charge(len(part))
            counting = [
                one
                for one in find_items(self._dss, part)
                if one.is_there and self._is_for_all(found, _audience(one))
            ]
            readers.update(map(_audience, counting))
            totals.extend(self._totals(counting, depth))
        total = Total.of_items(one.total for one in totals)
        is_complete = len(totals) == len(items) and all(one.is_complete for one in totals)
        if is_complete:
            self._dss.catalog.collections.keep_total(
                found.fqid, total, narrowed(readers, self._dss.policy.default)
            )
        return _Counted(total, is_complete)

    def _items(self, found: CollectionObject) -> Sequence[Item]:
        if found.fqid in self._contents.items:
            return self._contents.items[found.fqid]
        self._spend(found, found.head.item_count)
        return collection_items(self._dss, found.head)

    def _totals(self, counting: Sequence[DataObject], depth: int) -> Iterator[_Counted]:
        older = []
        for one in counting:
            match one:
                case FileObject(record=record):
                    yield _Counted(Total.of_content(record.size, record.checksums), is_complete=True)
                case BundleObject(head=head):
                    if total := head.total or self._contents.totals.get(head.fqid):
                        yield _Counted(total, is_complete=True)
                    else:
                        self._spend(one, head.file_count)
                        older.append(head)
                case CollectionObject():
                    yield self._of(one, depth + 1)
        if older:
            work = partial(bundle_total, self._dss)
            for total in map_in_threads(work, older, threads=_BUNDLES_AT_ONCE):
                yield _Counted(total, is_complete=True)

    def _spend(self, what: DataObject, items: int) -> None:
        """Count items before they are read for totals alone. Raise RequestTooLarge for too many."""
        if items > self._left:
            raise RequestTooLarge(
                f"{what.fqid}: with it, more than {MOST_ITEMS:,} objects are within what was asked for; ask "
                "for this one first"
            )
        self._left -= items


def _audience(found: DataObject) -> frozenset[str]:
    """Return the readers of an object, none for the default; of what one person reads, a name for them."""
    what = found.resource
    return what.readers or (frozenset((_OWNER + what.owner,)) if what.owner else frozenset())
