"""Files: how a new file version becomes visible."""

from shared.catalog import FileRecord
from shared.clock import Deadline
from shared.identifiers import Fqid, Kind, manifest_key
from shared.manifests import encode, file_manifest, write_once
from shared.sources import Source
from shared.system import Dss


def file_record(fqid: Fqid, creator_uid: int, source: Source) -> FileRecord:
    """Return what a file version made of a source object is to be."""
    return FileRecord(
        fqid=fqid,
        creator_uid=creator_uid,
        content_type=source.object.content_type,
        size=source.object.size,
        checksums=source.checksums,
    )


def write_file(dss: Dss, record: FileRecord, source: Source) -> bool:
    """Make a file version of a source object, readable on the source's replica when this returns.

    Returns whether the version is new: False means that the same was written before. Safe to repeat after
    a kill at any point: the blob comes first, so that no FQID is ever claimed for content that the store
    does not hold; nothing is readable before the last step.

    Raises FileAlreadyExists where other content has the FQID, InvalidChecksum where the cloud finds the
    content to be other than claimed, CopyTakesLonger and ObjectChanged as the store says.
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
    """Let reads on a replica see a file whose blob is there, proved; claim its FQID before that.

    Returns whether the FQID was claimed now. Safe to repeat after a kill at any point. Raises
    FileAlreadyExists where other content has the FQID.
    """
    created = dss.catalog.files.create(record)
    dss.faults.reach("file: head created")
    replica = dss.replicas.named(replica_name)
    write_once(replica, manifest_key(Kind.FILE, record.fqid), encode(file_manifest(record)))
    dss.faults.reach("file: manifest written")
    dss.catalog.files.make_available(record.fqid, replica_name)
    dss.faults.reach("file: available")
    return created
