"""Replication: what one replica has appears on all others, whole and proved, in whatever order events come.

A file's blob goes before its manifest; a bundle waits for its files, a collection for what it links to, a
tombstone for nothing. What is there is made available only when the store has proved it. Everything may be
done twice, and side by side.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from shared.catalog import BundleHead, CollectionHead, FileRecord
from shared.clock import Deadline
from shared.collections import collection_tombstone_document
from shared.copying.blobs import copy_inline
from shared.copying.large import copy_order, request_copy
from shared.errors import CopyTakesLonger, InvalidChecksum, NotYetThere, ObjectNotFound
from shared.files import write_once
from shared.identifiers import Fqid, Kind, ObjectName, parse_key
from shared.manifests import digest, encode, file_manifest, tombstone_document
from shared.messages import FINALIZED, ObjectEvent
from shared.replicas import Replica
from shared.restore import (
    read,
    require_contents,
    require_files,
    restore_bundle,
    restore_collection,
    restore_collection_tombstone,
    restore_file,
    restore_tombstone,
)
from shared.system import Dss

# Seconds that one event may take. Pub/Sub waits 600 seconds for an answer at most; ours comes before.
_EVENT_SECONDS = 480


@dataclass(frozen=True, kw_only=True)
class Replicated:
    """Something that became available on a replica; `bytes` of content were copied for it."""

    key: str
    replica: str
    bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """What an object event is about, as the catalog knows it, and what it takes to have it elsewhere.

    `restored`: the catalog has learned of it just now. `is_ready` tells whether what it rests on is at a
    destination; False where somebody else goes on from here. `written` is a fault point, and `take_effect`
    the last step, at a replica of that name. `bytes` of content go with it.
    """

    restored: bool
    available: Collection[str]
    is_ready: Callable[[Replica], bool]
    content: Callable[[], bytes]
    written: str
    take_effect: Callable[[str], None]
    bytes: int = 0


def replicate(
    dss: Dss, event: ObjectEvent, note: Callable[[Replicated], None] = lambda _: None
) -> list[Replicated]:
    """Bring what an event tells of to all replicas that lack it; `note` each thing done, and return them all.

    Nothing where the object is none of the system's manifests and tombstones. Raises NotYetThere where what
    it rests on is not at its destination yet, and Unavailable or StoreError where a cloud fails; then
    another attempt goes on from what is there. A replica that fails keeps no other one waiting.
    """
    name = parse_key(event.key)
    replica = dss.replicas.find(event.replica)
    if name is None or replica is None or event.event_type != FINALIZED or event.bucket != replica.bucket:
        return []
    look = _SUBJECTS.get((name.kind, name.dead))
    subject = look(dss, name, replica) if look else None
    done = []
    for one in _bring(dss, name.key, replica, subject) if subject else ():
        note(one)
        done.append(one)
    return done


def _bring(dss: Dss, key: str, seen: Replica, subject: _Subject) -> Iterator[Replicated]:
    """Bring something to each replica that lacks it, and only then raise what went wrong first."""
    if subject.restored:
        yield Replicated(key=key, replica=seen.name)
    errors: list[Exception] = []
    for destination in dss.replicas:
        if destination.name in subject.available:
            continue
        try:
            done = _bring_to(dss, key, destination, subject)
        except Exception as error:  # noqa: BLE001 # whatever it is, it is raised below
            errors.append(error)
        else:
            if done:
                yield Replicated(key=key, replica=destination.name, bytes=subject.bytes)
    if errors:
        raise errors[0]


def _bring_to(dss: Dss, key: str, destination: Replica, subject: _Subject) -> bool:
    if not subject.is_ready(destination):
        return False
    write_once(dss, destination.name, key, subject.content())
    dss.faults.reach(subject.written)
    subject.take_effect(destination.name)
    return True


def _file(dss: Dss, name: ObjectName, seen: Replica) -> _Subject:
    fqid = Fqid(name.uuid, name.version or "")
    record, restored = restore_file(dss, fqid, seen)

    def is_ready(destination: Replica) -> bool:
        dss.faults.reach("replication: before a blob is copied")
        if not _copied_blob(dss, record, seen, destination):
            return False
        dss.faults.reach("replication: blob copied")
        return True

    return _Subject(
        restored=restored,
        available=record.available,
        is_ready=is_ready,
        content=lambda: encode(file_manifest(record)),
        written="replication: file manifest written",
        take_effect=partial(dss.catalog.files.make_available, fqid),
        bytes=record.size,
    )


def _copied_blob(dss: Dss, record: FileRecord, source: Replica, destination: Replica) -> bool:
    """Copy a file's blob; or, where that takes longer, have the copy workflow do it and all that follows.

    Returns whether it is there. If not, the job is durable.
    """
    key = record.checksums.blob_key
    try:
        blob = source.store.stat(source.bucket, key)
    except ObjectNotFound as error:
        raise NotYetThere(f"file {record.fqid}: replica {source.name} has lost its blob") from error
    if record.size <= dss.settings.inline_copy_bytes:
        deadline = Deadline(dss.clock, _EVENT_SECONDS)
        # Time may be short all the same; then the workflow goes on.
        with contextlib.suppress(CopyTakesLonger):
            copy_inline(blob, source.store, destination, key, checksums=record.checksums, deadline=deadline)
            return True
    request_copy(dss, copy_order(blob, source, destination, record))
    return False


def _bundle(dss: Dss, name: ObjectName, seen: Replica) -> _Subject:
    fqid = Fqid(name.uuid, name.version or "")
    head, restored = restore_bundle(dss, fqid, seen)
    return _Subject(
        restored=restored,
        available=head.available,
        is_ready=_when_there(dss, partial(require_files, dss, head), "replication: bundle checked"),
        content=partial(_manifest, head, seen, name.key),
        written="replication: bundle manifest written",
        take_effect=partial(dss.catalog.bundles.make_available, fqid),
    )


def _when_there(dss: Dss, require: Callable[[Replica], object], checked: str) -> Callable[[Replica], bool]:
    """Return what says that a replica is ready, where it has what is required there."""

    def is_ready(destination: Replica) -> bool:
        require(destination)
        dss.faults.reach(checked)
        return True

    return is_ready


def _manifest(head: BundleHead | CollectionHead, seen: Replica, key: str) -> bytes:
    encoded = read(seen, key)
    if digest(encoded) != head.digest:
        raise InvalidChecksum(f"{key}: replica {seen.name} has other content than the catalog says")
    return encoded


def _tombstone(dss: Dss, name: ObjectName, seen: Replica) -> _Subject:
    tombstone, restored = restore_tombstone(dss, name, seen)
    return _Subject(
        restored=restored,
        available=dss.catalog.tombstones.available(tombstone),
        is_ready=lambda _: True,
        content=lambda: encode(tombstone_document(tombstone)),
        written="replication: tombstone written",
        take_effect=partial(dss.catalog.tombstones.hide, tombstone),
    )


def _collection(dss: Dss, name: ObjectName, seen: Replica) -> _Subject:
    fqid = Fqid(name.uuid, name.version or "")
    head, restored = restore_collection(dss, fqid, seen)
    return _Subject(
        restored=restored,
        available=head.available,
        is_ready=_when_there(dss, partial(require_contents, dss, head), "replication: collection checked"),
        content=partial(_manifest, head, seen, name.key),
        written="replication: collection manifest written",
        take_effect=partial(dss.catalog.collections.make_available, fqid),
    )


def _collection_tombstone(dss: Dss, name: ObjectName, seen: Replica) -> _Subject | None:
    if name.version:
        # Collections are hidden as a whole; this is somebody else's.
        return None
    tombstone, restored = restore_collection_tombstone(dss, name, seen)
    return _Subject(
        restored=restored,
        available=tombstone.available,
        is_ready=lambda _: True,
        content=lambda: encode(collection_tombstone_document(tombstone)),
        written="replication: collection tombstone written",
        take_effect=partial(dss.catalog.collection_tombstones.hide, tombstone),
    )


# What is replicated: a kind of object, alive or dead, and what looks into it.
_SUBJECTS: Mapping[tuple[Kind, bool], Callable[[Dss, ObjectName, Replica], _Subject | None]] = {
    (Kind.FILE, False): _file,
    (Kind.BUNDLE, False): _bundle,
    (Kind.BUNDLE, True): _tombstone,
    (Kind.COLLECTION, False): _collection,
    (Kind.COLLECTION, True): _collection_tombstone,
}
