"""The catalog of bundle versions: collection `bundles`, one head per version, named by its FQID.

The files of a bundle are in pages under its head. `shared.catalog.tombstones` hides versions, but for this: a
version of a UUID that is hidden as a whole is hidden from the moment it becomes available.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice
from typing import Any

from google.cloud.firestore import And, FieldFilter, Or, Query
from google.cloud.firestore_v1 import ExistsOption

from shared.access import DEFAULT
from shared.catalog.bindings import Binding, BindingCatalog, CurrentBinding, bound_fields, require_not_purged
from shared.catalog.database import Database, NameTaken, Write, available_on, create_document
from shared.catalog.pages import Pages
from shared.checksums import Checksums
from shared.errors import (
    AlreadyOwned,
    BundleAlreadyExists,
    BundleTombstoneAlreadyExists,
    PreconditionFailed,
    Unavailable,
)
from shared.identifiers import Fqid
from shared.totals import Total

# Files per page. Firestore: a document is at most 1 MiB; 500 files with the longest names, compressed, are
# less.
PAGE_FILES = 500
# Rows of a list that one query reads. A row has some 150 bytes.
_MOST_ROWS = 2000
# Firestore: a query has at most 30 alternatives, and that of unbound bundles is one.
_MOST_NAMES = 29


@dataclass(frozen=True, kw_only=True)
class PagedFile:
    """A file of a bundle: its name, and the fields of its entry in the manifest."""

    name: str
    uuid: str
    version: str
    content_type: str
    size: int
    indexed: bool
    crc32c: str
    s3_etag: str
    sha1: str
    sha256: str

    @property
    def checksums(self) -> Checksums:
        """The checksums of its content."""
        return Checksums(sha256=self.sha256, sha1=self.sha1, s3_etag=self.s3_etag, crc32c=self.crc32c)


@dataclass(frozen=True, kw_only=True)
class BundleHead:
    """A bundle version, without its files.

    `digest` is the SHA-256 of the manifest: two versions with the same FQID and digest are the same.
    """

    fqid: Fqid
    creator_uid: int
    file_count: int
    digest: str
    available: frozenset[str] = frozenset()
    hidden: bool = False
    # The name of the tombstone that hid it, and the replicas on which it was visible until then. Both are
    # empty for a version that was hidden from the moment it became available.
    hidden_by: str = ""
    hidden_on: frozenset[str] = frozenset()
    # The outbox: the replicas on which its event is not published yet, whether it is available there or not.
    unpublished: frozenset[str] = frozenset()
    # Those whom its UUID is bound to; and those who may read the content, the metadata document and the files
    # included, if that is fewer because files are bound on their own.
    readers: frozenset[str] = field(default=frozenset(), compare=False)
    narrowed_readers: frozenset[str] = field(default=frozenset(), compare=False)
    # Whether it is about to be removed for good, and the replicas on which reads would see it otherwise.
    purged: bool = field(default=False, compare=False)
    withheld: frozenset[str] = field(default=frozenset(), compare=False)
    # Whether files of it were removed for good, or are about to be.
    lacks_files: bool = field(default=False, compare=False)
    # The size and checksums of its files together; None for a version that was written before it was kept.
    total: Total | None = field(default=None, compare=False)

    @property
    def content_readers(self) -> frozenset[str]:
        """Those who may read the content, the metadata document and the files included; none if unbound."""
        return self.narrowed_readers or self.readers

    def was_visible(self, replica: str) -> bool:
        """Return whether reads on a replica see the version, or saw it before it was hidden."""
        return not self.purged and replica in (self.hidden_on if self.hidden else self.available)


class BundleCatalog:
    """Reads and writes of bundle versions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("bundles")
        self._hidden_uuids = database.client.collection("hidden_bundles")
        self._pages = Pages(database, "files")
        self._bindings = BindingCatalog(database)

    def create(self, head: BundleHead, binding: CurrentBinding | None = None) -> bool:
        """Claim the FQID for this content, for the whole system and for ever; in one write.

        `binding` is the last read of the UUID's; it is read again if it has changed. Returns False if the
        same content has claimed the FQID before. Raises BundleAlreadyExists if other content has, and Gone if
        it was removed for good. The caller writes the pages next.
        """
        return self._create(head, binding)

    def create_visible(
        self, head: BundleHead, binding: CurrentBinding | None, *also: Write, claim: Binding | None = None
    ) -> bool:
        """Do as `create`, but only if reads will see the version. Commit other writes with it, or nothing.

        `claim` is a binding of the UUID to its owner, which follows `binding`, and takes effect with the
        version. Raises BundleTombstoneAlreadyExists if the version or its UUID is hidden for ever,
        AlreadyOwned if the owner is or becomes another one meanwhile, and PreconditionFailed if one of the
        other writes fails.
        """
        marker = self._hidden_uuids.document(head.fqid.uuid)
        # As in `make_available`: a precondition that costs no round trip and no read.
        unmarked = ExistsOption(exists=False)
        return self._create(
            head, binding, lambda batch: batch.delete(marker, option=unmarked), *also, claim=claim
        )

    def is_new(self, uuid: str) -> bool:
        """Return whether a UUID has no version yet, seen or not; in one read."""
        query = self._collection.where(filter=FieldFilter("uuid", "==", uuid)).select([]).limit(1)
        return not self._database.query(query)

    def _create(
        self, head: BundleHead, binding: CurrentBinding | None, *also: Write, claim: Binding | None = None
    ) -> bool:
        reference = self._collection.document(str(head.fqid))
        document = {
            "fqid": str(head.fqid),
            "uuid": head.fqid.uuid,
            "version": head.fqid.version,
            "creator_uid": head.creator_uid,
            "file_count": head.file_count,
            "digest": head.digest,
            "hidden": False,
            **({"total": head.total.document} if head.total else {}),
            **self._database.new_head(),
            **self._database.unpublished_everywhere(),
        }
        existing = None
        owner = _owner(claim or (binding.record if binding else None))
        for known in self._bindings.attempts(head.fqid.uuid, binding):
            require_not_purged(known, head.fqid)
            record = claim or (known.record if known else None)
            # What replication finds has been written by somebody who was allowed to.
            if also and _owner(record) != owner:
                raise AlreadyOwned(
                    f"bundle {head.fqid.uuid}: its owner has just changed; read it, and try again"
                )
            with suppress(NameTaken):
                self._database.commit(
                    create_document(reference, document | bound_fields(record)),
                    *self._bound_by(head.fqid.uuid, known, claim),
                    *also,
                )
                return True
            existing = self.head(head.fqid)
            if also:
                self._require_visible(head.fqid, existing)
            if (existing and claim is None) or self._bindings.current(head.fqid.uuid) == known:
                break
            # Somebody else has bound the UUID meanwhile, perhaps to the same owner.
            claim = None
        if existing and claim:
            raise AlreadyOwned(f"bundle {head.fqid.uuid}: it has a version, and no owner to be claimed by")
        if existing is None:
            raise PreconditionFailed(f"bundle {head.fqid.uuid}: somebody else has just changed it")
        if existing.digest != head.digest:
            raise BundleAlreadyExists(f"bundle {head.fqid} exists with other files or another creator")
        return False

    def _bound_by(self, uuid: str, known: CurrentBinding | None, claim: Binding | None) -> Sequence[Write]:
        """Return the writes that fail unless the binding of a new head is still the one that was read."""
        if claim:
            return self._bindings.claim_in_effect(claim, known)
        return (self._bindings.guard(uuid, known),)

    def _require_visible(self, fqid: Fqid, existing: BundleHead | None) -> None:
        if self._database.get(self._hidden_uuids.document(fqid.uuid)).exists:
            raise BundleTombstoneAlreadyExists(f"bundle {fqid.uuid} is deleted for ever; choose another UUID")
        if existing and existing.hidden:
            raise BundleTombstoneAlreadyExists(f"bundle {fqid} is deleted for ever; choose another version")

    def write_pages(self, fqid: Fqid, files: Sequence[PagedFile]) -> None:
        """Write the files of a bundle, one write per PAGE_FILES of them. Safe to repeat.

        The caller has claimed the FQID for these files, in this order.
        """
        starts = range(0, len(files), PAGE_FILES)
        pages = (_pack(files[start : start + PAGE_FILES]) for start in starts)
        # By these a change of a file's binding, and a removal for good, find the bundles that name it.
        contained = (
            {"contains": sorted({file.uuid for file in files[start : start + PAGE_FILES]})}
            for start in starts
        )
        self._pages.write(self._collection.document(str(fqid)), pages, contained)

    def make_available(self, fqid: Fqid, replica: str) -> None:
        """Make the bundle visible on a replica, or hidden if its whole UUID is hidden. Safe to repeat.

        One commit decides: it fails if the UUID's marker exists, and then the version is hidden. Raises Gone
        if it was removed for good.
        """
        head = self._collection.document(str(fqid))
        marker = self._hidden_uuids.document(fqid.uuid)
        changes = self._database.gained(replica)
        for known in self._bindings.attempts(fqid.uuid, None):
            require_not_purged(known, fqid)
            guard = self._bindings.guard(fqid.uuid, known)
            with suppress(NameTaken):
                # The delete of a document that must not exist changes nothing. Its precondition is what
                # counts: unlike a read in a transaction, it costs no round trip and no read.
                self._database.commit(
                    lambda batch: batch.update(head, changes),
                    lambda batch: batch.delete(marker, option=ExistsOption(exists=False)),
                    guard,
                )
                return
            with suppress(NameTaken):
                self._database.commit(lambda batch: batch.update(head, {**changes, "hidden": True}), guard)
                return
        raise Unavailable(f"bundle {fqid}: its binding changes all the time; try again")

    def keep_total(self, fqid: Fqid, total: Total) -> None:
        """Have the head of a version say what its files are together. Safe to repeat."""
        head = self._collection.document(str(fqid))
        self._database.commit(lambda batch: batch.update(head, {"total": total.document}))

    def mark_published(self, fqid: Fqid, replica: str) -> None:
        """Take a replica from the outbox: the version's event is published there. Safe to repeat."""
        head = self._collection.document(str(fqid))
        self._database.commit(lambda batch: batch.update(head, self._database.published(replica)))

    def hidden_by(self, name: str) -> Iterator[BundleHead]:
        """Yield the heads of the versions that a tombstone, named by UUID or FQID, has hidden."""
        query = self._collection.where(filter=FieldFilter("hidden_by", "==", name)).order_by("__name__")
        return map(head_of, self._database.every(query, PAGE_FILES))

    def head(self, fqid: Fqid) -> BundleHead | None:
        """Return the head of a version, available or not, hidden or not, in one read."""
        snapshot = self._database.get(self._collection.document(str(fqid)))
        return head_of(snapshot) if snapshot.exists else None

    def get_many(self, fqids: Iterable[Fqid]) -> Mapping[Fqid, BundleHead]:
        """Return the heads of the versions that exist, hidden or not, one read each, in parallel."""
        references = [self._collection.document(str(fqid)) for fqid in dict.fromkeys(fqids)]
        return {head.fqid: head for head in map(head_of, self._database.get_many(references))}

    def newest(self, uuid: str, *replicas: str) -> BundleHead | None:
        """Return the head of the newest version on one of some replicas that is not hidden, in one read."""
        snapshots = self._database.query(
            self._collection.where(filter=FieldFilter("uuid", "==", uuid))
            .where(filter=FieldFilter("hidden", "==", False))
            .where(filter=available_on(*replicas))
            .order_by("version", direction=Query.DESCENDING)
            .limit(1)
        )
        return head_of(snapshots[0]) if snapshots else None

    def any_version(self, uuid: str, replica: str) -> BundleHead | None:
        """Return the head of some version on a replica, hidden or not, in one read."""
        snapshots = self._database.query(
            self._collection.where(filter=FieldFilter("uuid", "==", uuid))
            .where(filter=FieldFilter("available", "array_contains", replica))
            .limit(1)
        )
        return head_of(snapshots[0]) if snapshots else None

    def versions(self, uuid: str) -> list[BundleHead]:
        """Return the heads of all versions, available or not, hidden or not, in order; one read each."""
        query = self._collection.where(filter=FieldFilter("uuid", "==", uuid))
        return sorted(map(head_of, self._database.query(query)), key=lambda head: head.fqid)

    def files(self, head: BundleHead, start: int, count: int) -> list[PagedFile]:
        """Return up to `count` files of a bundle, from position `start` on.

        One read for each of their pages, in parallel. Raises CatalogBroken if one is missing.
        """
        stop = min(start + count, head.file_count)
        if start >= stop:
            return []
        first = start // PAGE_FILES
        numbers = range(first, (stop - 1) // PAGE_FILES + 1)
        pages = self._pages.read(self._collection.document(str(head.fqid)), numbers)
        files = [file for page in pages for file in _unpack(page)]
        return files[start - first * PAGE_FILES : stop - first * PAGE_FILES]

    def enumerate(
        self,
        replica: str,
        *,
        readers: frozenset[str] | None,
        prefix: str,
        after: str,
        count: int,
    ) -> Iterator[Fqid]:
        """Yield up to `count` FQIDs on a replica that are not hidden, in order, one read each.

        They begin with `prefix`, come after the FQID `after` if it is not empty, and may be read by one of
        `readers`, `default` standing for those of unbound bundles; None is everybody's. A bound bundle that
        is not on the replica yet costs a read too.
        """
        lists = [self._listed(replica, names, prefix, after, count) for names in _chunks(readers)]
        return islice(merge(*lists), count)

    def _listed(
        self, replica: str, readers: frozenset[str] | None, prefix: str, after: str, count: int
    ) -> Iterator[Fqid]:
        conditions: list[Any] = [FieldFilter("hidden", "==", False), _may_read(replica, readers)]
        if prefix:
            # U+F8FF sorts after every character of an FQID.
            conditions += [FieldFilter("fqid", ">=", prefix), FieldFilter("fqid", "<", prefix + "\uf8ff")]
        query = self._collection.where(filter=And(conditions)).order_by("fqid")
        query = query.select(["uuid", "version", "available"])
        lacking = asked = count
        while True:
            page = query.start_after({"fqid": after}) if after else query
            snapshots = self._database.query(page.limit(asked))
            here = [snapshot for snapshot in snapshots if replica in snapshot.get("available")]
            for snapshot in here:
                yield Fqid(snapshot.get("uuid"), snapshot.get("version"))
            if len(snapshots) < asked:
                return
            after = snapshots[-1].id
            # Of a replica that lags far behind, most bound rows are not there: skip more of them at once.
            lacking -= len(here)
            asked = min(max(lacking, 2 * (len(snapshots) - len(here)), 1), _MOST_ROWS)


def _chunks(readers: frozenset[str] | None) -> list[frozenset[str] | None]:
    """Return readers in parts that one query takes, those who read unbound bundles in the first."""
    if readers is None:
        return [None]
    names = sorted(readers - {DEFAULT})
    parts = [names[start : start + _MOST_NAMES] for start in range(0, len(names), _MOST_NAMES)] or [[]]
    return [frozenset(part) | ({DEFAULT} & readers if part is parts[0] else frozenset()) for part in parts]


def _may_read(replica: str, readers: frozenset[str] | None) -> Any:
    """Return the condition that a bundle may be read, and, but for bound ones, that a replica has it.

    Firestore can't ask for elements of two lists at once.
    """
    here = FieldFilter("available", "array_contains", replica)
    if readers is None:
        return here
    unbound = And([FieldFilter("bound", "==", False), here])
    bound = FieldFilter("readers", "array_contains_any", sorted(readers - {DEFAULT}))
    return Or([unbound, bound]) if DEFAULT in readers else bound


def head_of(snapshot: Any) -> BundleHead:
    """Return the head that a document of collection `bundles` holds."""
    document = snapshot.to_dict()
    return BundleHead(
        fqid=Fqid(document["uuid"], document["version"]),
        creator_uid=document["creator_uid"],
        file_count=document["file_count"],
        digest=document["digest"],
        available=frozenset(document["available"]),
        hidden=document["hidden"],
        hidden_by=document.get("hidden_by", ""),
        hidden_on=frozenset(document.get("hidden_on", ())),
        unpublished=frozenset(document.get("unpublished", ())),
        readers=frozenset(document["readers"]),
        narrowed_readers=frozenset(document.get("content_readers", ())),
        purged=document.get("purged", False),
        withheld=frozenset(document.get("withheld", ())),
        lacks_files=document.get("lacks_files", False),
        total=Total.of_document(document.get("total")),
    )


def _pack(files: Sequence[PagedFile]) -> bytes:
    names = PagedFile.__dataclass_fields__
    rows = [[getattr(file, name) for name in names] for file in files]
    return json.dumps(rows, separators=(",", ":")).encode()


def _unpack(data: bytes) -> list[PagedFile]:
    names = PagedFile.__dataclass_fields__
    return [PagedFile(**dict(zip(names, row, strict=True))) for row in json.loads(data)]


def _owner(binding: Binding | None) -> str:
    return binding.owner_group if binding else ""
