"""The contents of bundles and collections, and the totals of bundles."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.catalog import BundleHead, CollectionHead, PagedFile
from shared.collections import lines
from shared.drs.names import legal_names
from shared.identifiers import Fqid, Kind
from shared.links import target_of
from shared.system import Dss
from shared.totals import Total


@dataclass(frozen=True)
class Item:
    """An object in a bundle or collection, by the name that it has there."""

    name: str
    kind: Kind
    fqid: Fqid


@dataclass(frozen=True)
class Contents:
    """What was read: the items of bundles and collections, and the totals of these bundles."""

    items: dict[Fqid, list[Item]] = field(default_factory=dict)
    totals: dict[Fqid, Total] = field(default_factory=dict)


def read_bundle(dss: Dss, head: BundleHead) -> tuple[list[Item], Total]:
    """Return the files of a bundle, and its total; one read for each page of files. Raise CatalogBroken."""
    files = dss.catalog.bundles.files(head, 0, head.file_count)
    names = legal_names([file.name for file in files])
    items = [
        Item(name, Kind.FILE, Fqid(file.uuid, file.version)) for name, file in zip(names, files, strict=True)
    ]
    return items, head.total or _new_total(dss, head, files)


def bundle_total(dss: Dss, head: BundleHead) -> Total:
    """Return the total of a bundle, which its head has; of an older one it is computed, and kept."""
    return head.total or _new_total(dss, head, dss.catalog.bundles.files(head, 0, head.file_count))


def _new_total(dss: Dss, head: BundleHead, files: Sequence[PagedFile]) -> Total:
    total = Total.of_items(Total.of_content(file.size, file.checksums) for file in files)
    dss.catalog.bundles.keep_total(head.fqid, total)
    return total


def collection_items(dss: Dss, head: CollectionHead) -> list[Item]:
    """Return what the links of a collection lead to, each once; one read for each page. Raise CatalogBroken.

    A link to a fragment leads to its file. They have no names, so their ids are their names.
    """
    _, *links = lines(dss.catalog.collections.pages(head))
    targets = dict.fromkeys(map(target_of, links))
    return [Item(str(target.fqid), target.kind, target.fqid) for target in targets]
