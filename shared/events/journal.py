"""The journal: all events of a replica in order of time, as objects in which their documents lie.

A new event is a journal of one, which is its document itself. `compact` puts consecutive ones together. What
is listed of a journal are the events that were asked for, so that a reader who goes on behind the last one
seen meets every event once, whatever is put together meanwhile. No object is ever removed: a signed URL that
was given out stays good.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import timedelta

from shared.catalog import Checkpoint, Digests, Event, Journal, JournalEntry
from shared.checksums import MIB, crc32c_of, crc32c_of_joined, md5_of
from shared.errors import ObjectExists, StoreError
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

# Events of one journal at most. Its document in the catalog is then some 70 KiB; Firestore: 1 MiB at most.
MOST_EVENTS = 1000
# Bytes of one journal at most, a single event aside: what a reader may want to have in memory.
MOST_BYTES = 64 * MIB
_CONTENT_TYPE = "application/octet-stream"


def journals(dss: Dss, replica: str, *, start: str, stop: str, count: int) -> list[Journal]:
    """Return up to `count` journals with events from `start` on and before `stop`, in order of time.

    Of each only these events are listed. An empty `stop` is no bound. Costs two queries at most.
    """
    found = dss.catalog.journals.since(replica, start=start, count=count)
    behind = version_after(found[-1].to_date) if found else start
    if len(found) < count and not (stop and behind >= stop):
        events = dss.catalog.events.since(replica, start=behind, stop=stop, count=count - len(found))
        found += map(journal_of_one, events)
    limited = (_within(journal, start, stop) for journal in found)
    return [journal for journal in limited if journal.entries]


def _within(journal: Journal, start: str, stop: str) -> Journal:
    entries = [
        entry
        for entry in journal.entries
        if entry.timestamp >= start and (not stop or entry.timestamp < stop)
    ]
    return replace(journal, entries=entries)


def go_on(listed: Sequence[Journal]) -> str:
    """Return from where on to list what comes behind these journals."""
    return version_after(listed[-1].entries[-1].timestamp)


def journal_of_one(event: Event) -> Journal:
    """Return the journal that an event is by itself."""
    return Journal(
        id=event.id,
        replica=event.replica,
        key=document_key(event.fqid, dead=event.type == TOMBSTONE),
        from_date=event.timestamp,
        to_date=event.timestamp,
        size=event.size,
        entries=[JournalEntry(event.id, event.timestamp, 0, event.size)],
    )


def journal_of_many(events: Sequence[Event]) -> Journal:
    """Return the journal that consecutive events of a replica make up, named by their first and last time."""
    entries, offset = [], 0
    for event in events:
        entries.append(JournalEntry(event.id, event.timestamp, offset, event.size))
        offset += event.size
    index = index_of(events)
    name = f"{events[0].timestamp}--{events[-1].timestamp}"
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


def index_of(events: Sequence[Event]) -> bytes:
    """Return what the object at a journal's `journal_index_key` says: the events, with their times."""
    return encode({"events": [{**asdict(event), "fqid": str(event.fqid)} for event in events]})


def events_of_index(content: bytes) -> list[Event]:
    """Return the events that the object at a journal's `journal_index_key` tells of, in order of time."""
    rows = json.loads(content)["events"]
    return [Event(**{**row, "fqid": Fqid.parse(row["fqid"])}) for row in rows]


def compact(dss: Dss, replica: Replica) -> Iterator[Journal]:
    """Put a replica's events into journals, one after the other, as long as some are due; yield each.

    Due is what fills a journal, and what is older than DSS_JOURNAL_SECONDS. Safe to repeat, and to run twice
    at a time: which events make up the next journal is claimed before anything is written, and whoever comes
    next finishes what was claimed.
    """
    while events := _due(dss, replica.name):
        journal = _write(replica, events)
        dss.faults.reach("compact: journal written")
        dss.catalog.journals.add(journal)
        dss.faults.reach("compact: journal added")
        yield journal


def _due(dss: Dss, replica: str) -> list[Event]:
    """Return the events of the next journal, claimed; none where none are due."""
    while True:
        end = dss.catalog.journals.end(replica)
        start = _behind(end)
        if end.held:
            return []
        if end.claimed:
            return list(dss.catalog.events.since(replica, start=start, stop=version_after(end.claimed)))
        events = list(dss.catalog.events.since(replica, start=start, count=MOST_EVENTS))
        fitting = _fitting(events)
        full = len(fitting) == MOST_EVENTS or len(fitting) < len(events)
        age = timedelta(seconds=dss.settings.journal_seconds)
        if not events or not (full or moment_of(events[0].timestamp) < dss.clock.now() - age):
            return []
        dss.catalog.journals.claim(replica, compacted=end.compacted, to=fitting[-1].timestamp)
        dss.faults.reach("compact: claimed")


def waiting(dss: Dss, replica: str) -> tuple[int, str]:
    """Return how many events of a replica are in no journal of many, and the time of the first of them.

    Two reads, and one for each thousand events. The time is empty where there are none.
    """
    start = _behind(dss.catalog.journals.end(replica))
    oldest = next(iter(dss.catalog.events.since(replica, start=start, count=1)), None)
    return (dss.catalog.events.count(replica, start=start), oldest.timestamp) if oldest else (0, "")


def _behind(end: Checkpoint) -> str:
    """Return from where on events are in no journal of many."""
    return version_after(end.compacted) if end.compacted else ""


def _fitting(events: Sequence[Event]) -> list[Event]:
    """Return the first of some events: as many as fit into one journal, at least one."""
    total = 0
    for number, event in enumerate(events):
        total += event.size
        if number and total > MOST_BYTES:
            return list(events[:number])
    return list(events)


def _write(replica: Replica, events: Sequence[Event]) -> Journal:
    journal = journal_of_many(events)
    # By which the catalog of events can be made anew, with their times.
    write_once(replica, journal_index_key(journal.id), index_of(events))
    # The same events, in the same order, may have been written by an earlier attempt, or one beside us.
    with contextlib.suppress(ObjectExists):
        join(replica, journal, events)
    # Whoever wrote it: a document may be other than was told, and a journal of that is none. Nobody was given
    # it yet, and when the document is right again, it has to be made anew.
    if why := contradiction(journal, replica.store.stat(replica.bucket, journal.key)):
        replica.store.delete(replica.bucket, journal.key)
        raise StoreError(f"{bucket_url(replica.store, replica.bucket, journal.key)}: {why}")
    return journal


def join(replica: Replica, journal: Journal, events: Sequence[Event]) -> None:
    """Write the object of a journal, of the documents of its events. Raises what the store's `join` does."""
    pieces = [Piece(journal_of_one(event).key, event.size) for event in events]
    replica.store.join(replica.bucket, pieces, journal.key, content_type=_CONTENT_TYPE)


def contradiction(journal: Journal, found: StoredObject) -> str:
    """Return what a store says of a journal's object that contradicts its events; empty for nothing."""
    if found.size != journal.size:
        return f"size: {journal.size} bytes are expected, the store has {found.size}"
    if journal.crc32c and found.crc32c and found.crc32c != journal.crc32c:
        return f"crc32c: {journal.crc32c!r} is expected, the store says {found.crc32c!r}"
    return ""
