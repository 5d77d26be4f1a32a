"""Restoring: the catalog is brought up to what a replica's bucket proves.

Needed where a writer was killed between its last object and the catalog, and to build the catalog anew: each
bucket alone suffices for that. Everything may be done twice.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from shared.catalog import BundleHead, BundleTombstone, CollectionHead, CollectionTombstone, FileRecord
from shared.collections import collection_of_manifest, collection_tombstone_of, lines
from shared.copying.blobs import check_proof
from shared.errors import (
    CollectionTombstoneAlreadyExists,
    IllegalArguments,
    NotYetThere,
    ObjectNotFound,
    Unprocessable,
)
from shared.identifiers import Fqid, Kind, ObjectName, manifest_key, tombstone_key
from shared.links import Target, places, target_of
from shared.manifests import bundle_of_manifest, file_of_manifest, tombstone_of_document
from shared.replicas import Replica
from shared.stores.base import read_all
from shared.system import Dss

# Files of a bundle that are looked up at once, between two notes of how far the check has come.
_CHECKED_AT_ONCE = 5000


def restore_file(dss: Dss, fqid: Fqid, replica: Replica) -> tuple[FileRecord, bool]:
    """Return a file version whose manifest is on a replica, known to the catalog and available there.

    The second value tells whether the catalog had to learn of it. Raises NotYetThere where the replica lacks
    the manifest or the blob after all, InvalidChecksum where the blob is another, Unprocessable where the
    manifest is none, and FileAlreadyExists where the catalog has other content under this name.
    """
    key = manifest_key(Kind.FILE, fqid)
    record = dss.catalog.files.get(fqid)
    if record and replica.name in record.available:
        return record, False
    encoded = read(replica, key)
    # The event comes while its writer is about to tell the catalog, more often than not.
    record = dss.catalog.files.get(fqid)
    if record and replica.name in record.available:
        return record, False
    with _understood(key):
        record = file_of_manifest(fqid, json.loads(encoded))
    dss.catalog.files.create(record)
    try:
        blob = replica.store.stat(replica.bucket, record.checksums.blob_key)
        check_proof(blob, record.size, record.checksums)
    except ObjectNotFound as error:
        raise NotYetThere(f"file {fqid}: replica {replica.name} has its manifest, and no blob") from error
    dss.catalog.files.make_available(fqid, replica.name)
    return dss.catalog.files.get(fqid) or record, True


def restore_bundle(
    dss: Dss, fqid: Fqid, replica: Replica, *, before: Callable[[], None] = lambda: None
) -> tuple[BundleHead, bool]:
    """Return a bundle version whose manifest is on a replica, known to the catalog and available there.

    The second value tells whether the catalog had to learn of it; `before` is called when the catalog knows
    it, and no read on the replica sees it yet. Raises NotYetThere where the replica lacks
    the manifest after all, or some of the files, Unprocessable where the manifest is none, and
    BundleAlreadyExists where the catalog has other content under this name.
    """
    bundles = dss.catalog.bundles
    head = bundles.head(fqid)
    if head and replica.name in head.available:
        return head, False
    key = manifest_key(Kind.BUNDLE, fqid)
    encoded = read(replica, key)
    # The event comes while its writer is about to tell the catalog, more often than not.
    head = bundles.head(fqid)
    if head and replica.name in head.available:
        return head, False
    with _understood(key):
        head, files = bundle_of_manifest(fqid, encoded)
    bundles.create(head)
    bundles.write_pages(fqid, files)
    require_files(dss, head, replica)
    before()
    bundles.make_available(fqid, replica.name)
    return bundles.head(fqid) or head, True


def restore_tombstone(
    dss: Dss,
    name: ObjectName,
    replica: Replica,
    *,
    before: Callable[[BundleTombstone], None] = lambda _: None,
) -> tuple[BundleTombstone, bool]:
    """Return a tombstone that is on a replica, known to the catalog and in effect.

    The second value tells whether the catalog had to learn of it; `before` is called when the catalog knows
    it, and it is not in effect yet. Raises NotYetThere where the replica lacks
    it after all, or the version that it hides is not known yet, Unprocessable where the object is none, and
    BundleTombstoneAlreadyExists where the catalog has another.
    """
    key = tombstone_key(Kind.BUNDLE, name.uuid, name.version)
    encoded = read(replica, key)
    with _understood(key):
        tombstone = tombstone_of_document(name.uuid, name.version, json.loads(encoded))
    # Before anything else: this is what compares it with the catalog's.
    dss.catalog.tombstones.create(tombstone)
    if replica.name in dss.catalog.tombstones.available(tombstone):
        return tombstone, False
    before(tombstone)
    dss.catalog.tombstones.hide(tombstone, replica.name)
    return tombstone, True


def restore_collection(dss: Dss, fqid: Fqid, replica: Replica) -> tuple[CollectionHead, bool]:
    """Return a version of a collection whose manifest is on a replica, known to the catalog, available there.

    The second value tells whether the catalog had to learn of it. Raises NotYetThere where the replica lacks
    the manifest after all, or some of the contents, Unprocessable where the manifest is none, and
    CollectionAlreadyExists where the catalog has other content under this name, or another owner.
    """
    collections = dss.catalog.collections
    head = collections.head(fqid)
    if head and replica.name in head.available:
        return head, False
    key = manifest_key(Kind.COLLECTION, fqid)
    encoded = read(replica, key)
    # The event comes while its writer is about to tell the catalog, more often than not.
    head = collections.head(fqid)
    if head and replica.name in head.available:
        return head, False
    with _understood(key):
        version = collection_of_manifest(fqid, encoded)
        head = version.head()
    collections.create(head, collections.owned(fqid.uuid))
    collections.write_pages(fqid, version.pages)
    require_contents(dss, head, replica)
    collections.make_available(fqid, replica.name)
    return collections.head(fqid) or head, True


def restore_collection_tombstone(
    dss: Dss, name: ObjectName, replica: Replica
) -> tuple[CollectionTombstone, bool]:
    """Return a collection's tombstone that is on a replica, known to the catalog and in effect.

    The second value tells whether the catalog had to learn of it. Raises NotYetThere where the replica lacks
    it after all, Unprocessable where the object is none, and CollectionTombstoneAlreadyExists where the
    catalog has another.
    """
    key = tombstone_key(Kind.COLLECTION, name.uuid, None)
    encoded = read(replica, key)
    with _understood(key):
        tombstone = collection_tombstone_of(name.uuid, json.loads(encoded))
    tombstones = dss.catalog.collection_tombstones
    counts = tombstones.create(tombstone)
    if not counts.same_content(tombstone):
        raise CollectionTombstoneAlreadyExists(f"collection {name.uuid} was deleted before, by somebody else")
    if replica.name in counts.available:
        return counts, False
    tombstones.hide(counts, replica.name)
    return tombstones.get(name.uuid) or counts, True


def restore(dss: Dss, name: ObjectName, replica: Replica) -> bool:
    """Bring the catalog up to a manifest or tombstone on a replica; return whether it had to learn of it.

    Raises what the function for the kind raises, and Unprocessable for a name that the system does not give.
    """
    try:
        restore_one = _RESTORED[name.kind, name.dead]
    except KeyError:
        raise Unprocessable(f"{name.key}: the system gives no such name") from None
    return restore_one(dss, name, replica)


def _fqid(name: ObjectName) -> Fqid:
    return Fqid(name.uuid, name.version or "")


_RESTORED: Mapping[tuple[Kind, bool], Callable[[Dss, ObjectName, Replica], bool]] = {
    (Kind.FILE, False): lambda dss, name, replica: restore_file(dss, _fqid(name), replica)[1],
    (Kind.BUNDLE, False): lambda dss, name, replica: restore_bundle(dss, _fqid(name), replica)[1],
    (Kind.BUNDLE, True): lambda dss, name, replica: restore_tombstone(dss, name, replica)[1],
    (Kind.COLLECTION, False): lambda dss, name, replica: restore_collection(dss, _fqid(name), replica)[1],
    (Kind.COLLECTION, True): lambda dss, name, replica: restore_collection_tombstone(dss, name, replica)[1],
}


def require_files(dss: Dss, head: BundleHead, replica: Replica) -> None:
    """Return if all files of a bundle are on a replica, else raise NotYetThere.

    How far the check of a large bundle has come is kept, so that the next attempt goes on there.
    """
    progress = dss.catalog.progress
    topic = f"{head.fqid} on {replica.name}"
    large = head.file_count > _CHECKED_AT_ONCE
    for first in range(progress.get(topic) if large else 0, head.file_count, _CHECKED_AT_ONCE):
        files = dss.catalog.bundles.files(head, first, _CHECKED_AT_ONCE)
        wanted = {Fqid(file.uuid, file.version) for file in files}
        found = dss.catalog.files.get_many(wanted)
        lacking = [fqid for fqid in wanted if fqid not in found or replica.name not in found[fqid].available]
        if lacking:
            raise NotYetThere(
                f"bundle {head.fqid}: {len(lacking)} of its files are not on {replica.name} yet, "
                f"{min(lacking)} for one"
            )
        if large:
            progress.set(topic, first + _CHECKED_AT_ONCE)


def require_contents(dss: Dss, head: CollectionHead, replica: Replica) -> None:
    """Return if all that a collection links to is on a replica, else raise NotYetThere.

    What is hidden for ever need not be there. What the newest version that the replica has links to is there,
    and not looked up again: so a long collection that grows by changes costs what changed. How far the check
    of a large one has come is kept, so that the next attempt goes on there.
    """
    collections, progress = dss.catalog.collections, dss.catalog.progress
    topic = f"collection {head.fqid} on {replica.name}"
    large = head.page_count > 1
    first = progress.get(topic) if large else 0
    earlier = collections.newest(head.fqid.uuid, replica.name)
    there = frozenset(lines(collections.pages(earlier)) if earlier else ())
    for number, page in enumerate(collections.pages(head, first), first):
        # The first line says what the collection is about.
        items = lines([page])[1 if number == 0 else 0 :]
        lacking = lacking_targets(dss, (item for item in items if item not in there), replica)
        if lacking:
            raise NotYetThere(
                f"collection {head.fqid}: {len(lacking)} of its contents are not on {replica.name} yet, "
                f"{min(lacking)} for one"
            )
        if large:
            progress.set(topic, number + 1)


def lacking_targets(dss: Dss, items: Iterable[bytes], replica: Replica) -> list[Target]:
    """Return what encoded links lead to that is neither on a replica nor hidden. One read each."""
    targets = set(map(target_of, items))
    found = places(dss, targets)
    return [
        target
        for target in targets
        if target not in found or not (found[target].hidden or replica.name in found[target].available)
    ]


@contextmanager
def _understood(key: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, IllegalArguments, Unprocessable) as error:
        raise Unprocessable(f"{key}: it is not what its name says: {error!r}") from error


def read(replica: Replica, key: str) -> bytes:
    """Return the content of a manifest or tombstone. Raises NotYetThere where the replica lacks it."""
    try:
        return read_all(replica.store, replica.bucket, key)
    except ObjectNotFound as error:
        raise NotYetThere(f"{key}: replica {replica.name} does not have it") from error
