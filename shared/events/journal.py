"""The journal: all events of a replica in order of time, as objects that hold their documents.

A new event is a journal of one event, whose object is its document. `compact` concatenates the documents of
consecutive events into one object. A listing shows only the events of a journal that are in its range, so a
reader who continues after the last event meets every event once, even if events are compacted meanwhile:

    events      e1 e2 e3 e4 e5        listed from the start, 3 journals: [e1] [e2] [e3]
    compacted  [e1 e2 e3 e4] e5       listed after e3:                   [e4], of the object of e1..e4; [e5]

A journal's object stays, so that a signed URL that was given out stays valid, and is never changed but by a
purge (`shared/purges/scrubbing.py`): that replaces it by one of the same size, with spaces in place of the
documents of what is removed for good, whose events are no longer listed. It is gone for a moment meanwhile.

A reader sees only the events of bundles that it may read. A journal that has others as well is shown as one
of the events that the reader sees, and the API serves it (`shared.events.streams`):

    journal     [e1 e2 e3 e4], e3 is bound to a group    listed to others: [e1 e2 e4]
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from shared.catalog import WITHHELD, Checkpoint, Digests, Event, Journal, JournalEntry
from shared.checksums import MIB, crc32c_of, crc32c_of_joined, md5_of
from shared.errors import ObjectExists, ObjectNotFound, StoreError
from shared.identifiers import (
    Fqid,
    document_key,
    journal_index_key,
    journal_key,
    moment_of,
    version_after,
)
from shared.manifests import digest, encode, write_once
from shared.metadata import TOMBSTONE
from shared.replicas import Replica
from shared.stores.base import Piece, StoredObject, bucket_url
from shared.system import Dss

# Most events of one journal. Its document in the catalog is then some 70 KiB; Firestore: 1 MiB at most.
MOST_EVENTS = 1000
# Most bytes of one journal, unless it has a single event: a reader may want to keep it in memory.
MOST_BYTES = 64 * MIB
CONTENT_TYPE = "application/octet-stream"
# The type of a gap, and the UUID in it.
_PURGED = "PURGED"
_NO_UUID = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, kw_only=True)
class ListedJournal:
    """A journal as a reader sees it: a whole one, or one of some events of a whole one.

    `entries` are those in the range that the reader asked for.
    """

    seen: Journal
    whole: Journal
    entries: Sequence[JournalEntry]

    @property
    def is_whole(self) -> bool:
        """Whether the reader sees all events, and so may have the journal's object."""
        return self.seen is self.whole


def journals(
    dss: Dss, replica: str, *, labels: frozenset[str], start: str, stop: str, count: int
) -> list[ListedJournal]:
    """Return up to `count` journals with events from `start` on and before `stop`, in order of time.

    Each lists only these events, and of these only those with one of the labels. An empty `stop` is no bound.
    Costs two queries, and one more if the reader sees only events before `start` in the first journal.
    """
    listed: list[ListedJournal] = []
    after, complete = start, False
    while len(listed) < count and not complete and not (stop and after >= stop):
        asked = count - len(listed)
        found = dss.catalog.journals.since(replica, labels=labels, start=after, count=asked)
        shown = (_listed(journal, labels, start, stop) for journal in found)
        listed += [one for one in shown if one.entries]
        after = version_after(found[-1].to_date) if found else after
        complete = len(found) < asked
    # Events that are not compacted yet come after all compacted journals.
    if len(listed) < count and not (stop and after >= stop):
        events = dss.catalog.events.readable(
            replica, labels=labels, start=after, stop=stop, count=count - len(listed)
        )
        listed += (_listed(journal_of_one(event), labels, start, stop) for event in events)
    return listed


def _listed(whole: Journal, labels: frozenset[str], start: str, stop: str) -> ListedJournal:
    seen = seen_by(whole, labels)
    entries = [
        entry
        for entry in seen.entries
        if entry.event_id and entry.timestamp >= start and (not stop or entry.timestamp < stop)
    ]
    return ListedJournal(seen=seen, whole=whole, entries=entries)


def seen_by(journal: Journal, labels: frozenset[str]) -> Journal:
    """Return the journal of those events of a journal that have one of the labels.

    It is the same one if all have. Otherwise it says nothing of the others: its name, times and size are
    those of its own events, and its `key` is empty.
    """
    # Spaces are in place of what was removed for good: anybody may have those.
    present = [entry for entry in journal.entries if entry.event_id]
    entries = [entry for entry in present if not labels.isdisjoint(journal.labels_of(entry))]
    if len(entries) == len(present):
        return journal
    moved, offset = [], 0
    for entry in entries:
        moved.append(replace(entry, offset=offset))
        offset += entry.size
    first, last = (entries[0].timestamp, entries[-1].timestamp) if entries else ("", "")
    return Journal(
        id=_name(first, last),
        replica=journal.replica,
        key="",
        from_date=first,
        to_date=last,
        size=offset,
        entries=moved,
    )


