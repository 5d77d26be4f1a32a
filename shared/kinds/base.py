"""A kind of object, and all that replication, restore, rebuild, audit, repair and backlog need to know of it.

The verbs of one kind are the methods of one class, and `shared.kinds.table` has an instance of each. The same
words mean the same things everywhere: *restore*: the catalog learns one object from a bucket; *rebuild*: the
whole catalog is restored from one bucket; *repair*: one finding of an audit is put right.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from shared.errors import IllegalArguments, NotYetThere, Unprocessable
from shared.identifiers import Kind, ObjectName
from shared.manifests import read_manifest, read_required
from shared.replicas import Replica
from shared.system import Dss


class Record(Protocol):
    """What the catalog knows of one object."""

    @property
    def available(self) -> frozenset[str]:
        """The names of the replicas on which the object is in effect."""
        ...


class PagedRecord(Record, Protocol):
    """What the catalog knows of an object whose content is kept in pages."""

    @property
    def digest(self) -> str:
        """The SHA-256 of the manifest, in hex."""
        ...


KnownRecord = TypeVar("KnownRecord", bound=Record)
KnownPagedRecord = TypeVar("KnownPagedRecord", bound=PagedRecord)


class ObjectKind(ABC, Generic[KnownRecord]):
    """One kind of manifest or tombstone. Every method is safe to repeat, and to call concurrently."""

    kind: Kind
    dead = False
    # Its name in the reports of audits and rebuilds.
    section: str
    # The catalog's collection of heads: one document for each object.
    collection: str
    # The fault point after replication has written such an object.
    written: str
    # Whether an object that becomes available on a replica is published as an event.
    published = False
    # Whether `document` reads pages of the catalog.
    paged = False
    # Whether such objects may rest on others of this kind.
    nested = False

    def name(self, uuid: str, version: str | None) -> ObjectName:
        """Return the name of the object about a version, or about a whole UUID if `version` is None."""
        return ObjectName(self.kind, uuid, version, dead=self.dead)

    def owns(self, name: ObjectName) -> bool:
        """Return whether the system writes objects of this name, and they are of this kind."""
        return (name.kind, name.dead) == (self.kind, self.dead)

    @abstractmethod
    def lookup(self, dss: Dss, name: ObjectName) -> KnownRecord | None:
        """Return what the catalog knows of an object, in one read."""

    @abstractmethod
    def scan(self, dss: Dss, since: str, until: str = "") -> Iterator[KnownRecord]:
        """Yield all that the catalog knows, in the order of their keys; one read each.

        `since` is an FQID, or the beginning of one. The first ones may sort before it. `until` is the
        beginning of a UUID after which none is yielded; empty if there is no such bound.
        """

    @abstractmethod
    def name_of(self, record: KnownRecord) -> ObjectName:
        """Return the name of the object that a record is about."""

    @abstractmethod
    def document(self, dss: Dss, record: KnownRecord) -> bytes:
        """Return the bytes that the catalog says the object has.

        Raises CatalogBroken if the catalog contradicts itself.
        """

    def document_to_copy(self, dss: Dss, record: KnownRecord, source: Replica) -> bytes:
        """Return the bytes of the object for another replica. `source` is a replica that has it."""
        return self.document(dss, record)

    def content_size(self, record: KnownRecord) -> int:
        """Return how many bytes of content `bring_content` copies."""
        return 0

    @abstractmethod
    def requires(self, dss: Dss, record: KnownRecord, replica: Replica) -> None:
        """Raise NotYetThere if a replica lacks what the object rests on. Changes nothing that reads see."""

    def bring_content(self, dss: Dss, record: KnownRecord, source: Replica, destination: Replica) -> bool:
        """Bring to a destination what the object rests on, and return whether it is there.

        False means that the copy workflow has been started, and replicates the object afterwards. What has
        events of its own is not brought: raises NotYetThere until it has come.
        """
        self.requires(dss, record, destination)
        return True

    @abstractmethod
    def make_available(self, dss: Dss, record: KnownRecord, replica: str) -> None:
        """Let the object take effect on a replica. A tombstone hides what it names on all replicas."""

    @abstractmethod
    def claim(self, dss: Dss, name: ObjectName, encoded: bytes) -> KnownRecord:
        """Return the record of an object with this content, known to the catalog, not in effect yet.

        Raises Unprocessable if the content isn't of this kind, and Conflict if the catalog has other content
        under this name.
        """

    @abstractmethod
    def prove(self, dss: Dss, name: ObjectName, encoded: bytes, replica: Replica) -> None:
        """Raise an error if the system can't have written this object to this replica.

        NotProven, or an error of the content, the catalog or the store. Changes nothing: a claim in the
        catalog is for ever.
        """

    def learn(self, dss: Dss, name: ObjectName, replica: Replica) -> tuple[KnownRecord, bool]:
        """Have the catalog know an object that is on a replica; return its record, and whether that is news.

        News has yet to take effect on the replica: `make_available` comes next. Raises NotYetThere if the
        replica lacks the object or what it rests on, and what `claim` raises.
        """
        if record := self._lookup_on(dss, name, replica):
            return record, False
        encoded = read_required(replica, name.key)
        # More often than not the event comes while its writer is about to update the catalog.
        if record := self._lookup_on(dss, name, replica):
            return record, False
        record = self.claim(dss, name, encoded)
        self.requires(dss, record, replica)
        return record, True

    def _lookup_on(self, dss: Dss, name: ObjectName, replica: Replica) -> KnownRecord | None:
        record = self.lookup(dss, name)
        return record if record and replica.name in record.available else None

    def restore(self, dss: Dss, name: ObjectName, replica: Replica) -> tuple[KnownRecord, bool]:
        """Have the catalog know an object that is on a replica, in effect there.

        Returns its record, and whether the catalog had to learn of it. Raises as `learn`.
        """
        record, new = self.learn(dss, name, replica)
        if not new:
            return record, False
        self.make_available(dss, record, replica.name)
        return self.lookup(dss, name) or record, True

    def recall(self, dss: Dss, record: KnownRecord, replica: Replica, hidden: Collection[str]) -> None:
        """Note what was published and hidden before the catalog was lost. Call it after `learn`.

        `hidden` holds the FQIDs and UUIDs that the tombstones of bundles on the replica name.
        """

    def lacks(self, dss: Dss, name: ObjectName, replica: Replica) -> bool:
        """Return whether the catalog would have to learn of an object on a replica, in one read."""
        record = self.lookup(dss, name)
        held = record.available | getattr(record, "withheld", frozenset()) if record else frozenset()
        return replica.name not in held


class PagedKind(ObjectKind[KnownPagedRecord]):
    """A kind whose content is too large for one document of the catalog, and is kept there in pages."""

    paged = True
    # The fault point after replication has seen that a destination has what the object rests on.
    checked: str

    def document_to_copy(self, dss: Dss, record: KnownPagedRecord, source: Replica) -> bytes:
        """Return the bytes of the object, read from `source`: one request instead of a read for each page.

        Raises InvalidChecksum if they aren't what the catalog has the digest of.
        """
        return read_manifest(source, self.name_of(record).key, record.digest)

    def bring_content(
        self, dss: Dss, record: KnownPagedRecord, source: Replica, destination: Replica
    ) -> bool:
        """Return True if a destination has what the object rests on, else raise NotYetThere."""
        self._require_soon(dss, record, destination)
        dss.faults.reach(self.checked)
        return True

    def _require_soon(self, dss: Dss, record: KnownPagedRecord, replica: Replica) -> None:
        """Do as `requires`; it may wait a moment for what is on its way."""
        self.requires(dss, record, replica)

    @abstractmethod
    def write_pages(self, dss: Dss, name: ObjectName, encoded: bytes) -> None:
        """Write the pages of a known object again, from a manifest that has its digest."""


class TombstoneKind(ObjectKind[KnownRecord]):
    """A kind that hides what it names. Such objects rest on nothing."""

    dead = True

    def requires(self, dss: Dss, record: KnownRecord, replica: Replica) -> None:
        """Return: what a tombstone hides may come later, and is hidden then."""

    def learn(self, dss: Dss, name: ObjectName, replica: Replica) -> tuple[KnownRecord, bool]:
        """Have the catalog know a tombstone on a replica; return its record, and whether that is news.

        The object is read even if the catalog knows the tombstone, because `claim` compares the two. Raises
        NotYetThere if the replica lacks it, and what `claim` raises.
        """
        record = self.claim(dss, name, read_required(replica, name.key))
        return record, replica.name not in record.available


@contextmanager
def understood(name: ObjectName) -> Iterator[None]:
    """Turn every error that the content of an object can cause into Unprocessable."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, IllegalArguments, Unprocessable) as error:
        raise Unprocessable(f"{name.key}: is not what its name says: {error!r}") from error


def require_none(record: str, lacking: Collection[object], what: str, replica: Replica) -> None:
    """Raise NotYetThere if something is lacking on a replica that a record rests on; name one of them."""
    if lacking:
        example = min(map(str, lacking))
        raise NotYetThere(
            f"{record}: {len(lacking)} of its {what} are not on {replica.name} yet, for example {example}"
        )
