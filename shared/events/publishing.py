"""Telling: what became available on a replica is journalled there, indexed, and made known, once.

A version that was hidden before it came to a replica was never to be seen there, and is no event. Of one that
was, both events are told, its creation first. The catalog notes what has been told only after everything is
durable, so that the sweep finds whatever was not, and nothing is lost; what is done twice is the same event.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from shared.catalog import BundleHead, Event
from shared.checksums import crc32c_of, md5_of
from shared.clock import Deadline
from shared.errors import NotYetThere, ObjectExists, ObjectNotFound
from shared.events.documents import keep_document
from shared.events.journal import index_of
from shared.identifiers import Fqid, Kind, ObjectName, event_id, parse_key, publication_key
from shared.manifests import CONTENT_TYPE, digest
from shared.messages import BUNDLE_EVENTS, FINALIZED, BundleEvent, ObjectEvent
from shared.metadata import CREATE, TOMBSTONE
from shared.parallel import map_in_threads
from shared.replicas import Replica
from shared.search.documents import entry_of
from shared.system import Dss

# Seconds in which a writer that is at it is done; another attempt is a second away at least.
_COMING_SECONDS = 0.5
_LOOK_SECONDS = 0.1
# Versions of a UUID that are told of at once.
_AT_ONCE = 8

Note = Callable[[BundleEvent], None]


def publish_event(dss: Dss, event: ObjectEvent, note: Note = lambda _: None) -> None:
    """Tell of the bundle version, or of those hidden, that an object event is about; `note` each event.

    Nothing where the object is something else, or all has been told. Raises NotYetThere where it is not
    available on that replica yet, and Unavailable or StoreError where a cloud fails.
    """
    name = parse_key(event.key)
    replica = dss.replicas.find(event.replica)
    if name is None or replica is None or event.event_type != FINALIZED or event.bucket != replica.bucket:
        return
    if name.kind is Kind.BUNDLE:
        (_publish_tombstone if name.dead else _publish_version)(dss, replica, name, note)


def _publish_version(dss: Dss, replica: Replica, name: ObjectName, note: Note) -> None:
    fqid = Fqid(name.uuid, name.version or "")
    deadline = Deadline(dss.clock, _COMING_SECONDS)
    # The event comes while its writer is about to tell the catalog, more often than not.
    while (head := dss.catalog.bundles.head(fqid)) and replica.name not in head.available:
        if deadline.passed:
            break
        deadline.pause(_LOOK_SECONDS)
    if head is None or replica.name not in head.available:
        raise NotYetThere(f"bundle {fqid}: replica {replica.name} does not have it yet")
    _publish_creation(dss, replica, note, head)


def _publish_creation(dss: Dss, replica: Replica, note: Note, head: BundleHead) -> None:
    if replica.name not in head.unpublished:
        return
    if head.was_visible(replica.name):
        _publish(dss, replica, note, head, dead=False)
    dss.catalog.bundles.mark_published(head.fqid, replica.name)


def _publish_tombstone(dss: Dss, replica: Replica, name: ObjectName, note: Note) -> None:
    known = dss.catalog.scan.tombstone(name.uuid, name.version)
    if known is None or replica.name not in known.available:
        raise NotYetThere(f"{name.key}: it is not in effect on replica {replica.name} yet")
    if replica.name not in known.unpublished:
        return
    hidden = dss.catalog.bundles.hidden_by(known.tombstone.name)
    work = partial(_publish_hidden, dss, replica, note)
    for _ in map_in_threads(work, hidden, threads=_AT_ONCE):
        pass
    dss.catalog.tombstones.mark_published(known.tombstone, replica.name)


def _publish_hidden(dss: Dss, replica: Replica, note: Note, head: BundleHead) -> None:
    if head.was_visible(replica.name):
        _publish_creation(dss, replica, note, head)
        # An earlier attempt at a UUID of many versions may have come as far, and is not begun anew.
        if not _was_published(dss, replica, head.fqid):
            _publish(dss, replica, note, head, dead=True)


def _was_published(dss: Dss, replica: Replica, fqid: Fqid) -> bool:
    """Tell whether the end of a version was told: one read, and a request where it is journalled."""
    this = event_id(replica.name, fqid, TOMBSTONE)
    if this not in dss.catalog.events.get_many([this]):
        return False
    try:
        replica.store.stat(replica.bucket, publication_key(this))
    except ObjectNotFound:
        return False
    return True


def _publish(dss: Dss, replica: Replica, note: Note, head: BundleHead, *, dead: bool) -> None:
    content = keep_document(dss, replica, head, dead=dead)
    dss.faults.reach("index: document kept")
    recorded = dss.catalog.events.record(event_of(replica.name, head.fqid, content, dead=dead))
    dss.faults.reach("index: journalled")
    dss.index.put(entry_of(replica.name, head.fqid, content, dead=dead))
    dss.faults.reach("index: indexed")
    event = bundle_event(recorded)
    dss.publisher.publish(BUNDLE_EVENTS, event.attributes)
    dss.faults.reach("index: published")
    _keep_time(replica, recorded)
    dss.faults.reach("index: time kept")
    note(event)


def _keep_time(replica: Replica, event: Event) -> None:
    """Keep beside an event's document that it was told, and when: a lost catalog is made anew of that."""
    # It was told before, at this time; or at one that the catalog has lost since, which the audit tells.
    with suppress(ObjectExists):
        replica.store.create(replica.bucket, publication_key(event.id), index_of([event]), CONTENT_TYPE)


def event_type(*, dead: bool) -> str:
    """Return the type of the event of a bundle version, or of that of its tombstone."""
    return TOMBSTONE if dead else CREATE


def event_of(replica: str, fqid: Fqid, content: bytes, *, dead: bool) -> Event:
    """Return the event that a document is about, not journalled yet."""
    return Event(
        id=event_id(replica, fqid, event_type(dead=dead)),
        replica=replica,
        type=event_type(dead=dead),
        fqid=fqid,
        size=len(content),
        digest=digest(content),
        md5=md5_of(content),
        crc32c=crc32c_of(content),
    )


def bundle_event(event: Event) -> BundleEvent:
    """Return the message that tells of an event of the journal."""
    return BundleEvent(
        id=event.id,
        replica=event.replica,
        type=event.type,
        uuid=event.fqid.uuid,
        version=event.fqid.version,
        timestamp=event.timestamp,
    )
