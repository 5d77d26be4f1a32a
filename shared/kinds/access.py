"""Bindings: an object for each change of who may read and write a UUID."""

from collections.abc import Iterator

from shared.bindings import Bindings
from shared.catalog import Binding
from shared.identifiers import Kind
from shared.kinds.versioned import VersionedKind
from shared.system import Dss


class AccessKind(VersionedKind[Binding]):
    """Bindings of UUIDs to their readers and owners."""

    kind = Kind.ACCESS
    section = "access"
    collection = "access"
    written = "replication: binding written"
    objects = Bindings()

    def scan(self, dss: Dss, since: str, until: str = "") -> Iterator[Binding]:
        """Yield all bindings, in the order of their keys."""
        return dss.catalog.scan.bindings(since, until)
