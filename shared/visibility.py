"""Visibility: the last steps of a new file version, whether a request or the copy workflow wrote its blob."""

from shared.catalog import ContentRemoved, CurrentBinding, FileRecord
from shared.errors import ObjectNotFound, Unavailable
from shared.identifiers import Kind, manifest_key
from shared.manifests import encode, file_manifest, write_once
from shared.replicas import Replica
from shared.system import Dss


def make_visible(
    dss: Dss, record: FileRecord, replica_name: str, binding: CurrentBinding | None = None
) -> bool:
    """Claim the FQID of a file whose blob is on a replica and proved, and let reads there see it.

    `binding` is the last read of the UUID's. Returns whether the FQID was claimed now. Safe to repeat after a
    kill at any point. Raises FileAlreadyExists if the FQID has other content, and Gone if it was removed for
    good.
    """
    replica = dss.replicas.named(replica_name)
    created = _claim(dss, record, replica, binding)
    dss.faults.reach("file: head created")
    write_once(replica, manifest_key(Kind.FILE, record.fqid), encode(file_manifest(record)))
    dss.faults.reach("file: manifest written")
    dss.catalog.files.make_available(record.fqid, replica_name)
    dss.faults.reach("file: available")
    return created


def _claim(dss: Dss, record: FileRecord, replica: Replica, binding: CurrentBinding | None) -> bool:
    files = dss.catalog.files
    try:
        return files.create(record, binding)
    except ContentRemoved:
        removal = files.removal(record.checksums)
        # Read first: only then what is proved now has come after the removal.
        if removal is None or not removal.done:
            raise
        try:
            replica.store.stat(replica.bucket, record.checksums.blob_key).check(record.checksums)
        except ObjectNotFound as error:
            raise Unavailable(f"file {record.fqid}: its content was removed for good just now") from error
        return files.create(record, binding, removal=removal)
