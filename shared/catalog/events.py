"""The catalog of events: collection `events`, one document an event, and `journal_ends`, one a replica.

Each replica's events are one line. An event gets its time in the commit that puts it at the line's end: later
than all before it, so that who has read up to a moment never finds anything new before that.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from google.cloud.firestore import FieldFilter

from shared.batching import Batcher
from shared.catalog.database import Database, Step, Write
from shared.identifiers import Fqid, version_after, version_of

# Events of one commit. Firestore: 10 MiB a request; an event is some 300 bytes. A longer commit keeps the
# others waiting.
_AT_ONCE = 200
_PAGE = 500


@dataclass(frozen=True, kw_only=True)
class Event:
    """A bundle version, or its tombstone, became available on a replica: `type` is `CREATE` or `TOMBSTONE`.

    `size` in bytes, `digest`, a SHA-256, `md5` and `crc32c` are those of its document. `timestamp` is a
    version, and empty for what is not in the journal yet.
    """

    id: str
    replica: str
    type: str
    fqid: Fqid
    size: int
    digest: str
    md5: str
    crc32c: str
    timestamp: str = ""


class EventCatalog:
    """Reads and writes of events."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("events")
        self._ends = database.client.collection("journal_ends")
        # One commit at a time can write to the end of a line; it takes along all who wait for it.
        self._lines = {
            name: Batcher(partial(self._put_at_end, name), most=_AT_ONCE) for name in database.replicas
        }

    def record(self, event: Event) -> Event:
        """Return an event with the time at which it was journalled: now, or when it was recorded before."""
        return self._lines[event.replica](event)

    def _put_at_end(self, replica: str, events: Sequence[Event]) -> Sequence[Event]:
        references = {event.id: self._collection.document(event.id) for event in events}
        recorded: dict[str, Event] = {}

        def step(end: Any) -> Step | None:
            recorded.clear()
            found = self._database.get_many(list(references.values()))
            recorded.update((there.id, event_of(there)) for there in found)
            last = str((end.to_dict() or {}).get("last", ""))
            writes = []
            for event in events:
                if event.id not in recorded:
                    last = _later(last, version_of(self._database.clock.now()))
                    recorded[event.id] = replace(event, timestamp=last)
                    writes.append(_creating(references[event.id], _to_document(recorded[event.id])))
            return ({"last": last}, writes) if writes else None

        self._database.advance(self._ends.document(replica), step)
        return [recorded[event.id] for event in events]

    def restore(self, replica: str, events: Sequence[Event]) -> None:
        """Write events of a replica that were journalled before, each with its time. Safe to repeat."""
        for first in range(0, len(events), _AT_ONCE):
            some = events[first : first + _AT_ONCE]
            writes = [_setting(self._collection.document(event.id), _to_document(event)) for event in some]

            def step(end: Any, newest: str = some[-1].timestamp, writes: list[Write] = writes) -> Step:
                return {"last": max(str((end.to_dict() or {}).get("last", "")), newest)}, writes

            self._database.advance(self._ends.document(replica), step)

    def since(self, replica: str, *, start: str = "", stop: str = "", count: int = 0) -> Iterator[Event]:
        """Yield a replica's events in order of time: from `start`, before `stop`, up to `count`, if given."""
        query = self._line(replica, start)
        if stop:
            query = query.where(filter=FieldFilter("timestamp", "<", stop))
        found = self._database.query(query.limit(count)) if count else self._database.every(query, _PAGE)
        return map(event_of, found)

    def last(self, replica: str) -> str:
        """Return the time of a replica's last event, in one read; empty where there is none."""
        return str((self._database.get(self._ends.document(replica)).to_dict() or {}).get("last", ""))

    def count(self, replica: str, *, start: str = "") -> int:
        """Return how many events of a replica there are from `start` on; one read for each thousand."""
        return self._database.count(self._line(replica, start))

    def _line(self, replica: str, start: str) -> Any:
        """Return the query for a replica's events in order of time, from `start` on, if given."""
        query = self._collection.where(filter=FieldFilter("replica", "==", replica)).order_by("timestamp")
        return query.where(filter=FieldFilter("timestamp", ">=", start)) if start else query

    def get_many(self, ids: Sequence[str]) -> Mapping[str, Event]:
        """Return those of the events that there are, by id; one read each, in batches side by side."""
        references = [self._collection.document(event_id) for event_id in ids]
        return {found.id: event_of(found) for found in self._database.get_many(references)}


def _setting(reference: Any, document: dict[str, Any]) -> Write:
    return lambda batch: batch.set(reference, document)


def _creating(reference: Any, document: dict[str, Any]) -> Write:
    return lambda batch: batch.create(reference, document)


def _later(last: str, now: str) -> str:
    """Return the time of the next event: now, unless the clock is behind the one of another process."""
    return now if now > last else version_after(last)


def _to_document(event: Event) -> dict[str, Any]:
    return {
        "replica": event.replica,
        "type": event.type,
        "uuid": event.fqid.uuid,
        "version": event.fqid.version,
        "size": event.size,
        "digest": event.digest,
        "md5": event.md5,
        "crc32c": event.crc32c,
        "timestamp": event.timestamp,
    }


def event_of(snapshot: Any) -> Event:
    """Return the event that a document of collection `events` holds."""
    document: Mapping[str, Any] = snapshot.to_dict()
    return Event(
        id=snapshot.id,
        replica=document["replica"],
        type=document["type"],
        fqid=Fqid(document["uuid"], document["version"]),
        size=document["size"],
        digest=document["digest"],
        md5=document["md5"],
        crc32c=document["crc32c"],
        timestamp=document["timestamp"],
    )
