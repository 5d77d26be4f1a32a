"""Removal: erase what a purge names, once its grace period is over, from all buckets and from the catalog.

The record of the purge is on all replicas first. Then go the blobs that no other file version names, the
documents, and the manifests; the heads go last, and so a removal that was killed finds everything again.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from shared.catalog import FileRecord, Purge
from shared.errors import Conflict, ObjectNotFound
from shared.identifiers import (
    Fqid,
    Kind,
    ObjectName,
    document_key,
    event_ids,
    manifest_key,
    parse_key,
    publication_key,
)
from shared.manifests import encode, file_of_manifest, write_once
from shared.purges.records import is_due, newest, purge_document
from shared.purges.scrubbing import scrub
from shared.replicas import Replica
from shared.system import Dss

# The kinds of what a purge names. Its own record, and the bindings of a UUID, stay.
REMOVED_KINDS = (Kind.FILE, Kind.BUNDLE, Kind.COLLECTION)
# The catalog's collections of heads, and of their tombstones.
_COLLECTIONS = {"files": "", "bundles": "bundle_tombstones", "collections": "collection_tombstones"}


def remove(dss: Dss, purge: Purge) -> Counter[str]:
    """Remove what a purge names, for good; return counts of what was removed. Safe to repeat.

    Raises Conflict if the grace period is not over, or the purge was undone.
    """
    if purge.undone or newest(dss, purge) != purge or not is_due(dss, purge):
        raise Conflict(f"{purge.subject}: its purge was undone, or its grace period is not over")
    counts: Counter[str] = Counter()
    _replicate_record(dss, purge)
    # A writer that had read a head before the purge may have recorded its event after it.
    dss.catalog.purges.withhold_events(purge.fqid.uuid, _versions(dss, purge))
    scrub(dss, purge)
    contents = {record.checksums.blob_key: record for record in _contents(dss, purge)}
    for record in contents.values():
        counts.update(_remove_blob(dss, purge, record))
    dss.faults.reach("purge: blobs removed")
    for replica in dss.replicas:
        for fqid in _bundles(dss, purge, replica):
            for key in _documents(replica, fqid):
                counts["documents"] += _erased(replica, key)
    dss.faults.reach("purge: documents removed")
    for replica in dss.replicas:
        for name in list(objects(purge, replica)):
            counts["manifests"] += _erased(replica, name.key)
    dss.faults.reach("purge: manifests removed")
    dss.catalog.purges.delete_heads(purge, _COLLECTIONS)
    dss.faults.reach("purge: heads removed")
    dss.catalog.purges.mark_removed(purge)
    return counts


def _versions(dss: Dss, purge: Purge) -> list[str]:
    versions = (head.fqid.version for head in dss.catalog.bundles.versions(purge.fqid.uuid))
    return [version for version in versions if purge.covers(version)]


def _replicate_record(dss: Dss, purge: Purge) -> None:
    """Bring the record to all replicas: what is read from a bucket later is known to be gone."""
    for replica in dss.replicas:
        write_once(replica, manifest_key(Kind.PURGE, purge.fqid), encode(purge_document(purge)))
        dss.catalog.purges.make_available(purge.fqid, replica.name)


def objects(purge: Purge, replica: Replica) -> Iterator[ObjectName]:
    """Yield the manifests and tombstones on a replica that a purge names."""
    for kind in REMOVED_KINDS:
        for stored in replica.store.list(replica.bucket, f"{kind}/{purge.fqid.uuid}"):
            name = parse_key(stored.key)
            if name and (not purge.of or name.version == purge.of):
                yield name


def _contents(dss: Dss, purge: Purge) -> Iterator[FileRecord]:
    """Yield the file versions whose blobs are to go: those of the catalog, of the buckets, and of copies."""
    uuid = purge.fqid.uuid
    yield from (file for file in dss.catalog.files.versions(uuid) if purge.covers(file.fqid.version))
    for replica in dss.replicas:
        for name in objects(purge, replica):
            if name.kind is Kind.FILE and not name.dead:
                with suppress(ObjectNotFound):
                    manifest = json.loads(replica.store.read_all(replica.bucket, name.key))
                    yield file_of_manifest(name.fqid, manifest)
        for job in dss.catalog.jobs.of_file(uuid, purge.of or None, replica.name):
            if job.order.file:
                yield FileRecord(
                    fqid=job.order.file,
                    creator_uid=0,
                    content_type="",
                    size=job.order.source.size,
                    checksums=job.order.checksums,
                )


def _remove_blob(dss: Dss, purge: Purge, record: FileRecord) -> Counter[str]:
    """Remove a blob from all replicas, unless a file version that the purge does not name has it.

    While it is looked for, and once it is removed, no version is claimed for this content that was proved
    before: see `FileCatalog.create`.
    """
    files, sums = dss.catalog.files, record.checksums
    files.begin_removal(sums)
    if any(_is_other(purge, other, sums.blob_key) for other in dss.catalog.scan.of_content(sums.sha256)):
        files.end_removal(sums, removed=False)
        return Counter(kept_blobs=1)
    dss.faults.reach("purge: blob found free")
    erased = [_erased(replica, sums.blob_key) for replica in dss.replicas]
    files.end_removal(sums, removed=True)
    return Counter(blobs=sum(erased), bytes=sum(erased) * record.size)


def _is_other(purge: Purge, other: FileRecord, blob: str) -> bool:
    own = other.fqid.uuid == purge.fqid.uuid and purge.covers(other.fqid.version)
    return not own and other.checksums.blob_key == blob


def _bundles(dss: Dss, purge: Purge, replica: Replica) -> set[Fqid]:
    """Return the bundle versions that a purge names: those of the catalog, and those on a replica."""
    named = {name.fqid for name in objects(purge, replica) if name.kind is Kind.BUNDLE and name.version}
    heads = dss.catalog.bundles.versions(purge.fqid.uuid)
    return named | {head.fqid for head in heads if purge.covers(head.fqid.version)}


def _documents(replica: Replica, fqid: Fqid) -> list[str]:
    """Return the keys of what was published of a bundle version."""
    documents = [document_key(fqid, dead=dead) for dead in (False, True)]
    events = event_ids([replica.name], fqid)
    return [*documents, *map(publication_key, events)]


def _erased(replica: Replica, key: str) -> int:
    """Erase an object, and return 1; 0 if there is none, though earlier versions of it may go."""
    try:
        replica.store.stat(replica.bucket, key)
    except ObjectNotFound:
        replica.store.erase(replica.bucket, key)
        return 0
    replica.store.erase(replica.bucket, key)
    return 1