def next_start(listed: Sequence[ListedJournal]) -> str:
    """Return the `start` that lists the journals after these."""
    return version_after(listed[-1].entries[-1].timestamp)


def journal_of_one(event: Event) -> Journal:
    """Return the journal of a single event, whose object is the event's document."""
    return Journal(
        id=event.id,
        replica=event.replica,
        key=document_key(event.fqid, dead=event.type == TOMBSTONE),
        from_date=event.timestamp,
        to_date=event.timestamp,
        size=event.size,
        entries=[JournalEntry(event.id, event.timestamp, 0, event.size)],
        bound={event.id: event.labels},
    )


def journal_of_many(events: Sequence[Event]) -> Journal:
    """Return the compacted journal of consecutive events, named by their first and last timestamps.

    Raises InvalidChecksum if a digest of an event is malformed.
    """
    entries, offset = [], 0
    for event in events:
        event.check_digests()
        entries.append(JournalEntry(event.id, event.timestamp, offset, event.size))
        offset += event.size
    index = journal_index(events)
    name = _name(events[0].timestamp, events[-1].timestamp)
    return Journal(
        id=name,
        replica=events[0].replica,
        key=journal_key(name),
        from_date=events[0].timestamp,
        to_date=events[-1].timestamp,
        size=offset,
        entries=entries,
        crc32c=crc32c_of_joined((event.crc32c, event.size) for event in events),
        index=Digests(size=len(index), sha256=digest(index), md5=md5_of(index), crc32c=crc32c_of(index)),
    )


def _name(first: str, last: str) -> str:
    return f"{first}--{last}"


def gap(replica: str, entry: JournalEntry) -> Event:
    """Return what stands in a journal for an event that was removed for good: as many spaces, and its time.

    It has no id, and is nobody's event.
    """
    spaces = b" " * entry.size
    return Event(
        id="",
        replica=replica,
        type=_PURGED,
        fqid=Fqid(_NO_UUID, entry.timestamp),
        size=entry.size,
        digest=digest(spaces),
        md5=md5_of(spaces),
        crc32c=crc32c_of(spaces),
        timestamp=entry.timestamp,
    )


def events_of(dss: Dss, journal: Journal, *also: Event) -> list[Event]:
    """Return the events of a journal, in order, a read each; a gap for each that is not in the log any more.

    `also` are events that may be in gaps and are in the log again.
    """
    known = dss.catalog.events.in_log([entry.event_id for entry in journal.entries if entry.event_id])
    back = {event.timestamp: event for event in also}
    return [
        known.get(entry.event_id) or back.get(entry.timestamp) or gap(journal.replica, entry)
        for entry in journal.entries
    ]


def journal_index(events: Sequence[Event]) -> bytes:
    """Return the content of a journal's index object: the events, with their timestamps."""
    return encode({"events": list(map(_index_row, events))})


def _index_row(event: Event) -> dict[str, Any]:
    row = {**asdict(event), "fqid": str(event.fqid)}
    # Who may read an event changes; the index does not, unless a purge replaces it.
    del row["labels"]
    return row


def indexed_events(content: bytes) -> list[Event]:
    """Return the events that a journal's index object lists, in order of time.

    Raises InvalidChecksum if a digest of an event is malformed, and ValueError, LookupError, TypeError or
    another DssError if the content is no index.
    """
    rows = json.loads(content)["events"]
    events = [Event(**{**row, "fqid": Fqid.parse(row["fqid"])}) for row in rows]
    for event in events:
        event.check_digests()
    return events


def compact(dss: Dss, replica: Replica) -> Iterator[Journal]:
    """Compact a replica's events into journals while some are due, and yield each journal.

    Events are due if they fill a journal, or are older than DSS_JOURNAL_SECONDS. Safe to repeat, and to run
    in parallel: the events of the next journal are claimed before anything is written, and the next run
    finishes a journal that was claimed.
    """
    while events := _due(dss, replica.name):
        journal = _write(replica, events)
        dss.faults.reach("compact: journal written")
        add_journal(dss, journal, events)
        dss.faults.reach("compact: journal added")
        yield journal


