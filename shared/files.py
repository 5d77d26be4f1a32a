"""Files: how a new file version becomes visible."""

from shared.catalog import FileRecord
from shared.clock import Deadline
from shared.errors import ObjectExists
from shared.identifiers import Fqid, Kind, manifest_key
from shared.manifests import CONTENT_TYPE, encode, file_manifest
from shared.sources import Source
from shared.system import Dss


def write_file(dss: Dss, fqid: Fqid, creator_uid: int, source: Source) -> bool:
    """Make a file version of a source object, readable on the source's replica when this returns.

    Returns whether the version is new: False means that the same was written before. Safe to repeat after
    a kill at any point: the blob comes first, so that no FQID is ever claimed for content that the store
    does not hold; nothing is readable before the last step.

    Raises FileAlreadyExists where other content has the FQID, InvalidChecksum where the cloud finds the
    content to be other than claimed, CopyTakesLonger and ObjectChanged as the store says.
    """
    replica = source.replica
    record = FileRecord(
        fqid=fqid,
        creator_uid=creator_uid,
        content_type=source.object.content_type,
        size=source.object.size,
        checksums=source.checksums,
    )
    dss.faults.reach("file: before the blob is copied")
    replica.store.copy(
        source.object,
        replica.bucket,
        source.checksums.blob_key,
        checksums=source.checksums,
        deadline=Deadline(dss.clock, dss.settings.inline_copy_seconds),
    )
    dss.faults.reach("file: blob copied")
    created = dss.catalog.files.create(record)
    dss.faults.reach("file: head created")
    write_once(dss, replica.name, manifest_key(Kind.FILE, fqid), encode(file_manifest(record)))
    dss.faults.reach("file: manifest written")
    dss.catalog.files.make_available(fqid, replica.name)
    dss.faults.reach("file: available")
    return created


def write_once(dss: Dss, replica_name: str, key: str, data: bytes) -> None:
    """Write a manifest or tombstone whose name the catalog has claimed; there already is as good as new."""
    replica = dss.replicas.named(replica_name)
    try:
        replica.store.create(replica.bucket, key, data, CONTENT_TYPE)
    except ObjectExists:
        # By the claim, what is there has this very content: an earlier attempt wrote it, or one beside us.
        return
