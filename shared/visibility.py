"""Visibility: the last steps of a new file version, whether a request or the copy workflow wrote its blob."""

from shared.catalog import CurrentBinding, FileRecord
from shared.identifiers import Kind, manifest_key
from shared.manifests import encode, file_manifest, write_once
from shared.system import Dss


def make_visible(
    dss: Dss, record: FileRecord, replica_name: str, binding: CurrentBinding | None = None
) -> bool:
    """Claim the FQID of a file whose blob is on a replica and proved, and let reads there see it.

    `binding` is the last read of the UUID's. Returns whether the FQID was claimed now. Safe to repeat after a
    kill at any point. Raises FileAlreadyExists if the FQID has other content.
    """
    created = dss.catalog.files.create(record, binding)
    dss.faults.reach("file: head created")
    replica = dss.replicas.named(replica_name)
    write_once(replica, manifest_key(Kind.FILE, record.fqid), encode(file_manifest(record)))
    dss.faults.reach("file: manifest written")
    dss.catalog.files.make_available(record.fqid, replica_name)
    dss.faults.reach("file: available")
    return created