def add_journal(dss: Dss, journal: Journal, events: Sequence[Event]) -> None:
    """Add a journal of these events to the catalog, with the labels that they have by now.

    Nobody sees those that a purge has taken out of the log since they were read. Who withholds an event later
    finds the journal.
    """
    stop = version_after(journal.to_date)

    def labels() -> dict[str, frozenset[str]]:
        in_log = dss.catalog.events.count(journal.replica, start=journal.from_date, stop=stop)
        if in_log == len(events) and not dss.catalog.bindings.any_ever():
            return {}
        known = dss.catalog.events.in_log([event.id for event in events])
        return {event.id: known[event.id].labels if event.id in known else WITHHELD for event in events}

    dss.catalog.journals.add(journal, labels)


def _due(dss: Dss, replica: str) -> list[Event]:
    """Claim the events of the next journal, and return them; none if none are due."""
    while True:
        checkpoint = dss.catalog.journals.checkpoint(replica)
        start = _uncompacted_start(checkpoint)
        if checkpoint.held:
            return []
        if checkpoint.claimed:
            stop = version_after(checkpoint.claimed)
            claimed = list(dss.catalog.events.since(replica, start=start, stop=stop))
            if claimed:
                return claimed
            # All of them were withheld by purges.
            dss.catalog.journals.release(replica, checkpoint)
            continue
        events = list(dss.catalog.events.since(replica, start=start, count=MOST_EVENTS))
        fitting = _fitting(events)
        full = len(fitting) == MOST_EVENTS or len(fitting) < len(events)
        age = timedelta(seconds=dss.settings.journal_seconds)
        if not events or not (full or moment_of(events[0].timestamp) < dss.clock.now() - age):
            return []
        dss.catalog.journals.claim(replica, compacted=checkpoint.compacted, to=fitting[-1].timestamp)
        dss.faults.reach("compact: claimed")


def uncompacted(dss: Dss, replica: str) -> tuple[int, str]:
    """Return how many events of a replica are not compacted yet, and the timestamp of the oldest of them.

    Two reads, and one per thousand events. The timestamp is empty if there are none.
    """
    start = _uncompacted_start(dss.catalog.journals.checkpoint(replica))
    oldest = next(iter(dss.catalog.events.since(replica, start=start, count=1)), None)
    return (dss.catalog.events.count(replica, start=start), oldest.timestamp) if oldest else (0, "")


def _uncompacted_start(checkpoint: Checkpoint) -> str:
    return version_after(checkpoint.compacted) if checkpoint.compacted else ""


def _fitting(events: Sequence[Event]) -> list[Event]:
    """Return the first events, as many as fit into one journal, at least one."""
    total = 0
    for number, event in enumerate(events):
        total += event.size
        if number and total > MOST_BYTES:
            return list(events[:number])
    return list(events)


def _write(replica: Replica, events: Sequence[Event]) -> Journal:
    journal = journal_of_many(events)
    # A lost catalog of events is rebuilt from this index, with their timestamps.
    write_once(replica, journal_index_key(journal.id), journal_index(events))
    # An earlier or parallel attempt may have written the same events in the same order.
    with contextlib.suppress(ObjectExists):
        join(replica, journal, events)
    # The journal is wrong if a document differs from the one that was published. No reader has it yet, and it
    # must be written again when the document is repaired.
    if reason := contradiction(journal, replica.store.stat(replica.bucket, journal.key)):
        replica.store.delete(replica.bucket, journal.key)
        raise StoreError(f"{bucket_url(replica.store, replica.bucket, journal.key)}: {reason}")
    return journal


def join(replica: Replica, journal: Journal, events: Sequence[Event]) -> None:
    """Write the object of a journal by joining the documents of its events.

    Raises as the store's `join`; ObjectNotFound names the document that is lost.
    """
    pieces = [Piece(journal_of_one(event).key, event.size) for event in events]
    try:
        replica.store.join(replica.bucket, pieces, journal.key, content_type=CONTENT_TYPE)
    except ObjectNotFound:
        # A store that joins on its side only says which object it could not make.
        for piece in pieces:
            replica.store.stat(replica.bucket, piece.key)
        raise


def contradiction(journal: Journal, stored: StoredObject) -> str:
    """Return how a journal's object contradicts the journal's events; empty if it does not."""
    if stored.size != journal.size:
        return f"size: {journal.size} bytes are expected, the store has {stored.size}"
    if journal.crc32c and stored.crc32c and stored.crc32c != journal.crc32c:
        return f"crc32c: {journal.crc32c!r} is expected, the store says {stored.crc32c!r}"
    return ""
