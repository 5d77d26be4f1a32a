"""The catalog of bindings: who may read and write a UUID.

Collection `access` has a document for each binding ever made, a head as every other kind of object has.
Collection `bindings` has a document per UUID: the binding that is in effect, and the newest that was made.
What a binding says is also on every head of its UUID, so that a read needs no request more. A head is created
only if the binding is still the one that its fields were taken from, and a change goes to all heads that
exist: so there is none that a change misses.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from google.api_core.exceptions import NotFound
from google.cloud.firestore import FieldFilter
from google.cloud.firestore_v1 import ExistsOption, LastUpdateOption

from shared.catalog.database import Database, NameTaken, Step, Write, set_document
from shared.catalog.versioned import Current, VersionedCatalog
from shared.errors import Gone, Unavailable
from shared.identifiers import Fqid

# How often a head is created anew because its binding has changed meanwhile, before its writer gives up.
_ATTEMPTS = 10
# The collections of heads with a UUID's readers, by the field that names it.
_HEADS = ("files", "bundles", "owned_collections", "checkout_jobs")
# Stands for all versions among the purges of a UUID.
ALL_VERSIONS = "all"
# Purges that the document of a UUID holds. Firestore: it is at most 1 MiB; a reason is 1,000 characters.
MOST_PURGES = 200


@dataclass(frozen=True, kw_only=True)
class Binding:
    """Who may read and write a UUID, from the time on that `version` is.

    `readers` are groups, `public` or `signed-in`; none: what the deployment does by default. Only members of
    `owner_group`, if there is one, may write. `with_files`: the files of a bundle are bound with it, those of
    later versions too. `with_bundle` is the name of the binding of a bundle with which a file was bound,
    empty if it was bound by itself. `by` made it.
    """

    fqid: Fqid
    readers: frozenset[str] = frozenset()
    owner_group: str = ""
    with_files: bool = False
    with_bundle: str = ""
    by: str = ""
    available: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def all_readers(self) -> frozenset[str]:
        """The readers, the group that owns it among them; none if nobody is bound."""
        return self.readers | ({self.owner_group} - {""}) if self.readers else self.readers


@dataclass(frozen=True, kw_only=True)
class PurgeInEffect:
    """The newest record of a purge of a version, or of a whole UUID: its time, as a version, and its reason.

    It counts unless it was `undone`. `removed`: nothing is left.
    """

    record: str
    reason: str
    undone: bool
    removed: bool

    @classmethod
    def all_of(cls, document: Mapping[str, Any]) -> Mapping[str, "PurgeInEffect"]:
        """Return the purges of a UUID by version, that of all versions as ALL_VERSIONS."""
        return {name: cls(**fields) for name, fields in document.items()}


@dataclass(frozen=True, kw_only=True)
class CurrentBinding(Current[Binding]):
    """The binding in effect of a UUID, and the purges of its versions."""

    purges: Mapping[str, PurgeInEffect] = field(default_factory=dict)

    def purged(self, version: str | None) -> str:
        """Return the reason for which a version was removed for good, or all if it is None; else empty."""
        for name in (ALL_VERSIONS, version):
            found = self.purges.get(name or "")
            if found and not found.undone:
                return found.reason
        return ""

    def removed(self, version: str | None) -> bool:
        """Return whether nothing is left of a version, or of all if it is None, that was purged."""
        found = [self.purges.get(name or "") for name in (ALL_VERSIONS, version)]
        return any(purge.removed and not purge.undone for purge in found if purge)

    @property
    def purged_last(self) -> str:
        """The reason of the last purge of a version or of all; empty if there was none."""
        counting = [purge for purge in self.purges.values() if not purge.undone]
        return self.purged(None) or (max(counting, key=lambda purge: purge.record).reason if counting else "")


class BindingCatalog(VersionedCatalog[Binding]):
    """Reads and writes of bindings."""

    noun = "access"

    def __init__(self, database: Database) -> None:
        super().__init__(database, heads="access", current="bindings")
        self._marks = database.client.collection("binding_marks")

    def fields(self, record: Binding) -> dict[str, Any]:
        """Return what documents say of a binding."""
        return {
            "uuid": record.fqid.uuid,
            "version": record.fqid.version,
            "readers": sorted(record.readers),
            "owner_group": record.owner_group,
            "with_files": record.with_files,
            "with_bundle": record.with_bundle,
            "by": record.by,
        }

    def record_of(self, snapshot: Any) -> Binding:
        """Return the binding of a document."""
        return binding_of(snapshot)

    def nothing_yet(self, fqid: Fqid, like: Binding) -> Binding:
        """Return the binding of a UUID that was never bound."""
        return Binding(fqid=fqid)

    def with_effect(self, record: Binding) -> Sequence[Write]:
        """Return the mark that a bundle has to look for what it is bound to, and its files."""
        if not (record.readers or record.with_files):
            return ()
        # Before heads follow: see `last_change`.
        mark = self._marks.document("files")
        return (set_document(mark, {"changed": self._database.clock.now()}),)

    def current(self, uuid: str) -> CurrentBinding | None:
        """Return the binding in effect of a UUID, in one read; None if it never had one, and no purge."""
        snapshot = self._database.get(self._current.document(uuid))
        return self._current_of(snapshot) if snapshot.exists else None

    def current_many(self, uuids: Iterable[str]) -> Mapping[str, CurrentBinding]:
        """Return those of the UUIDs that have a binding or a purge, one read each, in parallel."""
        references = [self._current.document(uuid) for uuid in dict.fromkeys(uuids)]
        found = map(self._current_of, self._database.get_many(references))
        return {current.record.fqid.uuid: current for current in found}

    def all_current(self, after: str = "") -> Iterator[Current[Binding]]:
        """Yield the bindings in effect, in order of UUID, one read each."""
        # A purge has a document, too, of UUIDs that never were bound.
        return (current for current in super().all_current(after) if current.claimed)

    def _current_of(self, snapshot: Any) -> CurrentBinding:
        return CurrentBinding(
            record=binding_of(snapshot),
            claimed=snapshot.get("claimed"),
            revision=snapshot.update_time,
            purges=PurgeInEffect.all_of(snapshot.to_dict().get("purges", {})),
        )

    def empty(self, uuid: str) -> dict[str, Any]:
        """Return the document of a UUID that nobody is bound to."""
        return {**self.fields(Binding(fqid=Fqid(uuid, ""))), "claimed": ""}

    def commit_unless_purged(self, fqid: Fqid, *writes: Write) -> None:
        """Commit writes about a version, in one request if its UUID has no binding.

        Raises Gone, with the reason, if it was removed for good.
        """
        for known in self.attempts(fqid.uuid, None):
            require_not_purged(known, fqid)
            with suppress(NameTaken):
                self._database.commit(*writes, self.guard(fqid.uuid, known))
                return
        raise Unavailable(f"{fqid}: its binding changes all the time; try again")

    def guard(self, uuid: str, known: CurrentBinding | None) -> Write:
        """Return a write that fails unless the UUID has the binding that was read, or still none.

        For a UUID without one it costs no read: the deletion of a document that must not exist.
        """
        current = self._current.document(uuid)
        if known is None:
            return lambda batch: batch.delete(current, option=ExistsOption(exists=False))
        unchanged = LastUpdateOption(known.revision)
        # Firestore: a write that changes nothing leaves the time of the last change as it is.
        return lambda batch: batch.update(current, {"uuid": uuid}, option=unchanged)

    def attempts(self, uuid: str, known: CurrentBinding | None) -> Iterator[CurrentBinding | None]:
        """Yield the binding of a UUID for each attempt to create a head: the known one, then a fresh read."""
        yield known
        for _ in range(_ATTEMPTS):
            yield self.current(uuid)

    def bind_heads(self, binding: Binding) -> list[tuple[str, str]]:
        """Have all heads of the UUID say what a binding says, unless they follow a later one.

        Returns the collections and names of the heads of the UUID. Safe to repeat.
        """
        bound = bound_fields(binding)
        heads = []
        for collection in _HEADS:
            query = self._database.client.collection(collection).where(
                filter=FieldFilter("uuid", "==", binding.fqid.uuid)
            )
            for snapshot in self._database.query(query.select(["bound_at"])):
                heads.append((collection, snapshot.id))
                if (snapshot.to_dict() or {}).get("bound_at", "") < binding.fqid.version:
                    self._database.advance(snapshot.reference, lambda head: _rebound(head, bound))
        return heads

    def kinds_of(self, uuid: str) -> list[str]:
        """Return what there is under a UUID: `file`, `bundle`, `collection`; a read each."""
        collections = {"file": "files", "bundle": "bundles", "collection": "owned_collections"}
        of_uuid = FieldFilter("uuid", "==", uuid)
        return [
            kind
            for kind, name in collections.items()
            if self._database.query(
                self._database.client.collection(name).where(filter=of_uuid).select([]).limit(1)
            )
        ]

    def bundles_with_file(self, uuid: str) -> Iterator[Fqid]:
        """Yield the bundle versions that name a version of a file; one read for each page of files."""
        query = (
            self._database.client.collection_group("pages")
            .where(filter=FieldFilter("contains", "array_contains", uuid))
            .select([])
        )
        seen = set()
        for snapshot in self._database.query(query):
            name = snapshot.reference.parent.parent.id
            if name not in seen:
                seen.add(name)
                yield Fqid.parse(name)

    def narrow(self, fqid: Fqid, content_of: Callable[[], tuple[frozenset[str], bool]]) -> None:
        """Set who may read the content of a bundle version, and whether files of it were removed for good.

        That is what `content_of` returns, which is called again if the head changes meanwhile.
        """

        def step(snapshot: Any) -> Step | None:
            if not snapshot.exists:
                return None
            readers, lacks_files = content_of()
            changes = {"content_readers": sorted(readers), "lacks_files": lacks_files}
            before = {"content_readers": [], "lacks_files": False, **snapshot.to_dict()}
            return (changes, []) if any(before[name] != changes[name] for name in changes) else None

        self._database.advance(self._database.client.collection("bundles").document(str(fqid)), step)

    def expect_to_lack_files(self, fqid: Fqid) -> None:
        """Have a bundle version say that files of it may be purged, until `narrow` knows better."""
        head = self._database.client.collection("bundles").document(str(fqid))
        # A head without the pages by which it was found is none.
        with suppress(NotFound):
            self._database.commit(lambda batch: batch.update(head, {"lacks_files": True}))

    def last_change(self) -> str:
        """Return a mark of the last binding or purge that heads followed, in one read; empty for none ever.

        Who writes pages of a bundle, and asks then, misses no file that is bound. If the mark is that from
        before the heads of the files were read, these were current, and the pages are found by all changes to
        come; else the heads have to be read again.
        """
        snapshot = self._database.get(self._marks.document("files"))
        return str(snapshot.update_time.rfc3339()) if snapshot.exists else ""

    def any_ever(self) -> bool:
        """Return whether any UUID was ever bound to readers, bound with its files, or purged, in one read."""
        return bool(self.last_change())

    def mark_change(self) -> None:
        """Note that heads have followed a binding; before the bundles are looked for that name them."""
        mark = (self._marks.document("files"), {"changed": self._database.clock.now()})
        self._database.commit(lambda batch: batch.set(*mark))


def binding_of(snapshot: Any) -> Binding:
    """Return the binding that a document of `access` or `bindings` holds."""
    document = snapshot.to_dict()
    return Binding(
        fqid=Fqid(document["uuid"], document["version"]),
        readers=frozenset(document["readers"]),
        owner_group=document["owner_group"],
        with_files=document["with_files"],
        with_bundle=document["with_bundle"],
        by=document["by"],
        available=frozenset(document.get("available", ())),
    )


def require_not_purged(current: CurrentBinding | None, fqid: Fqid) -> None:
    """Raise Gone, with the reason, if a version was removed for good."""
    if current and (reason := current.purged(fqid.version)):
        raise Gone(f"{fqid} was removed for good: {reason}")


def unbound_fields() -> dict[str, Any]:
    """Return what a head says whose UUID has no binding."""
    return {"readers": [], "bound": False, "bound_at": ""}


def bound_fields(binding: Binding | None) -> dict[str, Any]:
    """Return what the heads of a UUID say of its binding: the readers, and its version.

    `bound` is there because a query of Firestore can't ask for an empty list and for an element of another.
    """
    if binding is None:
        return unbound_fields()
    readers = sorted(binding.all_readers)
    return {"readers": readers, "bound": bool(readers), "bound_at": binding.fqid.version}


def _rebound(head: Any, bound: dict[str, Any]) -> Step | None:
    if not head.exists or head.to_dict().get("bound_at", "") >= bound["bound_at"]:
        return None
    return bound, []
