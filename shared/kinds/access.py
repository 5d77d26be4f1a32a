"""Bindings: an object for each change of who may read and write a UUID. They rest on nothing."""

import json
from collections.abc import Iterator

from shared.bindings import binding_document, binding_of_document, take_effect
from shared.catalog import Binding
from shared.errors import NotProven
from shared.identifiers import Kind, ObjectName
from shared.kinds.base import ObjectKind, understood
from shared.manifests import encode
from shared.replicas import Replica
from shared.system import Dss


class AccessKind(ObjectKind[Binding]):
    """Bindings of UUIDs to their readers and owners."""

    kind = Kind.ACCESS
    section = "access"
    collection = "access"
    written = "replication: binding written"

    def owns(self, name: ObjectName) -> bool:
        """Return whether a name is that of a binding, which has a version."""
        return super().owns(name) and name.version is not None

    def lookup(self, dss: Dss, name: ObjectName) -> Binding | None:
        """Return what the catalog knows of a binding, in one read."""
        return dss.catalog.bindings.get(name.fqid)

    def scan(self, dss: Dss, since: str) -> Iterator[Binding]:
        """Yield all bindings, in the order of their keys."""
        return dss.catalog.scan.bindings(since)

    def name_of(self, record: Binding) -> ObjectName:
        """Return the name of a binding's object."""
        return self.name(record.fqid.uuid, record.fqid.version)

    def document(self, dss: Dss, record: Binding) -> bytes:
        """Return the content of a binding's object."""
        return encode(binding_document(record))

    def requires(self, dss: Dss, record: Binding, replica: Replica) -> None:
        """Return: what a binding is about may come later, and is bound then."""

    def make_available(self, dss: Dss, record: Binding, replica: str) -> None:
        """Put the binding into effect, on all replicas, unless a newer one of its UUID is."""
        take_effect(dss, record, replica)

    def claim(self, dss: Dss, name: ObjectName, encoded: bytes) -> Binding:
        """Return the binding that an object's content describes, known to the catalog."""
        with understood(name):
            binding = binding_of_document(name.fqid, json.loads(encoded))
        dss.catalog.bindings.create(binding)
        return binding

    def prove(self, dss: Dss, name: ObjectName, encoded: bytes, replica: Replica) -> None:
        """Raise an error unless a binding is as the system writes it."""
        binding = binding_of_document(name.fqid, json.loads(encoded))
        if encode(binding_document(binding)) != encoded:
            raise NotProven("it is not as the system writes it")
