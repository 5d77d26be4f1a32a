"""Files: a manifest for each version. A file rests on its blob, which is brought with it."""

import json
from collections.abc import Iterator

from shared.catalog import ContentRemoved, FileRecord
from shared.clock import Deadline
from shared.copying.blobs import check_proof, copy_inline, memory_of_copy
from shared.copying.large import copy_order, request_copy
from shared.errors import (
    CopyTakesLonger,
    InvalidChecksum,
    NotProven,
    NotYetThere,
    ObjectNotFound,
    StoreError,
)
from shared.identifiers import Kind, ObjectName
from shared.kinds.base import ObjectKind, understood
from shared.manifests import encode, file_manifest, file_of_manifest
from shared.replicas import Replica
from shared.stores.base import StoredObject
from shared.system import Dss

# Seconds that one event may take. Pub/Sub waits at most 600 seconds for an answer; ours comes before.
_EVENT_SECONDS = 480


class FileKind(ObjectKind[FileRecord]):
    """Versions of files."""

    kind = Kind.FILE
    section = "files"
    collection = "files"
    written = "replication: file manifest written"

    def lookup(self, dss: Dss, name: ObjectName) -> FileRecord | None:
        """Return what the catalog knows of a version, in one read; many at once in one request."""
        return dss.catalog.files.get_together(name.fqid)

    def scan(self, dss: Dss, since: str, until: str = "") -> Iterator[FileRecord]:
        """Yield all versions, in the order of their keys."""
        return dss.catalog.scan.files(since, until)

    def name_of(self, record: FileRecord) -> ObjectName:
        """Return the name of a version's manifest."""
        return self.name(record.fqid.uuid, record.fqid.version)

    def document(self, dss: Dss, record: FileRecord) -> bytes:
        """Return the manifest of a version."""
        return encode(file_manifest(record))

    def content_size(self, record: FileRecord) -> int:
        """Return the size of the blob, in bytes."""
        return record.size

    def requires(self, dss: Dss, record: FileRecord, replica: Replica) -> None:
        """Raise NotYetThere if a replica lacks the blob, and InvalidChecksum if it has a wrong one."""
        try:
            blob = replica.store.stat(replica.bucket, record.checksums.blob_key)
        except ObjectNotFound as error:
            raise NotYetThere(
                f"file {record.fqid}: replica {replica.name} has its manifest, and no blob"
            ) from error
        check_proof(blob, record.size, record.checksums)

    def bring_content(self, dss: Dss, record: FileRecord, source: Replica, destination: Replica) -> bool:
        """Copy the blob, or have the copy workflow do so if that takes longer than an event may.

        Returns whether the blob is there. If not, the job of the workflow is in the catalog.
        """
        dss.faults.reach("replication: before a blob is copied")
        if record.size > dss.settings.inline_copy_bytes or not _copied(dss, record, source, destination):
            # The copy takes many calls, and all have to see one revision.
            request_copy(dss, copy_order(_blob(record, source), source, destination, record))
            return False
        dss.faults.reach("replication: blob copied")
        return True

    def make_available(self, dss: Dss, record: FileRecord, replica: str) -> None:
        """Let reads on a replica see the version; many at once in one commit."""
        dss.catalog.files.make_available_together(record, replica)

    def claim(self, dss: Dss, name: ObjectName, encoded: bytes) -> FileRecord:
        """Return the version that a manifest describes, known to the catalog; many at once in one commit."""
        with understood(name):
            record = file_of_manifest(name.fqid, json.loads(encoded))
        try:
            dss.catalog.files.create_together(record)
        except ContentRemoved:
            removal = dss.catalog.files.removal(record.checksums)
            if removal is None or not removal.done:
                raise
            # Its blob is required next.
            dss.catalog.files.create(record, removal=removal)
        return record

    def prove(self, dss: Dss, name: ObjectName, encoded: bytes, replica: Replica) -> None:
        """Raise an error unless a manifest is as the system writes it, and its blob is there and right."""
        record = file_of_manifest(name.fqid, json.loads(encoded))
        if self.document(dss, record) != encoded:
            raise NotProven("it is not as the system writes it")
        blob = replica.store.stat(replica.bucket, record.checksums.blob_key)
        check_proof(blob, record.size, record.checksums)


def _blob(record: FileRecord, source: Replica) -> StoredObject:
    try:
        return source.store.stat(source.bucket, record.checksums.blob_key)
    except ObjectNotFound as error:
        raise NotYetThere(f"file {record.fqid}: replica {source.name} has lost its blob") from error


def _copied(dss: Dss, record: FileRecord, source: Replica, destination: Replica) -> bool:
    """Copy a blob, and return True; False if the time of one event doesn't suffice.

    Raises NoRoom if other events hold the memory that it takes.
    """
    sums = record.checksums
    with dss.copy_memory.reserve(memory_of_copy(record.size)):
        try:
            copy_inline(
                source.store.known_blob(
                    source.bucket,
                    sums.blob_key,
                    size=record.size,
                    content_type=record.content_type,
                    checksums=sums,
                ),
                source.store,
                destination,
                sums.blob_key,
                checksums=sums,
                deadline=Deadline(dss.clock, _EVENT_SECONDS),
                # A PUT in another cloud has written it there, too.
                expected=destination is dss.replicas.primary,
            )
        except CopyTakesLonger:
            return False
        except (InvalidChecksum, StoreError):
            # The source was not asked before: is it to blame?
            check_proof(_blob(record, source), record.size, sums)
            raise
    return True
