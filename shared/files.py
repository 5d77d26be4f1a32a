"""Files: verify the content of a new version, and let it become visible."""

from shared.catalog import CurrentBinding, FileRecord
from shared.clock import Deadline
from shared.copying.blobs import hand_on, is_proved, is_vouched_for
from shared.copying.verification import read_verified
from shared.errors import CopyTakesLonger
from shared.identifiers import Fqid
from shared.sources import Source
from shared.system import Dss
from shared.visibility import make_visible


def file_record(fqid: Fqid, creator_uid: int, source: Source) -> FileRecord:
    """Return the record of a new file version made from a source object."""
    return FileRecord(
        fqid=fqid,
        creator_uid=creator_uid,
        content_type=source.object.content_type,
        size=source.object.size,
        checksums=source.checksums,
    )


def write_file(dss: Dss, record: FileRecord, source: Source, binding: CurrentBinding | None = None) -> bool:
    """Create a file version from a source object; it is readable on the source's replica when this returns.

    `binding` is the last read of the UUID's. Returns whether the version is new: False if the same version
    was written before. Safe to repeat after a kill at any point: the blob comes first, so that no FQID is
    ever claimed for content that the store does not hold; nothing is readable before the last step. All four
    checksums are computed of the content before that, unless its blob exists, whose were computed before.

    Raises FileAlreadyExists if other content has the FQID; InvalidChecksum, and leaves nothing, if the
    content has other checksums than claimed; ObjectChanged; and CopyTakesLonger for content of more than
    DSS_INLINE_VERIFY_BYTES that is new, which the copy workflow has to verify.
    """
    if source.object.size <= dss.settings.inline_verify_bytes:
        _write_blob(dss, source)
        return make_visible(dss, record, source.replica.name, binding)
    existing = dss.catalog.files.get(record.fqid)
    if existing and existing.same_content(record) and source.replica.name in existing.available:
        return False
    if not _is_blob(source):
        raise CopyTakesLonger(f"{source.object.key}: {source.object.size} bytes take longer to verify")
    return make_visible(dss, record, source.replica.name, binding)


def _write_blob(dss: Dss, source: Source) -> None:
    """Verify small content, and copy it to its blob; also to the primary replica if that is in another store.

    This system runs in the primary's cloud: so the bytes leave theirs only once.
    """
    replica, deadline = source.replica, Deadline(dss.clock, dss.settings.inline_copy_seconds)
    dss.faults.reach("file: before the content is read")
    data = read_verified(source.object, replica.store, source.checksums, deadline)
    dss.faults.reach("file: content verified")
    replica.store.copy(
        source.object,
        replica.bucket,
        source.checksums.blob_key,
        checksums=source.checksums,
        deadline=deadline,
    )
    dss.faults.reach("file: blob copied")
    if dss.replicas.primary.store is not replica.store:
        hand_on(dss.replicas.primary, source.object.content_type, data, source.checksums)


def _is_blob(source: Source) -> bool:
    """Return whether the replica has this content as a blob: by name, and by what its store says of both."""
    replica, checksums = source.replica, source.checksums
    return is_vouched_for(source.object, checksums) and is_proved(
        replica.store, replica.bucket, checksums.blob_key, size=source.object.size, checksums=checksums
    )
