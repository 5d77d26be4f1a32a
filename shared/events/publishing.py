"""The outbox: journal, index and publish the events of a bundle version or tombstone, once per replica.

A version that was hidden before it reached a replica was never visible there, and is no event. Otherwise both
its events are published, the creation first. A head leaves the outbox (its `unpublished` loses the replica)
only after everything is durable, so that the sweep finds what is not; a repeated step yields the same event.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from shared.access import labels_of
from shared.catalog import WITHHELD, BundleHead, Event
from shared.checksums import crc32c_of, md5_of
from shared.clock import Deadline
from shared.errors import NotYetThere, ObjectExists, ObjectNotFound
from shared.events.documents import store_document
from shared.events.journal import journal_index
from shared.events.readers import follow_if_changed
from shared.identifiers import Fqid, Kind, ObjectName, event_id, parse_key, publication_key
from shared.manifests import CONTENT_TYPE, digest
from shared.messages import BUNDLE_EVENTS, FINALIZED, BundleEvent, ObjectEvent
from shared.metadata import CREATE, TOMBSTONE
from shared.parallel import map_in_threads
from shared.replicas import Replica
from shared.search.documents import entry_of
from shared.system import Dss

# Seconds to wait for a writer that has written the manifest and not yet updated the catalog. Pub/Sub would
# retry after a second at the earliest.
_WRITER_SECONDS = 0.5
_POLL_SECONDS = 0.1
# Versions of a UUID that are published at once.
_THREADS = 8

OnPublished = Callable[[BundleEvent], None]


def publish_event(dss: Dss, event: ObjectEvent, on_published: OnPublished = lambda _: None) -> None:
    """Publish the events of the manifest or tombstone that an object event is about.

    Calls `on_published` with each. Does nothing if the object is of another kind, or its events are
    published. Raises NotYetThere if it is not available on the replica yet, and Unavailable or StoreError if
    a cloud fails.
    """
    name = parse_key(event.key)
    replica = dss.replicas.find(event.replica)
    if name is None or replica is None or event.event_type != FINALIZED or event.bucket != replica.bucket:
        return
    if name.kind is Kind.BUNDLE:
        (_publish_tombstone if name.dead else _publish_version)(dss, replica, name, on_published)


def _publish_version(dss: Dss, replica: Replica, name: ObjectName, on_published: OnPublished) -> None:
    fqid = Fqid(name.uuid, name.version or "")
    deadline = Deadline(dss.clock, _WRITER_SECONDS)
    # The object event usually arrives while the writer is about to update the catalog.
    while (head := dss.catalog.bundles.head(fqid)) and replica.name not in head.available:
        if head.purged or deadline.passed:
            break
        deadline.pause(_POLL_SECONDS)
    if head.purged if head else _is_purged(dss, fqid):
        return
    if head is None or replica.name not in head.available:
        raise NotYetThere(f"bundle {fqid}: replica {replica.name} does not have it yet")
    _publish_creation(dss, replica, on_published, head)


def _is_purged(dss: Dss, fqid: Fqid) -> bool:
    current = dss.catalog.bindings.current(fqid.uuid)
    return current is not None and bool(current.purged(fqid.version))


def _publish_creation(dss: Dss, replica: Replica, on_published: OnPublished, head: BundleHead) -> bool:
    """Return whether the creation needs no publishing any more; not so if it was purged meanwhile."""
    if replica.name not in head.unpublished:
        return True
    if head.was_visible(replica.name) and not _publish(dss, replica, on_published, head, dead=False):
        return False
    dss.catalog.bundles.mark_published(head.fqid, replica.name)
    return True


def _publish_tombstone(dss: Dss, replica: Replica, name: ObjectName, on_published: OnPublished) -> None:
    known = dss.catalog.scan.tombstone(name.uuid, name.version)
    if known is None and _is_purged(dss, Fqid(name.uuid, name.version or "")):
        return
    if known is None or replica.name not in known.available:
        raise NotYetThere(f"{name.key}: it is not in effect on replica {replica.name} yet")
    if replica.name not in known.unpublished:
        return
    hidden = dss.catalog.bundles.hidden_by(known.tombstone.name)
    work = partial(_publish_hidden, dss, replica, on_published)
    published = True
    for is_published in map_in_threads(work, hidden, threads=_THREADS):
        published = published and is_published
    if not published:
        # It is published when the purge is undone; the sweep tries again.
        return
    dss.catalog.tombstones.mark_published(known.tombstone, replica.name)


def _publish_hidden(dss: Dss, replica: Replica, on_published: OnPublished, head: BundleHead) -> bool:
    """Return whether nothing of a hidden version needs publishing any more; not so if it is purged."""
    if not head.was_visible(replica.name):
        return not head.purged
    if not _publish_creation(dss, replica, on_published, head):
        return False
    # An earlier attempt at a UUID with many versions may have published some of them.
    return _was_published(dss, replica, head.fqid) or _publish(dss, replica, on_published, head, dead=True)


def _was_published(dss: Dss, replica: Replica, fqid: Fqid) -> bool:
    """Return whether a version's TOMBSTONE is published: one read, and one request if it is journalled."""
    tombstone = event_id(replica.name, fqid, TOMBSTONE)
    if tombstone not in dss.catalog.events.get_many([tombstone]):
        return False
    try:
        replica.store.stat(replica.bucket, publication_key(tombstone))
    except ObjectNotFound:
        return False
    return True


