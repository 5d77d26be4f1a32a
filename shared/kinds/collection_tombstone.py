"""Tombstones of collections: always of a UUID with all its versions. They rest on nothing."""

import json
from collections.abc import Iterator

from shared.catalog import CollectionTombstone
from shared.collections import collection_tombstone_document, collection_tombstone_of
from shared.errors import CollectionTombstoneAlreadyExists, NotProven
from shared.identifiers import Kind, ObjectName
from shared.kinds.base import TombstoneKind, understood
from shared.kinds.collection import prove_owner
from shared.manifests import encode
from shared.replicas import Replica
from shared.system import Dss


class CollectionTombstoneKind(TombstoneKind[CollectionTombstone]):
    """Tombstones of collections."""

    kind = Kind.COLLECTION
    section = "collection_tombstones"
    collection = "collection_tombstones"
    written = "replication: collection tombstone written"

    def owns(self, name: ObjectName) -> bool:
        """Return whether this is the name of such a tombstone: no tombstone hides one version only."""
        return super().owns(name) and name.version is None

    def lookup(self, dss: Dss, name: ObjectName) -> CollectionTombstone | None:
        """Return what the catalog knows of a tombstone, in one read."""
        return dss.catalog.collection_tombstones.get(name.uuid)

    def scan(self, dss: Dss, since: str, until: str = "") -> Iterator[CollectionTombstone]:
        """Yield all tombstones, in the order of their keys."""
        return dss.catalog.scan.collection_tombstones(since.partition(".")[0], until)

    def name_of(self, record: CollectionTombstone) -> ObjectName:
        """Return the name of a tombstone's object."""
        return self.name(record.uuid, None)

    def document(self, dss: Dss, record: CollectionTombstone) -> bytes:
        """Return the content of a tombstone's object."""
        return encode(collection_tombstone_document(record))

    def make_available(self, dss: Dss, record: CollectionTombstone, replica: str) -> None:
        """Hide all versions of the collection, on all replicas."""
        dss.catalog.collection_tombstones.hide(record, replica)

    def claim(self, dss: Dss, name: ObjectName, encoded: bytes) -> CollectionTombstone:
        """Return the tombstone that an object's content describes, known to the catalog."""
        with understood(name):
            tombstone = collection_tombstone_of(name.uuid, json.loads(encoded))
        first = dss.catalog.collection_tombstones.create(tombstone)
        if not first.same_content(tombstone):
            raise CollectionTombstoneAlreadyExists(
                f"collection {name.uuid} was deleted before, by somebody else"
            )
        return first

    def prove(self, dss: Dss, name: ObjectName, encoded: bytes, replica: Replica) -> None:
        """Raise an error unless a tombstone is as the system writes it, and the collection is known."""
        tombstone = collection_tombstone_of(name.uuid, json.loads(encoded))
        if encode(collection_tombstone_document(tombstone)) != encoded:
            raise NotProven("it is not as the system writes it")
        if dss.catalog.collections.owned(name.uuid) is None:
            raise NotProven("the collection that it hides is not known")
        prove_owner(dss, name, tombstone.owner)
