"""Rebuild the catalog of events from one bucket, with their times, before reads see what they are about.

Each published event has an object with its time, and journals have the times of many events. Events that were
not published are left to the sweep. So readers of the journal find each event where it was, no event is
published again, and none for an object that was not visible. If anything is bound, only admins see an event
until the bundle that it is of is known, with its readers.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

from shared.catalog import Event, Journal, JournalEntry
from shared.errors import DssError, ObjectNotFound, StoreError
from shared.events.journal import add_journal, contradiction, gap, indexed_events, join, journal_of_many
from shared.events.readers import labelled
from shared.identifiers import publication_key
from shared.parallel import map_in_threads
from shared.purges.scrubbing import put_journal
from shared.replicas import Replica
from shared.retry import retry
from shared.system import Dss

_THREADS = 32
# Events that are looked up in the catalog at once.
_BATCH = 500
_INDEX = ".json"
# The folders of the indexes of journals, and of publications.
JOURNALS = "journals/"
EVENTS = publication_key("")
_ID = re.compile("[0-9a-f-]{36}")


@dataclass(frozen=True, kw_only=True)
class RestoredEvent:
    """The outcome for an event, or for the journal at a key; see `shared.maintenance.rebuild.Restored`."""

    key: str
    new: bool = False
    failed: str = ""


def rebuild_events(dss: Dss, replica: Replica, *, dry_run: bool) -> Iterator[RestoredEvent]:
    """Yield the outcome for each event that was published on a replica. Safe to repeat.

    Holds back new journals of the replica until it is complete: they would leave out events that are still to
    be restored. With `dry_run` nothing is changed.
    """
    if dry_run:
        for name, known in _published(dss, event_keys(replica, EVENTS)):
            yield RestoredEvent(key=publication_key(name), new=known is None)
        return
    dss.catalog.journals.hold(replica.name, held=True)
    for folder in (JOURNALS, EVENTS):
        keys = event_keys(replica, folder)
        while batch := list(islice(keys, _BATCH)):
            yield from restore_events(dss, replica, batch)
    dss.catalog.journals.hold(replica.name, held=False)


def event_keys(replica: Replica, folder: str, after: str = "", until: str = "") -> Iterator[str]:
    """Yield the keys of the indexes of journals, or of publications, after one, up to `until`, in order."""
    for stored in replica.store.list(replica.bucket, folder, after=after):
        if until and stored.key > until:
            return
        if stored.key.endswith(_INDEX) if folder == JOURNALS else _ID.fullmatch(stored.key[len(folder) :]):
            yield stored.key


def restore_events(dss: Dss, replica: Replica, keys: Sequence[str]) -> Iterator[RestoredEvent]:
    """Restore the journals of some indexes, or some publications, and yield the outcome for each event.

    Restore all journals before any publication, and hold back new ones meanwhile. Safe to repeat.
    """
    for key in (key for key in keys if key.startswith(JOURNALS)):
        yield from _restore_journal(dss, replica, key)
    alone = [key for key in keys if key.startswith(EVENTS)]
    compacted = dss.catalog.journals.checkpoint(replica.name).compacted if alone else ""
    unknown = []
    for name, known in _published(dss, alone):
        if known is None:
            unknown.append(name)
        elif known.timestamp > compacted:
            # The others were restored with their journals.
            yield RestoredEvent(key=publication_key(name))
    yield from _restore_alone(dss, replica, unknown)


def _restore_journal(dss: Dss, replica: Replica, key: str) -> Iterator[RestoredEvent]:
    """Restore a journal and its events from its index. Events of a lost index have their own objects."""
    try:
        listed = indexed_events(retry(dss.clock, partial(replica.store.read_all, replica.bucket, key)))
        events = _without_purged(dss, replica.name, listed)
        journal = journal_of_many(events)
    except (ValueError, LookupError, TypeError, DssError) as error:
        yield RestoredEvent(key=key, failed=f"it is no index of events: {error!r}")
        return
    present = [event for event in events if event.id]
    known = dss.catalog.events.get_many([event.id for event in present])
    dss.catalog.events.restore(replica.name, labelled(dss, present))
    add_journal(dss, journal, present)
    for event in present:
        yield RestoredEvent(key=publication_key(event.id), new=event.id not in known)
    try:
        retry(dss.clock, partial(_require_journal, dss, replica, journal, events))
    except DssError as error:
        # Its events are listed all the same, and an audit can repair it once their documents are right.
        yield RestoredEvent(key=journal.key, failed=error.title)


def _without_purged(dss: Dss, replica: str, events: Sequence[Event]) -> list[Event]:
    """Return the events of a journal with gaps in place of those whose bundles were removed for good."""
    purged = _purged(dss, events)
    return [
        gap(replica, JournalEntry("", event.timestamp, 0, event.size)) if event.id in purged else event
        for event in events
    ]


def _purged(dss: Dss, events: Sequence[Event]) -> set[str]:
    """Return the ids of the events whose bundles were removed for good; a read for each bundle."""
    current = dss.catalog.bindings.current_many(event.fqid.uuid for event in events if event.id)
    return {
        event.id
        for event in events
        if event.fqid.uuid in current and current[event.fqid.uuid].purged(event.fqid.version)
    }


def _require_journal(dss: Dss, replica: Replica, journal: Journal, events: Sequence[Event]) -> None:
    """Return if the object of a journal is right, or could be put together again because it was lost."""
    if not all(event.id for event in events):
        put_journal(dss, replica, journal, events)
        return
    try:
        found = replica.store.stat(replica.bucket, journal.key)
    except ObjectNotFound:
        join(replica, journal, events)
        found = replica.store.stat(replica.bucket, journal.key)
    if why := contradiction(journal, found):
        raise StoreError(f"{journal.key}: {why}")


def _published(dss: Dss, keys: Iterable[str]) -> Iterator[tuple[str, Event | None]]:
    """Yield the ids of the events of publications, each with its event if the catalog knows it."""
    ids = (key.removeprefix(EVENTS) for key in keys)
    while batch := list(islice(ids, _BATCH)):
        known = dss.catalog.events.get_many(batch)
        yield from ((name, known.get(name)) for name in batch)


def _restore_alone(dss: Dss, replica: Replica, ids: Sequence[str]) -> Iterator[RestoredEvent]:
    """Restore events that are in no journal, in order of time."""
    events = []
    read = map_in_threads(partial(_read, dss, replica), ids, threads=_THREADS)
    for name, event in zip(ids, read, strict=True):
        if isinstance(event, Event):
            events.append(event)
        else:
            yield RestoredEvent(key=publication_key(name), failed=event)
    purged = _purged(dss, events)
    events = [event for event in events if event.id not in purged]
    events.sort(key=lambda event: event.timestamp)
    compacted = dss.catalog.journals.checkpoint(replica.name).compacted
    events = labelled(dss, events)
    dss.catalog.events.restore(replica.name, [event for event in events if event.timestamp > compacted])
    for event in events:
        if event.timestamp <= compacted:
            # Of a journal whose index is lost: with its old time no reader of the journal would get to it.
            dss.catalog.events.record(replace(event, timestamp=""))
        yield RestoredEvent(key=publication_key(event.id), new=True)


def _read(dss: Dss, replica: Replica, name: str) -> Event | str:
    """Return an event with its time, as it was published; or why that is not possible."""
    read = partial(replica.store.read_all, replica.bucket, publication_key(name))
    try:
        [event] = indexed_events(retry(dss.clock, read))
    except (ValueError, LookupError, TypeError, DssError) as error:
        return f"it is no publication: {error!r}"
    return event if (event.id, event.replica) == (name, replica.name) else "it is of another event"
