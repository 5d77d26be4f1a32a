"""Tombstones of bundles: one for a version, or for a UUID with all its versions. They rest on nothing."""

import json
from collections.abc import Collection, Iterator

from shared.catalog import KnownTombstone
from shared.errors import NotProven
from shared.events.history import all_were_published
from shared.identifiers import Kind, ObjectName
from shared.kinds.base import TombstoneKind, understood
from shared.manifests import encode, tombstone_document, tombstone_of_document
from shared.replicas import Replica
from shared.system import Dss


class BundleTombstoneKind(TombstoneKind[KnownTombstone]):
    """Tombstones of bundles."""

    kind = Kind.BUNDLE
    section = "tombstones"
    collection = "bundle_tombstones"
    published = True
    written = "replication: tombstone written"

    def lookup(self, dss: Dss, name: ObjectName) -> KnownTombstone | None:
        """Return what the catalog knows of a tombstone, in one read."""
        return dss.catalog.scan.tombstone(name.uuid, name.version)

    def scan(self, dss: Dss, since: str, until: str = "") -> Iterator[KnownTombstone]:
        """Yield all tombstones, in the order of their keys."""
        whole: KnownTombstone | None = None
        for known in dss.catalog.scan.tombstones(since.partition(".")[0], until):
            # In the catalog `uuid` sorts before `uuid.version`, but `uuid.dead` comes after
            # `uuid.version.dead`.
            if whole and whole.tombstone.uuid != known.tombstone.uuid:
                yield whole
                whole = None
            if known.tombstone.version is None:
                whole = known
            else:
                yield known
        if whole:
            yield whole

    def name_of(self, record: KnownTombstone) -> ObjectName:
        """Return the name of a tombstone's object."""
        return self.name(record.tombstone.uuid, record.tombstone.version)

    def document(self, dss: Dss, record: KnownTombstone) -> bytes:
        """Return the content of a tombstone's object."""
        return encode(tombstone_document(record.tombstone))

    def make_available(self, dss: Dss, record: KnownTombstone, replica: str) -> None:
        """Hide what the tombstone names, on all replicas. Raises NotYetThere for an unknown version."""
        dss.catalog.tombstones.hide(record.tombstone, replica)

    def claim(self, dss: Dss, name: ObjectName, encoded: bytes) -> KnownTombstone:
        """Return the tombstone that an object's content describes, known to the catalog."""
        with understood(name):
            tombstone = tombstone_of_document(name.uuid, name.version, json.loads(encoded))
        dss.catalog.tombstones.create(tombstone)
        return KnownTombstone(tombstone=tombstone, available=dss.catalog.tombstones.available(tombstone))

    def prove(self, dss: Dss, name: ObjectName, encoded: bytes, replica: Replica) -> None:
        """Raise an error unless a tombstone is as the system writes it; of a version, a known one."""
        tombstone = tombstone_of_document(name.uuid, name.version, json.loads(encoded))
        if encode(tombstone_document(tombstone)) != encoded:
            raise NotProven("it is not as the system writes it")
        if name.version and dss.catalog.bundles.head(name.fqid) is None:
            raise NotProven("the bundle that it hides is not known")

    def recall(self, dss: Dss, record: KnownTombstone, replica: Replica, hidden: Collection[str]) -> None:
        """Mark a tombstone as published if it was, before the sweep finds it and publishes it again."""
        if replica.name not in record.available and all_were_published(dss, replica, record.tombstone):
            dss.catalog.tombstones.mark_published(record.tombstone, replica.name)
