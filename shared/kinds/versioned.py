"""Objects of which the newest of a UUID counts, as a kind. They rest on nothing."""

import json
from typing import TypeVar

from shared.catalog.versioned import Versioned
from shared.errors import NotProven
from shared.identifiers import ObjectName
from shared.kinds.base import ObjectKind, understood
from shared.manifests import encode
from shared.replicas import Replica
from shared.system import Dss
from shared.versioned_objects import VersionedObjects, take_effect

R = TypeVar("R", bound=Versioned)


class VersionedKind(ObjectKind[R]):
    """A kind whose objects say what they do from their version on, until there is a newer one."""

    objects: VersionedObjects[R]

    def owns(self, name: ObjectName) -> bool:
        """Return whether a name is that of such an object, which has a version."""
        return super().owns(name) and name.version is not None

    def lookup(self, dss: Dss, name: ObjectName) -> R | None:
        """Return what the catalog knows of an object, in one read."""
        return self.objects.catalog(dss).get(name.fqid)

    def name_of(self, record: R) -> ObjectName:
        """Return the name of the object that a record is about."""
        return self.name(record.fqid.uuid, record.fqid.version)

    def document(self, dss: Dss, record: R) -> bytes:
        """Return the content of an object."""
        return encode(self.objects.document(record))

    def requires(self, dss: Dss, record: R, replica: Replica) -> None:
        """Return: what the object is about may come later, and follows it then."""

    def make_available(self, dss: Dss, record: R, replica: str) -> None:
        """Put the object into effect, on all replicas, unless a newer one of its UUID is."""
        take_effect(dss, self.objects, record, replica)

    def claim(self, dss: Dss, name: ObjectName, encoded: bytes) -> R:
        """Return the record that an object's content describes, known to the catalog."""
        with understood(name):
            record = self.objects.record(name.fqid, json.loads(encoded))
        self.objects.catalog(dss).create(record)
        return record

    def prove(self, dss: Dss, name: ObjectName, encoded: bytes, replica: Replica) -> None:
        """Raise an error unless an object is as the system writes it."""
        with understood(name):
            record = self.objects.record(name.fqid, json.loads(encoded))
        if self.document(dss, record) != encoded:
            raise NotProven("it is not as the system writes it")
