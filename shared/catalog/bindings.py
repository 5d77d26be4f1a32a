"""The catalog of bindings: who may read and write a UUID.

Collection `access` has a document for each binding ever made, a head as every other kind of object has.
Collection `bindings` has a document per UUID: the binding that is in effect, and the newest that was made.
What a binding says is also on every head of its UUID, so that a read needs no request more. A head is created
only if the binding is still the one that its fields were taken from, and a change goes to all heads that
exist: so there is none that a change misses.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.cloud.firestore import FieldFilter
from google.cloud.firestore_v1 import ExistsOption, LastUpdateOption

from shared.catalog.database import Database, NameTaken, Step, Write, create_document
from shared.errors import Conflict
from shared.identifiers import Fqid

# Documents that one query returns.
_PAGE = 500
# How often a head is created anew because its binding has changed meanwhile, before its writer gives up.
_ATTEMPTS = 10
# The collections of heads with a UUID's readers, by the field that names it.
_HEADS = ("files", "bundles", "owned_collections", "checkout_jobs")


@dataclass(frozen=True, kw_only=True)
class Binding:
    """Who may read and write a UUID, from the time on that `version` is.

    `readers` are groups, `public` or `signed-in`; none: what the deployment does by default. Only members of
    `owner_group`, if there is one, may write. `with_files`: the files of a bundle are bound with it, those of
    later versions too. `by` made it.
    """

    fqid: Fqid
    readers: frozenset[str] = frozenset()
    owner_group: str = ""
    with_files: bool = False
    by: str = ""
    available: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def all_readers(self) -> frozenset[str]:
        """The readers, the group that owns it among them; none if nobody is bound."""
        return self.readers | ({self.owner_group} - {""}) if self.readers else self.readers


@dataclass(frozen=True, kw_only=True)
class CurrentBinding:
    """The binding in effect of a UUID; `claimed` is the version of the newest one, which may still be on its
    way. `revision` is when its document last changed.
    """

    binding: Binding
    claimed: str
    revision: Any = field(compare=False)


class BindingCatalog:
    """Reads and writes of bindings."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("access")
        self._current = database.client.collection("bindings")
        self._marks = database.client.collection("binding_marks")

    def get(self, fqid: Fqid) -> Binding | None:
        """Return a binding, in effect or not, in one read."""
        snapshot = self._database.get(self._collection.document(str(fqid)))
        return binding_of(snapshot) if snapshot.exists else None

    def current(self, uuid: str) -> CurrentBinding | None:
        """Return the binding in effect of a UUID, in one read; None if it never had one."""
        snapshot = self._database.get(self._current.document(uuid))
        return _current_of(snapshot) if snapshot.exists else None

    def current_many(self, uuids: Iterable[str]) -> Mapping[str, CurrentBinding]:
        """Return the bindings in effect of those of the UUIDs that have one, one read each, in parallel."""
        references = [self._current.document(uuid) for uuid in dict.fromkeys(uuids)]
        found = map(_current_of, self._database.get_many(references))
        return {current.binding.fqid.uuid: current for current in found}

    def all_current(self, after: str = "") -> Iterator[CurrentBinding]:
        """Yield the bindings in effect, in order of UUID, one read each."""
        query = self._current.order_by("uuid")
        if after:
            query = query.start_after({"uuid": after})
        return map(_current_of, self._database.every(query, _PAGE))

    def create(self, binding: Binding) -> bool:
        """Make a binding known that a bucket has. It is not in effect yet. Safe to repeat.

        Returns False if it was known. Raises Conflict if the name has other content.
        """
        try:
            self._database.commit(create_document(self._reference(binding), self._document(binding)))
        except NameTaken:
            if self.get(binding.fqid) != binding:
                raise Conflict(f"access {binding.fqid} exists with other content") from None
            return False
        return True

    def claim(self, binding: Binding, before: CurrentBinding | None) -> bool:
        """Make a new binding, which follows the one that was read; return False if another one does."""
        current = self._current.document(binding.fqid.uuid)
        claimed = {"claimed": binding.fqid.version}

        def follow(batch: Any) -> None:
            if before is None:
                batch.create(current, {**_fields(Binding(fqid=Fqid(binding.fqid.uuid, ""))), **claimed})
            else:
                batch.update(current, claimed, option=LastUpdateOption(before.revision))

        try:
            self._database.commit(create_document(self._reference(binding), self._document(binding)), follow)
        except NameTaken:
            return False
        return True

    def put_into_effect(self, binding: Binding) -> None:
        """Let a binding count, unless a later one does. Heads have the one before until `bind_heads`."""

        def step(snapshot: Any) -> Step | None:
            known = snapshot.to_dict() if snapshot.exists else {}
            if known.get("version", "") >= binding.fqid.version:
                return None
            claimed = max(known.get("claimed", ""), binding.fqid.version)
            # Before anybody looks for bundles with this file: see `changed_files`.
            mark = (self._marks.document("files"), {"changed": self._database.clock.now()})
            return {**_fields(binding), "claimed": claimed}, [lambda batch: batch.set(*mark)]

        self._database.advance(self._current.document(binding.fqid.uuid), step)

    def make_available(self, fqid: Fqid, replica: str) -> None:
        """Note that a replica has a binding, and that all heads follow it. Safe to repeat."""
        head = self._collection.document(str(fqid))
        self._database.commit(lambda batch: batch.update(head, self._database.gained(replica)))

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

    def narrow(self, fqid: Fqid, readers_of: Any) -> frozenset[str] | None:
        """Set who may read the content of a bundle version: what `readers_of(head)` returns.

        It is called again if the head changes meanwhile. Returns the readers; None if there is no such head.
        """
        narrowed: list[frozenset[str]] = []

        def step(snapshot: Any) -> Step | None:
            if not snapshot.exists:
                return None
            readers = readers_of(snapshot)
            narrowed.append(readers)
            if frozenset(snapshot.to_dict().get("content_readers", ())) == readers:
                return None
            return {"content_readers": sorted(readers)}, []

        self._database.advance(self._database.client.collection("bundles").document(str(fqid)), step)
        return narrowed[-1] if narrowed else None

    def any_in_effect(self) -> bool:
        """Return whether any UUID was ever bound, in one read.

        Who writes pages of a bundle first, and asks then, misses no file that is bound: the binding either
        comes before the answer, or finds the pages.
        """
        return bool(self._database.get(self._marks.document("files")).exists)

    def _reference(self, binding: Binding) -> Any:
        return self._collection.document(str(binding.fqid))

    def _document(self, binding: Binding) -> dict[str, Any]:
        return {**_fields(binding), **self._database.new_head()}


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


def _fields(binding: Binding) -> dict[str, Any]:
    return {
        "uuid": binding.fqid.uuid,
        "version": binding.fqid.version,
        "readers": sorted(binding.readers),
        "owner_group": binding.owner_group,
        "with_files": binding.with_files,
        "by": binding.by,
    }


def binding_of(snapshot: Any) -> Binding:
    """Return the binding that a document of `access` or `bindings` holds."""
    document = snapshot.to_dict()
    return Binding(
        fqid=Fqid(document["uuid"], document["version"]),
        readers=frozenset(document["readers"]),
        owner_group=document["owner_group"],
        with_files=document["with_files"],
        by=document["by"],
        available=frozenset(document.get("available", ())),
    )


def _current_of(snapshot: Any) -> CurrentBinding:
    return CurrentBinding(
        binding=binding_of(snapshot), claimed=snapshot.get("claimed"), revision=snapshot.update_time
    )
