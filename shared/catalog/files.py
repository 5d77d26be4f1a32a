"""The catalog of file versions: collection `files`, one document per version, named by its FQID."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from google.api_core.exceptions import NotFound
from google.cloud.firestore import FieldFilter, Query
from google.cloud.firestore_v1 import ExistsOption, LastUpdateOption

from shared.batching import Batcher
from shared.catalog.bindings import BindingCatalog, CurrentBinding, bound_fields, require_not_purged
from shared.catalog.database import Database, NameTaken, Write, available_on, create_document, set_document
from shared.checksums import CHECKSUM_NAMES, Checksums
from shared.errors import FileAlreadyExists, Unavailable
from shared.identifiers import Fqid

# Files that become visible in one commit. Two writes each; Firestore: 10 MiB a commit.
_TOGETHER = 100
# The fields of a record. Reading the others too, most of them times, takes a third more CPU time, measured on
# thousands of heads.
_FIELDS = (
    *("uuid", "version", "creator_uid", "content_type", "size", "available", "readers"),
    *("purged", "withheld", *CHECKSUM_NAMES),
)


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """A file version, as the catalog has it. `readers` are those that its UUID is bound to."""

    fqid: Fqid
    creator_uid: int
    content_type: str
    size: int
    checksums: Checksums
    available: frozenset[str] = frozenset()
    readers: frozenset[str] = field(default=frozenset(), compare=False)
    # Whether it is about to be removed for good, and the replicas on which reads would see it otherwise.
    purged: bool = field(default=False, compare=False)
    withheld: frozenset[str] = field(default=frozenset(), compare=False)

    def same_content(self, other: "FileRecord") -> bool:
        """Return whether two records are equal but for where they are available, and to whom."""
        return replace(self, available=other.available) == other


@dataclass(frozen=True, kw_only=True)
class ContentRemoval:
    """The removal of a blob for good: `done` once no replica has it. `revision` is when that last changed."""

    done: bool
    revision: Any = field(compare=False)


class ContentRemoved(Unavailable):
    """The content of a file has been removed for good under another name, after it was found in a bucket."""


class FileCatalog:
    """Reads and writes of file versions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("files")
        self._bindings = BindingCatalog(database)
        self._removals = database.client.collection("content_removals")
        self._claims: Batcher[FileRecord, bool] = Batcher(self._claim_together, most=_TOGETHER)
        self._gains: Batcher[tuple[Fqid, str], bool] = Batcher(self._gain_together, most=_TOGETHER)

    def create(
        self,
        record: FileRecord,
        binding: CurrentBinding | None = None,
        *,
        removal: ContentRemoval | None = None,
    ) -> bool:
        """Claim the FQID for this content, for the whole system and for ever; in one write.

        `binding` is the last read of the UUID's; it is read again if it has changed. Returns False if the
        same content has claimed the FQID before. Raises FileAlreadyExists if other content has, Gone if the
        version was removed for good, and ContentRemoved if the blob was, unless `removal` is that one: then
        the caller has brought the blob again.
        """
        content = self._guard_content(record, removal)
        reference = self._collection.document(str(record.fqid))
        for known in self._bindings.attempts(record.fqid.uuid, binding):
            require_not_purged(known, record.fqid)
            bound = bound_fields(known.record if known else None)
            document = _to_document(record) | bound | self._database.new_head()
            with suppress(NameTaken):
                self._database.commit(
                    create_document(reference, document),
                    self._bindings.guard(record.fqid.uuid, known),
                    content,
                )
                return True
            existing = self._database.get(reference)
            if existing.exists:
                if not record_of(existing).same_content(record):
                    raise FileAlreadyExists(
                        f"file {record.fqid} exists with other content, creator or content type"
                    )
                return False
            if self.removal(record.checksums) != removal:
                raise ContentRemoved(
                    f"file {record.fqid}: its content was removed for good just now; try again"
                )
        raise Unavailable(f"file {record.fqid}: its binding changes all the time; try again")

    def create_all(self, records: Iterable[FileRecord], bindings: Mapping[str, CurrentBinding]) -> bool:
        """Claim the FQIDs of new versions, all or none, in one commit; return whether they were claimed.

        `bindings` are the last reads of their UUIDs'. False if one exists already, its binding has changed,
        or it or its content was removed for good: `create` finds out for each.
        """
        # Of a document that several versions share, one guard is enough.
        writes: dict[str, Write] = {}
        for record in records:
            fqid, known = record.fqid, bindings.get(record.fqid.uuid)
            if known and known.purged(fqid.version):
                return False
            document = _to_document(record) | bound_fields(known.record if known else None)
            reference = self._collection.document(str(fqid))
            writes[f"binding {fqid.uuid}"] = self._bindings.guard(fqid.uuid, known)
            writes[f"content {record.checksums.sha256}"] = self._guard_content(record, None)
            writes[f"head {fqid}"] = create_document(reference, document | self._database.new_head())
        return self._committed(writes)

    def create_together(self, record: FileRecord) -> None:
        """Do as `create`, in one commit with the versions of other threads.

        Those that can't be claimed as new ones without a binding go alone, and so do all others of their
        commit.
        """
        if not self._claims(record):
            self.create(record)

    def _claim_together(self, records: Sequence[FileRecord]) -> Sequence[bool]:
        """Claim new versions, all or none; return whether they were claimed, for each."""
        # `create` decides which content gets an FQID that two claim at once.
        is_unique = len({record.fqid for record in records}) == len(records)
        return [is_unique and self.create_all(records, {})] * len(records)

    def _committed(self, writes: Mapping[str, Write]) -> bool:
        if writes:
            try:
                self._database.commit(*writes.values())
            except NameTaken:
                return False
        return True

    def _guard_content(self, record: FileRecord, removal: ContentRemoval | None) -> Write:
        """Return a write that fails if a blob was removed for good since, and ends the removal that was."""
        reference = self._removals.document(record.checksums.sha256)
        unchanged = LastUpdateOption(removal.revision) if removal else ExistsOption(exists=False)
        return lambda batch: batch.delete(reference, option=unchanged)

    def removal(self, checksums: Checksums) -> ContentRemoval | None:
        """Return the removal of a content, in one read; None if it was not removed."""
        snapshot = self._database.get(self._removals.document(checksums.sha256))
        return (
            ContentRemoval(done=snapshot.get("done"), revision=snapshot.update_time)
            if snapshot.exists
            else None
        )

    def begin_removal(self, checksums: Checksums) -> None:
        """From now on no version with this content is claimed, until the removal is ended. Safe to repeat."""
        reference = self._removals.document(checksums.sha256)
        self._database.commit(set_document(reference, {"done": False}))

    def end_removal(self, checksums: Checksums, *, removed: bool) -> None:
        """Note that a blob is removed on all replicas, or that it stays. Safe to repeat."""
        reference = self._removals.document(checksums.sha256)
        if removed:
            self._database.commit(set_document(reference, {"done": True}))
        else:
            self._database.commit(lambda batch: batch.delete(reference))

    def make_available(self, fqid: Fqid, replica: str) -> None:
        """Let reads on a replica see the file, in one write. Safe to repeat.

        Raises Gone if the version was removed for good.
        """
        self._bindings.commit_unless_purged(fqid, self._gain(fqid, replica))

    def make_available_together(self, record: FileRecord, replica: str) -> None:
        """Do as `make_available`, in one commit with the files of other threads.

        Those with a binding go alone: the commit says that the others have none.
        """
        alone = record.readers or record.purged
        if alone or not self._gains((record.fqid, replica)):
            self.make_available(record.fqid, replica)

    def _gain_together(self, gains: Sequence[tuple[Fqid, str]]) -> Sequence[bool]:
        """Let reads see files on replicas, all or none; return whether they do, for each."""
        writes: dict[str, Write] = {}
        for fqid, replica in gains:
            writes[f"binding {fqid.uuid}"] = self._bindings.guard(fqid.uuid, None)
            writes[f"head {fqid} {replica}"] = self._gain(fqid, replica)
        try:
            done = self._committed(writes)
        except NotFound:
            # A head is gone: which, `make_available` finds out for each.
            done = False
        return [done] * len(gains)

    def make_all_available(
        self, fqids: Iterable[Fqid], replica: str, bindings: Mapping[str, CurrentBinding]
    ) -> bool:
        """Let reads on a replica see the files, all or none, in one commit; return whether they do.

        `bindings` are the last reads of their UUIDs'. False if one has changed since, or a version was
        removed for good: `make_available` finds out for each.
        """
        writes: dict[str, Write] = {}
        for fqid in fqids:
            known = bindings.get(fqid.uuid)
            if known and known.purged(fqid.version):
                return False
            writes[f"binding {fqid.uuid}"] = self._bindings.guard(fqid.uuid, known)
            writes[f"head {fqid}"] = self._gain(fqid, replica)
        return self._committed(writes)

    def _gain(self, fqid: Fqid, replica: str) -> Write:
        reference = self._collection.document(str(fqid))
        return lambda batch: batch.update(reference, self._database.gained(replica))

    def versions(self, uuid: str) -> list[FileRecord]:
        """Return all versions, available or not, in order; one read each."""
        found = self._database.query(self._collection.where(filter=FieldFilter("uuid", "==", uuid)))
        return sorted(map(record_of, found), key=lambda record: record.fqid)

    def get(self, fqid: Fqid) -> FileRecord | None:
        """Return a file version, available or not, in one read."""
        snapshot = self._database.get(self._collection.document(str(fqid)))
        return record_of(snapshot) if snapshot.exists else None

    def get_together(self, fqid: Fqid) -> FileRecord | None:
        """Return what `get` returns, read in one request with the files that other threads ask for now."""
        snapshot = self._database.get_together(self._collection.document(str(fqid)))
        return record_of(snapshot) if snapshot.exists else None

    def newest(self, uuid: str, *replicas: str) -> FileRecord | None:
        """Return the newest version that is available on one of some replicas, in one read."""
        snapshots = self._database.query(
            self._collection.where(filter=FieldFilter("uuid", "==", uuid))
            .where(filter=available_on(*replicas))
            .order_by("version", direction=Query.DESCENDING)
            .limit(1)
        )
        return record_of(snapshots[0]) if snapshots else None

    def get_many(self, fqids: Iterable[Fqid]) -> Mapping[Fqid, FileRecord]:
        """Return the file versions that exist, one read each, in parallel batches."""
        references = [self._collection.document(str(fqid)) for fqid in dict.fromkeys(fqids)]
        records = map(record_of, self._database.get_many(references, _FIELDS))
        return {record.fqid: record for record in records}


def _to_document(record: FileRecord) -> dict[str, Any]:
    return {
        "uuid": record.fqid.uuid,
        "version": record.fqid.version,
        "creator_uid": record.creator_uid,
        "content_type": record.content_type,
        "size": record.size,
        **{name: getattr(record.checksums, name) for name in CHECKSUM_NAMES},
    }


def record_of(snapshot: Any) -> FileRecord:
    """Return the file version that a document of collection `files` holds."""
    document = snapshot.to_dict()
    return FileRecord(
        fqid=Fqid(document["uuid"], document["version"]),
        creator_uid=document["creator_uid"],
        content_type=document["content_type"],
        size=document["size"],
        checksums=Checksums(**{name: document[name] for name in CHECKSUM_NAMES}),
        available=frozenset(document["available"]),
        readers=frozenset(document["readers"]),
        purged=document.get("purged", False),
        withheld=frozenset(document.get("withheld", ())),
    )
