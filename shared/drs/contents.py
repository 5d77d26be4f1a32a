"""The contents of bundles and collections, with their sizes and checksums."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from shared.catalog import BundleHead, CollectionHead
from shared.collections import lines
from shared.drs.limits import DEEPEST
from shared.drs.names import legal_names
from shared.errors import RequestTooLarge
from shared.identifiers import Fqid, Kind
from shared.links import Target, target_of
from shared.parallel import map_in_threads
from shared.system import Dss
from shared.totals import Total

# Bundles of which one request reads the files at once.
_BUNDLES_AT_ONCE = 4


@dataclass(frozen=True)
class Item:
    """An object in a bundle or collection, by the name that it has there."""

    name: str
    kind: Kind
    fqid: Fqid


def bundle_items(dss: Dss, head: BundleHead) -> list[Item]:
    """Return the files of a bundle; one read for each page of files. Raise CatalogBroken."""
    files = dss.catalog.bundles.files(head, 0, head.file_count)
    names = legal_names([file.name for file in files])
    return [
        Item(name, Kind.FILE, Fqid(file.uuid, file.version)) for name, file in zip(names, files, strict=True)
    ]


def collection_items(dss: Dss, head: CollectionHead) -> list[Item]:
    """Return what the links of a collection lead to, each once; one read for each page. Raise CatalogBroken.

    A link to a fragment leads to its file. They have no names, so their ids are their names.
    """
    return [Item(str(target.fqid), target.kind, target.fqid) for target in _targets(dss, head)]


def _targets(dss: Dss, head: CollectionHead) -> list[Target]:
    _, *links = lines(dss.catalog.collections.pages(head))
    return list(dict.fromkeys(map(target_of, links)))


def bundle_total(dss: Dss, head: BundleHead) -> Total:
    """Return the total of a bundle, which its head has; of an older one it is computed, and kept."""
    if head.total:
        return head.total
    files = dss.catalog.bundles.files(head, 0, head.file_count)
    total = Total.of_items(Total.of_content(file.size, file.checksums) for file in files)
    dss.catalog.bundles.keep_total(head.fqid, total)
    return total


def collection_total(dss: Dss, head: CollectionHead, depth: int = 1) -> Total:
    """Return the total of a collection: it is computed once, by a read for each of its items, and kept.

    Items that were removed for good since they were linked do not count. Raise RequestTooLarge if
    collections within it are nested too deep; those in the middle have to be asked for first.
    """
    if head.total:
        return head.total
    if depth > DEEPEST:
        raise RequestTooLarge(
            f"collection {head.fqid}: more than {DEEPEST} collections contain it; ask for this one first"
        )
    totals = _totals(dss, _targets(dss, head), depth)
    total = Total.of_items(totals)
    dss.catalog.collections.keep_total(head.fqid, total)
    return total


def _totals(dss: Dss, targets: Sequence[Target], depth: int) -> Iterator[Total]:
    by_kind = {kind: [target.fqid for target in targets if target.kind is kind] for kind in Kind}
    catalog = dss.catalog
    for record in catalog.files.get_many(by_kind[Kind.FILE]).values():
        yield Total.of_content(record.size, record.checksums)
    bundles = catalog.bundles.get_many(by_kind[Kind.BUNDLE]).values()
    yield from (head.total for head in bundles if head.total)
    older = [head for head in bundles if not head.total]
    if older:
        yield from map_in_threads(partial(bundle_total, dss), older, threads=_BUNDLES_AT_ONCE)
    for head in catalog.collections.get_many(by_kind[Kind.COLLECTION]).values():
        yield collection_total(dss, head, depth + 1)
