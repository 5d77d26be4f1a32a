"""Records of purges: an object for each removal for good, and for each undoing. They rest on nothing."""

import json
from collections.abc import Iterator

from shared.catalog import Purge
from shared.errors import NotProven
from shared.identifiers import Kind, ObjectName
from shared.kinds.base import ObjectKind, understood
from shared.manifests import encode
from shared.purges.records import purge_document, purge_of_document, take_effect
from shared.replicas import Replica
from shared.system import Dss


class PurgeKind(ObjectKind[Purge]):
    """Records of purges."""

    kind = Kind.PURGE
    section = "purges"
    collection = "purges"
    written = "replication: purge written"

    def owns(self, name: ObjectName) -> bool:
        """Return whether a name is that of a record, which has a time."""
        return super().owns(name) and name.version is not None

    def lookup(self, dss: Dss, name: ObjectName) -> Purge | None:
        """Return what the catalog knows of a record, in one read."""
        return dss.catalog.purges.get(name.fqid)

    def scan(self, dss: Dss, since: str, until: str = "") -> Iterator[Purge]:
        """Yield all records, in the order of their keys."""
        return dss.catalog.purges.scan(since, until)

    def name_of(self, record: Purge) -> ObjectName:
        """Return the name of a record's object."""
        return self.name(record.fqid.uuid, record.fqid.version)

    def document(self, dss: Dss, record: Purge) -> bytes:
        """Return the content of a record's object."""
        return encode(purge_document(record))

    def requires(self, dss: Dss, record: Purge, replica: Replica) -> None:
        """Return: what a purge names may come later, and is refused then."""

    def make_available(self, dss: Dss, record: Purge, replica: str) -> None:
        """Put the record into effect, on all replicas, unless a newer one counts."""
        take_effect(dss, record, replica)

    def claim(self, dss: Dss, name: ObjectName, encoded: bytes) -> Purge:
        """Return the record that an object's content describes, known to the catalog."""
        with understood(name):
            purge = purge_of_document(name.fqid, json.loads(encoded))
        dss.catalog.purges.create(purge)
        return purge

    def prove(self, dss: Dss, name: ObjectName, encoded: bytes, replica: Replica) -> None:
        """Raise an error unless a record is as the system writes it."""
        purge = purge_of_document(name.fqid, json.loads(encoded))
        if encode(purge_document(purge)) != encoded:
            raise NotProven("it is not as the system writes it")
