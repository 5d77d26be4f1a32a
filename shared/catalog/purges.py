"""The catalog of purges: what was removed for good, or is about to be.

Collection `purges` has a document for each record of a purge, or of its undoing, as every other kind of
object has. What is in effect for a UUID is in its document of `bindings`, which every writer of a head reads
or guards: so nothing purged is written again. A purge withholds heads: their `available` moves to `withheld`,
so that no read, list or query finds them, and none needs a read more. Events leave the log in the same way.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from google.cloud.firestore import FieldFilter

from shared.catalog.bindings import ALL_VERSIONS, MOST_PURGES, BindingCatalog, PurgeInEffect
from shared.catalog.collections import number_of
from shared.catalog.database import Database, NameTaken, Step, create_document, new_shard
from shared.catalog.scan import by_name
from shared.errors import Conflict, IllegalArguments
from shared.identifiers import Fqid, event_ids

_PAGE = 500
# Heads of versions; owners of collections and checkouts are withheld in ways of their own.
_HEADS = ("files", "bundles", "collections")


@dataclass(frozen=True, kw_only=True)
class Purge:
    """The removal of one version, or of a UUID with all versions if `of` is empty; or its end if `undone`.

    `fqid` names the record: the UUID, and the moment at which it was made. Nothing is removed before `due`, a
    version. `part_of` names the record of another purge that this one was made with.
    """

    fqid: Fqid
    of: str
    reason: str
    by: str
    due: str
    part_of: str = ""
    undone: bool = False
    available: frozenset[str] = field(default=frozenset(), compare=False)
    # Whether something is left to do about it: to remove what it names, or to wait for that.
    open: bool = field(default=True, compare=False)
    # Whether all that is made of what it names has followed it.
    scrubbed: bool = field(default=False, compare=False)

    @property
    def subject(self) -> str:
        """The UUID, or the FQID, that is removed."""
        return f"{self.fqid.uuid}.{self.of}" if self.of else self.fqid.uuid

    @property
    def content(self) -> dict[str, Any]:
        """What the record says besides its name, as documents and its object have it."""
        return {name: getattr(self, name) for name in ("of", "reason", "by", "due", "part_of", "undone")}

    def covers(self, version: str) -> bool:
        """Return whether a version of the UUID is among what is removed."""
        return self.of in ("", version)


class PurgeCatalog:
    """Reads and writes of purges, and their effect on heads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("purges")
        self._current = database.client.collection("bindings")
        self._marks = database.client.collection("binding_marks")
        self._bindings = BindingCatalog(database)

    def get(self, fqid: Fqid) -> Purge | None:
        """Return a record, in effect or not, in one read."""
        snapshot = self._database.get(self._collection.document(str(fqid)))
        return purge_of(snapshot) if snapshot.exists else None

    def create(self, purge: Purge) -> bool:
        """Make a record known. It is not in effect yet. Safe to repeat.

        Returns False if it was known. Raises Conflict if the name has other content.
        """
        document = {**_fields(purge), "open": True, "scrubbed": False, **self._database.new_head()}
        try:
            self._database.commit(create_document(self._collection.document(str(purge.fqid)), document))
        except NameTaken:
            if self.get(purge.fqid) != purge:
                raise Conflict(f"purge {purge.fqid} exists with other content") from None
            return False
        return True

    def put_into_effect(self, purge: Purge) -> None:
        """Withhold what a purge names, or give it back, at one moment, unless a later record counts.

        Safe to repeat. Raises IllegalArguments if too many versions of the UUID were purged one by one.
        """
        uuid, name = purge.fqid.uuid, purge.of or ALL_VERSIONS

        def work(transaction: Any) -> None:
            current = self._current.document(uuid).get(transaction=transaction)
            known: dict[str, Any] = current.to_dict() or self._bindings.empty(uuid)
            purges = dict(known.get("purges", {}))
            if purges.get(name, {}).get("record", "") >= purge.fqid.version:
                return
            purges[name] = {
                "record": purge.fqid.version,
                "reason": purge.reason,
                "undone": purge.undone,
                "removed": False,
            }
            if len(purges) > MOST_PURGES:
                raise IllegalArguments(f"{uuid}: {MOST_PURGES} versions were purged; purge the whole UUID")
            changes = self._changes(transaction, uuid, PurgeInEffect.all_of(purges))
            # Before anybody looks for bundles with this file: see `BindingCatalog.last_change`.
            transaction.set(self._marks.document("files"), {"changed": self._database.clock.now()})
            transaction.set(current.reference, {**known, "purges": purges})
            for reference, change in changes:
                transaction.update(reference, change)

        self._database.transact(work)

    def _changes(
        self, transaction: Any, uuid: str, purges: Mapping[str, PurgeInEffect]
    ) -> list[tuple[Any, dict[str, Any]]]:
        """Return the changes of all documents of a UUID that make them follow its purges."""

        is_purged = partial(_is_purged, purges)
        found: dict[str, list[Any]] = {}
        for collection in (*_HEADS, "owned_collections", "checkout_jobs"):
            query = self._database.client.collection(collection).where(filter=FieldFilter("uuid", "==", uuid))
            found[collection] = list(transaction.get(query))
        changes = [
            (head.reference, change)
            for collection in _HEADS
            for head in found[collection]
            if (change := self._head_change(head.to_dict(), purged=is_purged(head.get("version"))))
        ]
        for job in found["checkout_jobs"]:
            changes.append((job.reference, {"purged": is_purged(job.get("fqid").partition(".")[2])}))
        seen = [
            head.get("version")
            for head in found["collections"]
            if not is_purged(head.get("version"))
            and (head.get("available") or head.to_dict().get("withheld"))
        ]
        for owned in found["owned_collections"]:
            newest = number_of(max(seen)) if seen else None
            changes.append(
                (
                    owned.reference,
                    {"purged": is_purged(ALL_VERSIONS), "newest": newest, "visible": newest is not None},
                )
            )
        changes += self._event_changes(
            transaction, uuid, [head.get("version") for head in found["bundles"]], is_purged
        )
        return changes

    def _head_change(self, head: Mapping[str, Any], *, purged: bool) -> dict[str, Any]:
        if bool(head.get("purged")) == purged:
            return {}
        if purged:
            return {
                "purged": True,
                "withheld": head["available"],
                "available": [],
                "missing": [],
                # Sweeps look into no such shard, also if something is not published yet.
                "shard": None,
            }
        back = head["withheld"]
        return {
            "purged": False,
            "withheld": [],
            "available": back,
            "missing": sorted(name for name in self._database.replicas if name not in back),
            # Sweeps may have passed the time at which it was created.
            "missing_since": self._database.clock.now(),
            "shard": new_shard(),
        }

    def withhold_events(self, uuid: str, versions: Collection[str]) -> None:
        """Take events of these versions out of the log that were recorded while a purge took effect.

        Whether a version is purged is read with its events: what an undo has restored is in the log. Safe to
        repeat.
        """

        def work(transaction: Any) -> None:
            current = self._current.document(uuid).get(transaction=transaction)
            purges = PurgeInEffect.all_of((current.to_dict() or {}).get("purges", {}))
            is_purged = partial(_is_purged, purges)
            for reference, change in self._event_changes(transaction, uuid, versions, is_purged):
                transaction.update(reference, change)

        self._database.transact(work)

    def _event_changes(
        self, transaction: Any, uuid: str, versions: Collection[str], is_purged: Callable[[str], bool]
    ) -> list[tuple[Any, dict[str, Any]]]:
        """Return the changes that take events out of the log of their replica, or put them back."""
        events = self._database.client.collection("events")
        names = {
            name: version
            for version in versions
            for name in event_ids(self._database.replicas, Fqid(uuid, version))
        }
        changes: list[tuple[Any, dict[str, Any]]] = []
        # Firestore refuses to get no documents.
        for event in transaction.get_all([events.document(name) for name in names]) if names else ():
            if not event.exists:
                continue
            withheld = event.to_dict().get("withheld_from", "")
            if is_purged(names[event.id]) and not withheld:
                changes.append((event.reference, {"replica": "", "withheld_from": event.get("replica")}))
            if not is_purged(names[event.id]) and withheld:
                changes.append((event.reference, {"replica": withheld, "withheld_from": ""}))
        return changes

    def make_available(self, fqid: Fqid, replica: str) -> None:
        """Note that a replica has a record, and that it is in effect. Safe to repeat."""
        head = self._collection.document(str(fqid))
        self._database.commit(lambda batch: batch.update(head, self._database.gained(replica)))

    def mark_removed(self, purge: Purge) -> None:
        """Note that nothing is left of what a purge names. Safe to repeat."""
        head = self._collection.document(str(purge.fqid))
        name = purge.of or ALL_VERSIONS

        def step(snapshot: Any) -> Step | None:
            purges = dict(snapshot.get("purges"))
            if purges[name]["record"] != purge.fqid.version:
                return None
            removed = {**purges[name], "removed": True}
            return {"purges": {**purges, name: removed}}, [lambda batch: batch.update(head, {"open": False})]

        self._database.advance(self._current.document(purge.fqid.uuid), step)

    def mark_scrubbed(self, purge: Purge) -> None:
        """Note that all that is made of what a record names has followed it. Safe to repeat."""
        head = self._collection.document(str(purge.fqid))
        # Nothing is left to do about an undoing.
        changes = {"scrubbed": True, **({"open": False} if purge.undone else {})}
        self._database.commit(lambda batch: batch.update(head, changes))

    def close(self, purge: Purge) -> None:
        """Note that nothing is left to do about a record, because a later one counts. Safe to repeat."""
        head = self._collection.document(str(purge.fqid))
        self._database.commit(lambda batch: batch.update(head, {"open": False}))

    def of_uuid(self, uuid: str) -> list[Purge]:
        """Return all records about a UUID, in order of time, one read each."""
        query = self._collection.where(filter=FieldFilter("uuid", "==", uuid))
        return sorted(map(purge_of, self._database.query(query)), key=lambda purge: purge.fqid)

    def parts_of(self, purge: Purge) -> Iterator[Purge]:
        """Yield the records that were made with a purge, one read each."""
        query = self._collection.where(filter=FieldFilter("part_of", "==", str(purge.fqid))).order_by(
            "__name__"
        )
        return map(purge_of, self._database.every(query, _PAGE))

    def unfinished(self) -> Iterator[Purge]:
        """Yield the open records, in order of name, one read each; a later record may count instead."""
        query = self._collection.where(filter=FieldFilter("open", "==", True)).order_by("__name__")
        return map(purge_of, self._database.every(query, _PAGE))

    def scan(self, since: str = "", until: str = "") -> Iterator[Purge]:
        """Yield all records, in order of FQID, from `since` to `until`; one read each."""
        return map(purge_of, self._database.every(by_name(self._collection, since, until), _PAGE))

    def delete_heads(self, purge: Purge, kinds: Mapping[str, str]) -> None:
        """Remove the heads that a purge withholds, with their pages, events and markers. Safe to repeat.

        `kinds` maps collections of heads to those of their tombstones, empty if they have none.
        """
        client = self._database.client
        for collection, tombstones in kinds.items():
            for head in self._of_uuid(collection, purge.fqid.uuid):
                if purge.covers(head.get("version")) and head.to_dict().get("purged"):
                    if collection == "bundles":
                        self._delete(*self._events(Fqid(purge.fqid.uuid, head.get("version"))))
                    self._delete(*head.reference.collection("pages").list_documents(), head.reference)
            if tombstones:
                self._delete(client.collection(tombstones).document(purge.subject))
            if tombstones and not purge.of:
                self._delete(*self._tombstones(tombstones, purge.fqid.uuid))
        if not purge.of:
            markers = ("hidden_bundles", "owned_collections")
            self._delete(*(client.collection(name).document(purge.fqid.uuid) for name in markers))

    def _events(self, fqid: Fqid) -> list[Any]:
        events = self._database.client.collection("events")
        return [events.document(name) for name in event_ids(self._database.replicas, fqid)]

    def _tombstones(self, collection: str, uuid: str) -> list[Any]:
        """Return all tombstones of a UUID, by their names: their fields have no index."""
        documents = self._database.client.collection(collection)
        query = documents.order_by("__name__").start_at({"__name__": documents.document(uuid)})
        query = query.end_at({"__name__": documents.document(f"{uuid}.~")})
        return [snapshot.reference for snapshot in self._database.query(query)]

    def _of_uuid(self, collection: str, uuid: str) -> list[Any]:
        query = self._database.client.collection(collection).where(filter=FieldFilter("uuid", "==", uuid))
        return self._database.query(query)

    def _delete(self, *references: Any) -> None:
        for start in range(0, len(references), _PAGE):
            self._database.commit(
                *(lambda batch, one=one: batch.delete(one) for one in references[start : start + _PAGE])
            )


def _is_purged(purges: Mapping[str, PurgeInEffect], version: str) -> bool:
    return any(name in purges and not purges[name].undone for name in (ALL_VERSIONS, version))


def _fields(purge: Purge) -> dict[str, Any]:
    return {
        "uuid": purge.fqid.uuid,
        "version": purge.fqid.version,
        **purge.content,
    }


def purge_of(snapshot: Any) -> Purge:
    """Return the record that a document of `purges` holds."""
    document = snapshot.to_dict()
    names = ("of", "reason", "by", "due", "part_of", "undone", "open", "scrubbed")
    return Purge(
        fqid=Fqid(document["uuid"], document["version"]),
        available=frozenset(document["available"]),
        **{name: document[name] for name in names},
    )
