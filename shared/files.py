"""Files: how a new file version becomes visible."""

from shared.catalog import FileRecord
from shared.clock import Deadline
from shared.identifiers import Fqid, Kind, manifest_key
from shared.manifests import encode, file_manifest, write_once
from shared.sources import Source
from shared.system import Dss


def file_record(fqid: Fqid, creator_uid: int, source: Source) -> FileRecord:
    """Return the record of a new file version made from a source object."""
    return FileRecord(
        fqid=fqid,
        creator_uid=creator_uid,
        content_type=source.object.content_type,
        size=source.object.size,
        checksums=source.checksums,
    )


def write_file(dss: Dss, record: FileRecord, source: Source) -> bool:
    """Create a file version from a source object; it is readable on the source's replica when this returns.

    Returns whether the version is new: False if the same version was written before. Safe to repeat after a
    kill at any point: the blob comes first, so that no FQID is ever claimed for content that the store does
    not hold; nothing is readable before the last step.

    Raises FileAlreadyExists if the FQID has other content, InvalidChecksum if the store contradicts a claimed
    checksum, and CopyTakesLonger and ObjectChanged as the store says.
    """
    replica = source.replica
    dss.faults.reach("file: before the blob is copied")
    replica.store.copy(
        source.object,
        replica.bucket,
        source.checksums.blob_key,
        checksums=source.checksums,
        deadline=Deadline(dss.clock, dss.settings.inline_copy_seconds),
    )
    dss.faults.reach("file: blob copied")
    return make_visible(dss, record, replica.name)


def make_visible(dss: Dss, record: FileRecord, replica_name: str) -> bool:
    """Claim the FQID of a file whose blob is on a replica and proved, and let reads there see it.

    Returns whether the FQID was claimed now. Safe to repeat after a kill at any point. Raises
    FileAlreadyExists if the FQID has other content.
    """
    created = dss.catalog.files.create(record)
    dss.faults.reach("file: head created")
    replica = dss.replicas.named(replica_name)
    write_once(replica, manifest_key(Kind.FILE, record.fqid), encode(file_manifest(record)))
    dss.faults.reach("file: manifest written")
    dss.catalog.files.make_available(record.fqid, replica_name)
    dss.faults.reach("file: available")
    return created
