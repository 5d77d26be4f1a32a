"""The catalog of collections: `owned_collections`, a document per UUID; `collections`, a head per version.

The document of a UUID has the owner, the newest version that is visible on any replica, and whether the
collection is hidden: with all its versions, those that are written later included. The contents of a version
are in pages under its head.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from google.cloud import firestore
from google.cloud.firestore import FieldFilter, Query

from shared.catalog.bindings import BindingCatalog, CurrentBinding, bound_fields, require_not_purged
from shared.catalog.database import Database, NameTaken, Write
from shared.catalog.pages import Pages
from shared.errors import CollectionAlreadyExists, PreconditionFailed
from shared.identifiers import Fqid, Kind, moment_of, version_of
from shared.totals import Total

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Firestore: the offset of a query is an int32.
_LAST_POSITION = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class OwnedCollection:
    """The owner of a collection, and its newest version; None if no version is visible on any replica.

    `readers` are those that its UUID is bound to. `purged`: it was removed for good, or is about to be.
    """

    uuid: str
    owner: str
    newest: str | None
    hidden: bool
    purged: bool = False
    readers: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class CollectionHead:
    """A version of a collection, without its contents.

    `digest` is the SHA-256 of the manifest: two versions with the same FQID and digest are the same.
    """

    fqid: Fqid
    owner: str
    item_count: int
    page_count: int
    digest: str
    available: frozenset[str] = frozenset()
    # Whether it is about to be removed for good, and the replicas on which reads would see it otherwise.
    purged: bool = False
    withheld: frozenset[str] = frozenset()
    # The size and checksums of all that it links to, once somebody has asked for them, and those who were
    # readers of all of that.
    total: Total | None = field(default=None, compare=False)
    total_readers: frozenset[str] = field(default=frozenset(), compare=False)


class CollectionCatalog:
    """Reads and writes of collections."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("collections")
        self._owned = database.client.collection("owned_collections")
        self._pages = Pages(database, "lines")
        self._bindings = BindingCatalog(database)

    def owned(self, uuid: str) -> OwnedCollection | None:
        """Return the owner and newest version of a collection, in one read; None if it does not exist."""
        snapshot = self._database.get(self._owned.document(uuid))
        return _owned_of(snapshot) if snapshot.exists else None

    def owned_many(self, uuids: Iterable[str]) -> Mapping[str, OwnedCollection]:
        """Return the owners and newest versions of the collections that exist, one read each, in parallel."""
        references = [self._owned.document(uuid) for uuid in dict.fromkeys(uuids)]
        return {owned.uuid: owned for owned in map(_owned_of, self._database.get_many(references))}

    def owned_by(self, owner: str, start: int, count: int) -> list[Fqid]:
        """Return up to `count` collections of an owner that are not hidden, each in its newest version.

        In order of UUID, from position `start` on. One read each, and one for each that is skipped.
        """
        query = (
            self._owned.where(filter=FieldFilter("owner", "==", owner))
            .where(filter=FieldFilter("visible", "==", True))
            .where(filter=FieldFilter("hidden", "==", False))
            .order_by("uuid")
            .offset(min(start, _LAST_POSITION))
            .limit(count)
        )
        owned = map(_owned_of, self._database.query(query))
        return [Fqid(collection.uuid, collection.newest or "") for collection in owned]

    def create(
        self,
        head: CollectionHead,
        owned: OwnedCollection | None,
        *also: Write,
        binding: CurrentBinding | None = None,
    ) -> bool:
        """Claim the FQID for this content, and the UUID for its owner, for the whole system and for ever.

        `owned` is the last read of the UUID's document, and `binding` that of its binding. Returns False if
        the same content has claimed the FQID before. Raises CollectionAlreadyExists if other content has, or
        another owner has claimed the UUID; Gone if it was removed for good. Commits other writes with it, or
        nothing: raises PreconditionFailed if one of them fails. The caller writes the pages next.
        """
        for known in self._bindings.attempts(head.fqid.uuid, binding):
            require_not_purged(known, head.fqid)
            claims = [self._claim(head), self._bindings.guard(head.fqid.uuid, known), *also]
            if owned is None:
                claims.append(self._claim_uuid(head, known))
            with suppress(NameTaken):
                self._database.commit(*claims)
                return True
            if self._bindings.current(head.fqid.uuid) == known:
                break
        owned = self.owned(head.fqid.uuid)
        if owned and owned.owner != head.owner:
            raise CollectionAlreadyExists(f"collection {head.fqid.uuid} is somebody else's")
        before = self.head(head.fqid)
        if before is None and also:
            raise PreconditionFailed(f"collection {head.fqid.uuid}: somebody else has just changed it")
        if before is None:
            # Another version has claimed the UUID meanwhile, for the same owner; or it has been bound.
            return self.create(head, owned, binding=self._bindings.current(head.fqid.uuid))
        if before.digest != head.digest:
            raise CollectionAlreadyExists(f"collection {head.fqid} exists with other content")
        return False

    def _claim(self, head: CollectionHead) -> Any:
        document = {
            "uuid": head.fqid.uuid,
            "version": head.fqid.version,
            "owner": head.owner,
            "item_count": head.item_count,
            "page_count": head.page_count,
            "digest": head.digest,
            **self._database.new_head(),
        }
        return lambda batch: batch.create(self._collection.document(str(head.fqid)), document)

    def _claim_uuid(self, head: CollectionHead, binding: CurrentBinding | None) -> Any:
        document = {
            "uuid": head.fqid.uuid,
            "owner": head.owner,
            "newest": None,
            "visible": False,
            "hidden": False,
            **bound_fields(binding.record if binding else None),
        }
        return lambda batch: batch.create(self._owned.document(head.fqid.uuid), document)

    def write_pages(self, fqid: Fqid, pages: Sequence[bytes], linked: Sequence[Sequence[str]]) -> None:
        """Write the contents of a version, one write per page. Safe to repeat.

        The caller has claimed the FQID for these contents. `linked` says for each page what it links to, as
        `linking_to` finds it: `bundles/UUID`.
        """
        fields = ({"linked": list(names)} for names in linked)
        self._pages.write(self._collection.document(str(fqid)), pages, fields)

    def linking_to(self, kind: Kind, uuid: str, most: int) -> list[Fqid]:
        """Return the versions of collections that link to a UUID, hidden ones and claims included.

        One read for each page that does, at most `most`.
        """
        query = (
            self._database.client.collection_group("pages")
            .where(filter=FieldFilter("linked", "array_contains", f"{kind}/{uuid}"))
            .select([])
            .limit(most)
        )
        heads = (snapshot.reference.parent.parent.id for snapshot in self._database.query(query))
        return list(map(Fqid.parse, dict.fromkeys(heads)))

    def pages(self, head: CollectionHead, first: int = 0) -> Iterator[bytes]:
        """Return the pages of a version from number `first` on, one read each, in parallel.

        All are read when this returns; each is decompressed when the iterator reaches it. Raises
        CatalogBroken if one is missing.
        """
        return self._pages.read(self._collection.document(str(head.fqid)), range(first, head.page_count))

    def about(self, head: CollectionHead) -> bytes:
        """Return what is said about a version, as JSON, in one read. Raises CatalogBroken if it is gone."""
        [first] = self._pages.read(self._collection.document(str(head.fqid)), range(1))
        return first.partition(b"\n")[0]

    def make_available(self, fqid: Fqid, replica: str) -> None:
        """Make the version visible on a replica, unless the collection is hidden. Safe to repeat."""
        head, owned = self._collection.document(str(fqid)), self._owned.document(fqid.uuid)
        # A number, because Firestore can keep the greater of two numbers by itself.
        newest = {"visible": True, "newest": firestore.Maximum(number_of(fqid.version))}
        self._bindings.commit_unless_purged(
            fqid,
            lambda batch: batch.update(head, self._database.gained(replica)),
            lambda batch: batch.update(owned, newest),
        )

    def keep_total(self, fqid: Fqid, total: Total, readers: frozenset[str]) -> None:
        """Have the head of a version say what it links to is together, and who may read all of that.

        Safe to repeat.
        """
        head = self._collection.document(str(fqid))
        kept = {"total": total.document, "total_readers": sorted(readers)}
        self._database.commit(lambda batch: batch.update(head, kept))

    def head(self, fqid: Fqid) -> CollectionHead | None:
        """Return the head of a version, available or not, hidden or not, in one read."""
        snapshot = self._database.get(self._collection.document(str(fqid)))
        return collection_head_of(snapshot) if snapshot.exists else None

    def get_many(self, fqids: Iterable[Fqid]) -> Mapping[Fqid, CollectionHead]:
        """Return the heads of the versions that exist, hidden or not, one read each, in parallel."""
        references = [self._collection.document(str(fqid)) for fqid in dict.fromkeys(fqids)]
        heads = map(collection_head_of, self._database.get_many(references))
        return {head.fqid: head for head in heads}

    def versions(self, uuid: str) -> list[CollectionHead]:
        """Return the heads of all versions, available or not, in order; one read each."""
        found = self._database.query(self._collection.where(filter=FieldFilter("uuid", "==", uuid)))
        return sorted(map(collection_head_of, found), key=lambda head: head.fqid)

    def newest(self, uuid: str, replica: str) -> CollectionHead | None:
        """Return the head of the newest version on a replica, hidden or not, in one read."""
        snapshots = self._database.query(
            self._collection.where(filter=FieldFilter("uuid", "==", uuid))
            .where(filter=FieldFilter("available", "array_contains", replica))
            .order_by("version", direction=Query.DESCENDING)
            .limit(1)
        )
        return collection_head_of(snapshots[0]) if snapshots else None


def number_of(version: str) -> int:
    """Return a version as microseconds since 1970."""
    return (moment_of(version) - _EPOCH) // timedelta(microseconds=1)


def _owned_of(snapshot: Any) -> OwnedCollection:
    document = snapshot.to_dict()
    newest = document.get("newest")
    return OwnedCollection(
        uuid=document["uuid"],
        owner=document["owner"],
        newest=None if newest is None else version_of(_EPOCH + timedelta(microseconds=newest)),
        hidden=document["hidden"],
        purged=document.get("purged", False),
        # None yet if a rebuild has found the tombstone first; nobody sees it then.
        readers=frozenset(document.get("readers", ())),
    )


def collection_head_of(snapshot: Any) -> CollectionHead:
    """Return the head that a document of `collections` holds."""
    document = snapshot.to_dict()
    return CollectionHead(
        fqid=Fqid(document["uuid"], document["version"]),
        owner=document["owner"],
        item_count=document["item_count"],
        page_count=document["page_count"],
        digest=document["digest"],
        available=frozenset(document["available"]),
        purged=document.get("purged", False),
        withheld=frozenset(document.get("withheld", ())),
        total=Total.of_document(document.get("total")),
        total_readers=frozenset(document.get("total_readers", ())),
    )
