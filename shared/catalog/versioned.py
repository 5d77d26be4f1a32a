"""Catalogs of objects of which the newest of a UUID counts: bindings, and the members of groups.

A collection of heads has a document for each object ever made, as every kind of objects has. A collection of
current ones has a document per UUID: what the object in effect says, and the version of the newest that was
made, which may still be on its way.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from google.cloud.firestore_v1 import LastUpdateOption

from shared.catalog.database import Database, NameTaken, Step, Write, create_document
from shared.errors import Conflict
from shared.identifiers import Fqid

# Documents that one query returns.
_PAGE = 500


class Versioned(Protocol):
    """An immutable object, from the time on that its version is; `available` on these replicas."""

    @property
    def fqid(self) -> Fqid:
        """The UUID of what it is about, and its version."""
        ...

    @property
    def available(self) -> frozenset[str]:
        """The names of the replicas on which it is in effect."""
        ...


R = TypeVar("R", bound=Versioned)


@dataclass(frozen=True, kw_only=True)
class Current(Generic[R]):
    """The object in effect of a UUID; `claimed` is the version of the newest one, which may still be on its
    way. `revision` is when its document last changed.
    """

    record: R
    claimed: str
    revision: Any = field(compare=False)


class VersionedCatalog(ABC, Generic[R]):
    """Reads and writes of objects of which the newest of a UUID counts."""

    # What such an object is, for messages.
    noun: str

    def __init__(self, database: Database, *, heads: str, current: str) -> None:
        self._database = database
        self._heads = database.client.collection(heads)
        self._current = database.client.collection(current)

    @abstractmethod
    def fields(self, record: R) -> dict[str, Any]:
        """Return what documents say of an object: `uuid`, `version` and its content."""

    @abstractmethod
    def record_of(self, snapshot: Any) -> R:
        """Return the object of a document."""

    @abstractmethod
    def nothing_yet(self, fqid: Fqid, like: R) -> R:
        """Return what is in effect of a UUID before its first object, which is `like` this."""

    def with_effect(self, record: R) -> Sequence[Write]:
        """Return what is written together with an object that takes effect."""
        return ()

    def get(self, fqid: Fqid) -> R | None:
        """Return an object, in effect or not, in one read."""
        snapshot = self._database.get(self._heads.document(str(fqid)))
        return self.record_of(snapshot) if snapshot.exists else None

    def current(self, uuid: str) -> Current[R] | None:
        """Return the one in effect of a UUID, in one read; None if it never had one."""
        snapshot = self._database.get(self._current.document(uuid))
        return self._current_of(snapshot) if snapshot.exists else None

    def current_many(self, uuids: Iterable[str]) -> Mapping[str, Current[R]]:
        """Return the ones in effect of those of the UUIDs that have one, one read each, in parallel."""
        references = [self._current.document(uuid) for uuid in dict.fromkeys(uuids)]
        found = map(self._current_of, self._database.get_many(references))
        return {current.record.fqid.uuid: current for current in found}

    def all_current(self, after: str = "") -> Iterator[Current[R]]:
        """Yield the ones in effect, in order of UUID, one read each."""
        query = self._current.order_by("uuid")
        if after:
            query = query.start_after({"uuid": after})
        return map(self._current_of, self._database.every(query, _PAGE))

    def create(self, record: R) -> bool:
        """Make an object known that a bucket has. It is not in effect yet. Safe to repeat.

        Returns False if it was known. Raises Conflict if the name has other content.
        """
        try:
            self._database.commit(self._create_head(record))
        except NameTaken:
            if self.get(record.fqid) != record:
                raise Conflict(f"{self.noun} {record.fqid} exists with other content") from None
            return False
        return True

    def claim(self, record: R, before: Current[R] | None) -> bool:
        """Make a new object, which follows the one that was read; return False if another one does."""
        claimed = {"claimed": record.fqid.version}
        known = self.nothing_yet(Fqid(record.fqid.uuid, ""), record)
        change = claimed if before else {**self.fields(known), **claimed}
        try:
            self._database.commit(self._create_head(record), self._follow(record.fqid.uuid, before, change))
        except NameTaken:
            return False
        return True

    def claim_in_effect(self, record: R, before: Current[R] | None) -> tuple[Write, ...]:
        """Return the writes that make a new object, in effect at once; they fail if another one follows."""
        document = {**self.fields(record), "claimed": record.fqid.version}
        follow = self._follow(record.fqid.uuid, before, document)
        return (self._create_head(record), follow, *self.with_effect(record))

    def put_into_effect(self, record: R) -> None:
        """Let an object count, unless a later one does."""

        def step(snapshot: Any) -> Step | None:
            known = snapshot.to_dict() if snapshot.exists else {}
            if known.get("version", "") >= record.fqid.version:
                return None
            claimed = max(known.get("claimed", ""), record.fqid.version)
            return {**self.fields(record), "claimed": claimed}, self.with_effect(record)

        self._database.advance(self._current.document(record.fqid.uuid), step)

    def make_available(self, fqid: Fqid, replica: str) -> None:
        """Note that a replica has an object, and that all that knows of it follows. Safe to repeat."""
        head = self._heads.document(str(fqid))
        self._database.commit(lambda batch: batch.update(head, self._database.gained(replica)))

    def _create_head(self, record: R) -> Write:
        document = {**self.fields(record), **self._database.new_head()}
        return create_document(self._heads.document(str(record.fqid)), document)

    def _follow(self, uuid: str, before: Current[R] | None, change: Mapping[str, Any]) -> Write:
        current = self._current.document(uuid)
        if before is None:
            return create_document(current, change)
        unchanged = LastUpdateOption(before.revision)
        return lambda batch: batch.update(current, dict(change), option=unchanged)

    def _current_of(self, snapshot: Any) -> Current[R]:
        return Current(
            record=self.record_of(snapshot), claimed=snapshot.get("claimed"), revision=snapshot.update_time
        )
