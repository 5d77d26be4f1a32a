"""Events, made anew from one bucket with their times, before anything that they are about can be seen.

What was told has an object that says when. Journals say it too, of many events at once. What was not told is
left to the sweep: so events stay where they were for who follows the journal, nobody is told again, and
nothing is told that was not to be seen.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

from shared.catalog import BundleTombstone, Event, Journal
from shared.errors import DssError, ObjectNotFound, StoreError
from shared.events.journal import contradiction, events_of_index, join, journal_of_many
from shared.identifiers import Fqid, document_key, event_id, publication_key
from shared.metadata import CREATE, TOMBSTONE
from shared.parallel import map_in_threads, retry
from shared.replicas import Replica
from shared.stores.base import read_all
from shared.system import Dss

_THREADS = 32
# Events that are looked up in the catalog at once.
_BATCH = 500
_INDEX = ".json"
_FOLDER = publication_key("")
_ID = re.compile("[0-9a-f-]{36}")


@dataclass(frozen=True, kw_only=True)
class RestoredEvent:
    """What became of an event, or of the journal at a key; compare `shared.maintenance.rebuild`."""

    key: str
    new: bool = False
    failed: str = ""


def rebuild_events(dss: Dss, replica: Replica, *, dry_run: bool) -> Iterator[RestoredEvent]:
    """Yield what becomes of each event that was told on a replica, as its bucket says. Safe to repeat.

    No journals are made of the replica's events from now on, until this has come to its end: a journal that
    is made of some of them would leave out others. With `dry_run` nothing is changed.
    """
    if not dry_run:
        dss.catalog.journals.hold(replica.name, held=True)
        for found in replica.store.list(replica.bucket, "journals/"):
            if found.key.endswith(_INDEX):
                yield from _restore_journal(dss, replica, found.key)
    compacted = dss.catalog.journals.end(replica.name).compacted
    alone = []
    for this, known in _told(dss, replica):
        if known is None and not dry_run:
            alone.append(this)
        elif known is None or dry_run or known.timestamp > compacted:
            # The others were come by in their journals.
            yield RestoredEvent(key=publication_key(this), new=known is None)
    yield from _restore_alone(dss, replica, alone)
    if not dry_run:
        dss.catalog.journals.hold(replica.name, held=False)


def was_published(dss: Dss, replica: Replica, fqid: Fqid) -> bool:
    """Tell whether the creation of a bundle version is in the catalog of events, in one read."""
    this = event_id(replica.name, fqid, CREATE)
    return this in dss.catalog.events.get_many([this])


def was_seen(replica: Replica, fqid: Fqid) -> bool:
    """Tell whether a hidden bundle version was to be seen on a replica before it was hidden.

    Whether a version or its tombstone came there first, only the document tells.
    """
    try:
        replica.store.stat(replica.bucket, document_key(fqid, dead=False))
    except ObjectNotFound:
        return False
    return True


def all_were_published(dss: Dss, replica: Replica, tombstone: BundleTombstone) -> bool:
    """Tell whether all versions that a tombstone hid on a replica are events, and their ends."""
    heads = [head for head in dss.catalog.bundles.hidden_by(tombstone.name) if head.was_visible(replica.name)]
    ids = [event_id(replica.name, head.fqid, kind) for head in heads for kind in (CREATE, TOMBSTONE)]
    return len(dss.catalog.events.get_many(ids)) == len(ids)


def _restore_journal(dss: Dss, replica: Replica, key: str) -> Iterator[RestoredEvent]:
    """Restore a journal and its events. Where its index is lost, the events have objects of their own."""
    try:
        events = events_of_index(retry(dss.clock, partial(read_all, replica.store, replica.bucket, key)))
        journal = journal_of_many(events)
    except (ValueError, LookupError, TypeError, DssError) as error:
        yield RestoredEvent(key=key, failed=f"it tells of no events: {error!r}")
        return
    known = dss.catalog.events.get_many([event.id for event in events])
    dss.catalog.events.restore(replica.name, events)
    dss.catalog.journals.add(journal)
    for event in events:
        yield RestoredEvent(key=publication_key(event.id), new=event.id not in known)
    try:
        retry(dss.clock, partial(_require_journal, replica, journal, events))
    except DssError as error:
        # Its events are listed all the same, and the audit can mend it when the documents are.
        yield RestoredEvent(key=journal.key, failed=error.title)


def _require_journal(replica: Replica, journal: Journal, events: Sequence[Event]) -> None:
    """Return if the object of a journal is there and right; where it is lost, it is put together again."""
    try:
        found = replica.store.stat(replica.bucket, journal.key)
    except ObjectNotFound:
        join(replica, journal, events)
        found = replica.store.stat(replica.bucket, journal.key)
    if why := contradiction(journal, found):
        raise StoreError(f"{journal.key}: {why}")


def _told(dss: Dss, replica: Replica) -> Iterator[tuple[str, Event | None]]:
    """Yield the id of what was told on a replica, each with its event if the catalog knows it."""
    listed = replica.store.list(replica.bucket, _FOLDER)
    ids = (this for found in listed if _ID.fullmatch(this := found.key.removeprefix(_FOLDER)))
    while batch := list(islice(ids, _BATCH)):
        known = dss.catalog.events.get_many(batch)
        yield from ((this, known.get(this)) for this in batch)


def _restore_alone(dss: Dss, replica: Replica, ids: Sequence[str]) -> Iterator[RestoredEvent]:
    """Restore events that are in no journal, in order of time."""
    events = []
    for this, found in zip(
        ids, map_in_threads(partial(_read, dss, replica), ids, threads=_THREADS), strict=True
    ):
        if isinstance(found, Event):
            events.append(found)
        else:
            yield RestoredEvent(key=publication_key(this), failed=found)
    events.sort(key=lambda event: event.timestamp)
    compacted = dss.catalog.journals.end(replica.name).compacted
    dss.catalog.events.restore(replica.name, [event for event in events if event.timestamp > compacted])
    for event in events:
        if event.timestamp <= compacted:
            # Of a journal whose index is lost: nobody who lists journals would come by it any more.
            dss.catalog.events.record(replace(event, timestamp=""))
        yield RestoredEvent(key=publication_key(event.id), new=True)


def _read(dss: Dss, replica: Replica, this: str) -> Event | str:
    """Return an event with its time, as it was told; or why it cannot be."""
    read = partial(read_all, replica.store, replica.bucket, publication_key(this))
    try:
        [event] = events_of_index(retry(dss.clock, read))
    except (ValueError, LookupError, TypeError, DssError) as error:
        return f"it tells of no event: {error!r}"
    return event if (event.id, event.replica) == (this, replica.name) else "it tells of another event"