def _publish(dss: Dss, replica: Replica, on_published: OnPublished, head: BundleHead, *, dead: bool) -> bool:
    """Publish an event, and return True; withdraw it and return False if a purge took effect meanwhile."""
    content = store_document(dss, replica, head, dead=dead)
    dss.faults.reach("index: document kept")
    readers = head.content_readers
    event = event_of(replica.name, head.fqid, content, dead=dead, readers=readers)
    recorded = dss.catalog.events.record(event)
    dss.faults.reach("index: journalled")
    dss.index.put(entry_of(replica.name, head.fqid, content, dead=dead, readers=readers))
    dss.faults.reach("index: indexed")
    now = follow_if_changed(dss, head, recorded)
    if now is None or now.purged:
        _withdraw(dss, recorded)
        return False
    message = bundle_event(recorded)
    dss.publisher.publish(BUNDLE_EVENTS, message.attributes)
    dss.faults.reach("index: published")
    _record_publication(replica, recorded)
    dss.faults.reach("index: time kept")
    on_published(message)
    return True


def _withdraw(dss: Dss, event: Event) -> None:
    """Take back what was written of a version after its purge had withheld what there was of it.

    If its purge is undone at this moment, the sweep finds it in the outbox, and publishes it anew. A journal
    that was made of the event meanwhile is written anew by the removal: functions may not replace objects.
    """
    dss.catalog.purges.withhold_events(event.fqid.uuid, [event.fqid.version])
    dss.catalog.journals.set_labels(event, WITHHELD)
    for restored in dss.catalog.events.in_log([event.id]).values():
        dss.catalog.journals.set_labels(restored, restored.labels)
    dss.index.delete(event.replica, event.fqid)


def _record_publication(replica: Replica, event: Event) -> None:
    """Write to the bucket that an event is published, and its timestamp, to rebuild a lost catalog from."""
    # If it exists, it has this timestamp, or one that the catalog has lost since, which an audit reports.
    with suppress(ObjectExists):
        replica.store.create(replica.bucket, publication_key(event.id), journal_index([event]), CONTENT_TYPE)


def event_type(*, dead: bool) -> str:
    """Return the type of the event of a bundle version, or of its tombstone."""
    return TOMBSTONE if dead else CREATE


def event_of(
    replica: str, fqid: Fqid, content: bytes, *, dead: bool, readers: frozenset[str] = frozenset()
) -> Event:
    """Return the event of a document that `readers` may read, not journalled yet."""
    return Event(
        id=event_id(replica, fqid, event_type(dead=dead)),
        replica=replica,
        type=event_type(dead=dead),
        fqid=fqid,
        size=len(content),
        digest=digest(content),
        md5=md5_of(content),
        crc32c=crc32c_of(content),
        labels=labels_of(readers),
    )


def bundle_event(event: Event) -> BundleEvent:
    """Return the message that publishes an event of the journal."""
    return BundleEvent(
        id=event.id,
        replica=event.replica,
        type=event.type,
        uuid=event.fqid.uuid,
        version=event.fqid.version,
        timestamp=event.timestamp,
    )
