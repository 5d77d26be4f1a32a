"""Collections: a manifest for each version. A collection rests on what it links to."""

from collections.abc import Iterable, Iterator

from shared.catalog import CollectionHead
from shared.collections import collection_of_manifest, lines, read_collection
from shared.errors import CatalogBroken, NotProven
from shared.identifiers import Kind, ObjectName
from shared.kinds.base import PagedKind, require_none, understood
from shared.links import Target, places, target_of
from shared.manifests import digest
from shared.replicas import Replica
from shared.system import Dss


class CollectionKind(PagedKind[CollectionHead]):
    """Versions of collections."""

    kind = Kind.COLLECTION
    section = "collections"
    collection = "collections"
    nested = True
    checked = "replication: collection checked"
    written = "replication: collection manifest written"

    def lookup(self, dss: Dss, name: ObjectName) -> CollectionHead | None:
        """Return the head of a version, in one read."""
        return dss.catalog.collections.head(name.fqid)

    def scan(self, dss: Dss, since: str, until: str = "") -> Iterator[CollectionHead]:
        """Yield the heads of all versions, in the order of their keys."""
        return dss.catalog.scan.collections(since, until)

    def name_of(self, record: CollectionHead) -> ObjectName:
        """Return the name of a version's manifest."""
        return self.name(record.fqid.uuid, record.fqid.version)

    def document(self, dss: Dss, record: CollectionHead) -> bytes:
        """Return the manifest, made from the catalog's pages: a read for each.

        Raises CatalogBroken if pages are missing, or make up another manifest.
        """
        content = read_collection(dss, record).manifest
        if digest(content) != record.digest:
            raise CatalogBroken("the pages do not make up the manifest that the head has the digest of")
        return content

    def requires(self, dss: Dss, record: CollectionHead, replica: Replica) -> None:
        """Raise NotYetThere if something that a version links to is neither on a replica nor hidden.

        Links of the newest version that the replica has were checked with that one, and are skipped: so
        a version costs reads for what it changes. The progress of a check of several pages is stored, and the
        next attempt goes on there.
        """
        collections, progress = dss.catalog.collections, dss.catalog.progress
        topic = f"collection {record.fqid} on {replica.name}"
        large = record.page_count > 1
        first = progress.get(topic) if large else 0
        newest = collections.newest(record.fqid.uuid, replica.name)
        checked = frozenset(lines(collections.pages(newest)) if newest else ())
        for number, page in enumerate(collections.pages(record, first), first):
            # The first line of the first page is the collection's name and description.
            items = lines([page])[1 if number == 0 else 0 :]
            lacking = _lacking(dss, (item for item in items if item not in checked), replica)
            require_none(f"collection {record.fqid}", lacking, "contents", replica)
            if large:
                progress.set(topic, number + 1)

    def make_available(self, dss: Dss, record: CollectionHead, replica: str) -> None:
        """Let reads on a replica see the version, unless the collection is hidden."""
        dss.catalog.collections.make_available(record.fqid, replica)

    def claim(self, dss: Dss, name: ObjectName, encoded: bytes) -> CollectionHead:
        """Return the head of the version that a manifest describes, known to the catalog with its pages."""
        with understood(name):
            version = collection_of_manifest(name.fqid, encoded)
            head = version.head()
        collections = dss.catalog.collections
        collections.create(head, collections.owned(name.uuid))
        collections.write_pages(name.fqid, version.pages, version.linked)
        return head

    def write_pages(self, dss: Dss, name: ObjectName, encoded: bytes) -> None:
        """Write the pages of a known version again, from a manifest that has its digest."""
        version = collection_of_manifest(name.fqid, encoded)
        dss.catalog.collections.write_pages(name.fqid, version.pages, version.linked)

    def prove(self, dss: Dss, name: ObjectName, encoded: bytes, replica: Replica) -> None:
        """Raise an error unless a manifest is as the system writes it, and its links lead to what is here."""
        version = collection_of_manifest(name.fqid, encoded)
        prove_owner(dss, name, version.owner)
        if lacking := _lacking(dss, version.items, replica):
            raise NotProven(f"{min(lacking)} of it is not here")


def prove_owner(dss: Dss, name: ObjectName, owner: str) -> None:
    """Raise NotProven if the collection that an object is about has another owner."""
    owned = dss.catalog.collections.owned(name.uuid)
    if owned and owned.owner != owner:
        raise NotProven("the collection has another owner")


def _lacking(dss: Dss, items: Iterable[bytes], replica: Replica) -> list[Target]:
    """Return the targets of encoded links that are neither on a replica nor hidden; one read each."""
    targets = set(map(target_of, items))
    known = places(dss, targets)
    return [
        target
        for target in targets
        if target not in known or not (known[target].hidden or replica.name in known[target].available)
    ]
