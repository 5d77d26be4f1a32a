"""Bindings: an object for each change of who may read and write a UUID."""

from shared.bindings import Bindings
from shared.catalog import Binding
from shared.identifiers import Kind
from shared.kinds.versioned import VersionedKind


class AccessKind(VersionedKind[Binding]):
    """Bindings of UUIDs to their readers and owners."""

    kind = Kind.ACCESS
    section = "access"
    collection = "access"
    written = "replication: binding written"
    objects = Bindings()
