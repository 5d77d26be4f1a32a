"""Scrubbing: what is made of a version follows when it is purged, and when that is undone.

The entries of its index, its checkouts in the shared buckets, and its documents in journals; of a file also
the documents, entries and checkouts of the bundles that name it. All of it is made anew from what the buckets
still have, so that a purge can be undone until its removal begins. Safe to repeat after a kill at any point.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from shared.bindings import narrow_bundle
from shared.catalog import BundleHead, Event, Journal, Purge
from shared.checkouts.objects import remove_shared_copies
from shared.checksums import crc32c_of, md5_of
from shared.errors import ObjectExists, ObjectNotFound
from shared.events.documents import document_of, published_document
from shared.events.journal import CONTENT_TYPE as JOURNAL_TYPE
from shared.events.journal import add_journal, events_of, journal_index, journal_of_many, journal_of_one
from shared.events.readers import publish_change
from shared.identifiers import Fqid, document_key, event_ids, journal_index_key, publication_key
from shared.manifests import CONTENT_TYPE, digest
from shared.metadata import CREATE, TOMBSTONE
from shared.parallel import map_in_threads
from shared.replicas import Replica
from shared.search.documents import entry_of
from shared.system import Dss

# Bundles that name a purged file and are scrubbed at once; the document of each is 16 MiB at most.
_AT_ONCE = 4


def scrub(dss: Dss, purge: Purge) -> None:
    """Have everything that is made of what a purge names follow it, or its undoing.

    Its index entries, shared checkouts and journals; of a file those of the bundles that name it.
    """
    uuid = purge.fqid.uuid
    heads = [head for head in dss.catalog.bundles.versions(uuid) if purge.covers(head.fqid.version)]
    files = [file for file in dss.catalog.files.versions(uuid) if purge.covers(file.fqid.version)]
    for replica in dss.replicas:
        remove_shared_copies(replica, [head.fqid for head in heads], files)
    for head in heads:
        _scrub_bundle(dss, head)
    naming = sorted(dss.catalog.bindings.bundles_with_file(uuid))
    for _ in map_in_threads(partial(refresh_bundle, dss), naming, threads=_AT_ONCE):
        pass


def _scrub_bundle(dss: Dss, head: BundleHead) -> None:
    """Have index and journals follow a bundle version that is withheld, or restored."""
    for replica in dss.replicas:
        if head.purged:
            dss.index.delete(replica.name, head.fqid)
        elif head.was_visible(replica.name):
            _index(dss, replica, head)
        publish_change(dss, replica.name, head.fqid)
    for event in _events(dss, head.fqid, CREATE, TOMBSTONE):
        replica = dss.replicas.named(event.replica)
        journal = rewrite_journal(dss, replica, event)
        if head.purged:
            continue
        if journal is None:
            _list_again(dss, replica, event)
        else:
            # It was withheld if the journal was added while its bundle was purged.
            dss.catalog.journals.set_labels(event, event.labels)


def _list_again(dss: Dss, replica: Replica, event: Event) -> None:
    """Append an event anew if journals were made of later ones while it was withheld."""
    if event.timestamp > dss.catalog.journals.checkpoint(replica.name).compacted:
        return
    recorded = dss.catalog.events.append_again(event)
    replace_object(replica, publication_key(event.id), journal_index([recorded]), CONTENT_TYPE)


def refresh_bundle(dss: Dss, bundle: Fqid) -> None:
    """Have a bundle's document leave out the files of it that are purged, and hold all others.

    The document keeps its size, and the journal that has it changes in its place only.
    """
    narrow_bundle(dss, bundle)
    head = dss.catalog.bundles.head(bundle)
    if head is None or head.purged:
        return
    for replica in dss.replicas:
        remove_shared_copies(replica, [bundle], [])
    for event in _events(dss, bundle, CREATE):
        replica = dss.replicas.named(event.replica)
        content = published_document(dss, replica, head, size=event.size, dead=False)
        if digest(content) != event.digest:
            replace_object(replica, document_key(bundle, dead=False), content, CONTENT_TYPE)
            now = replace(event, digest=digest(content), md5=md5_of(content), crc32c=crc32c_of(content))
            dss.catalog.events.replace(now)
            replace_object(replica, publication_key(event.id), journal_index([now]), CONTENT_TYPE)
            if not head.hidden:
                _index(dss, replica, head)
            publish_change(dss, replica.name, head.fqid)
            event = now
        rewrite_journal(dss, replica, event)


def _index(dss: Dss, replica: Replica, head: BundleHead) -> None:
    content = document_of(dss, replica, head)
    entry = entry_of(replica.name, head.fqid, content, dead=head.hidden, readers=head.content_readers)
    # The back end replaces a living entry in any case.
    dss.index.put(entry)


def _events(dss: Dss, fqid: Fqid, *types: str) -> list[Event]:
    return list(dss.catalog.events.get_many(event_ids(dss.replicas.names, fqid, types)).values())


def rewrite_journal(dss: Dss, replica: Replica, event: Event) -> Journal | None:
    """Have the journal that was made of an event hold the documents of the log, and spaces for all others.

    Returns the journal; None if none was made of the event.
    """
    journal = dss.catalog.journals.holding(replica.name, event.timestamp)
    if journal is None or event.timestamp not in {entry.timestamp for entry in journal.entries}:
        return None
    back = dss.catalog.events.in_log([event.id]).values()
    put_journal(dss, replica, journal, events_of(dss, journal, *back))
    return journal


def put_journal(dss: Dss, replica: Replica, journal: Journal, events: Sequence[Event]) -> None:
    """Write a journal anew, of events with the times and sizes of those that it was made of."""
    made = journal_of_many(events)
    content = _joined(replica, journal, events)
    index = journal_index(events)
    if made != journal or not _is(replica, made.key, content):
        replace_object(replica, made.key, content, JOURNAL_TYPE)
    if made != journal or not _is(replica, journal_index_key(made.id), index):
        replace_object(replica, journal_index_key(made.id), index, CONTENT_TYPE)
    if made != journal:
        # With the labels of those that are in it now.
        add_journal(dss, made, [event for event in events if event.id])


def _joined(replica: Replica, journal: Journal, events: Sequence[Event]) -> bytes:
    """Return the content of a journal: what its object has of it already, and documents for the rest."""
    try:
        before = replica.store.read_all(replica.bucket, journal.key)
    except ObjectNotFound:
        before = b""
    parts = []
    for entry, event in zip(journal.entries, events, strict=True):
        part = before[entry.offset : entry.offset + entry.size]
        if not event.id:
            part = b" " * event.size
        elif digest(part) != event.digest:
            part = replica.store.read_all(replica.bucket, journal_of_one(event).key)
        parts.append(part)
    return b"".join(parts)


def _is(replica: Replica, key: str, content: bytes) -> bool:
    try:
        found = replica.store.stat(replica.bucket, key)
        if not found.is_content(content):
            return False
        # What S3 has joined has no checksum, and what takes its place has the same size.
        vouched = found.md5 or found.crc32c
        return bool(vouched) or replica.store.read_all(replica.bucket, key) == content
    except ObjectNotFound:
        return False


def replace_object(replica: Replica, key: str, content: bytes, content_type: str) -> None:
    """Replace an object of the main bucket, and leave no earlier version of it. Safe to repeat.

    It is gone for a moment: there is no other way to replace an object that is never overwritten.
    """
    if _is(replica, key, content):
        return
    replica.store.erase(replica.bucket, key)
    with suppress(ObjectExists):
        replica.store.create(replica.bucket, key, content, content_type)
