"""The catalog of events: collection `events`, a document per event; `journal_checkpoints`, one per replica.

The events of a replica are an append-only log. An event gets its timestamp in the commit that appends it,
later than that of every event before it: a reader who has read up to a time never finds a new event before
that time. So each append reads the checkpoint (`last`, the newest timestamp), and commits the events and the
new `last` only if the checkpoint is unchanged:

    last = 10:00:00.5; A and B are appended at 10:00:01.2 -> A 10:00:01.200000, B 10:00:01.200001, last = B's
    C is appended by a process whose clock is behind, 10:00:00.9   -> C 10:00:01.200002
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from google.cloud.firestore import FieldFilter

from shared.access import NOBODY, labels_of
from shared.batching import Batcher
from shared.catalog.database import Database, Step, Write, create_document, set_document
from shared.errors import InvalidChecksum
from shared.identifiers import Fqid, version_after, version_of

# Events per commit. Firestore: 10 MiB a request; an event is some 300 bytes. A longer commit delays the
# others.
_BATCH = 200
_PAGE = 500
_FORMS = {
    "digest": re.compile(r"[0-9a-f]{64}"),
    "md5": re.compile(r"[0-9a-f]{32}"),
    "crc32c": re.compile(r"[0-9a-f]{8}"),
}


# The labels of what is not bound.
UNBOUND = labels_of(())
# Those, in a journal, of an event that is out of the log: nobody looks them up, not even an admin.
WITHHELD = frozenset((NOBODY,))


@dataclass(frozen=True, kw_only=True)
class Event:
    """A bundle version, or its tombstone, became available on a replica: `type` is `CREATE` or `TOMBSTONE`.

    `size` in bytes, `digest` (SHA-256), `md5` and `crc32c` are those of its document. `timestamp` is a
    version, and empty until the event is recorded. `labels` are those of who may read the document
    (`shared.access.labels`), which change with the binding of the bundle.
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
    labels: frozenset[str] = field(default=UNBOUND, compare=False)

    def check_digests(self) -> None:
        """Raise InvalidChecksum, which names the event, if a digest of its document is malformed or empty."""
        for name, form in _FORMS.items():
            value = str(getattr(self, name))
            if not form.fullmatch(value):
                raise InvalidChecksum(f"event {self.id}: {value[:80]!r} does not have the form of its {name}")


class EventCatalog:
    """Reads and writes of events."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("events")
        self._checkpoints = database.client.collection("journal_checkpoints")
        # One commit at a time can append to a replica's log; it takes all events that wait by then.
        self._appenders = {
            name: Batcher(partial(self._append, name), most=_BATCH) for name in database.replicas
        }

    def record(self, event: Event) -> Event:
        """Append an event, unless it was recorded before, and return it with its timestamp.

        Raises InvalidChecksum if a digest of its document is malformed.
        """
        event.check_digests()
        return self._appenders[event.replica](event)

    def _append(self, replica: str, events: Sequence[Event]) -> Sequence[Event]:
        references = {event.id: self._collection.document(event.id) for event in events}
        recorded: dict[str, Event] = {}

        def append(checkpoint: Any) -> Step | None:
            # Runs again, from the start, if another process has appended meanwhile.
            recorded.clear()
            snapshots = self._database.get_many(list(references.values()))
            recorded.update((snapshot.id, event_of(snapshot)) for snapshot in snapshots)
            last = _last(checkpoint)
            writes = []
            for event in events:
                if event.id not in recorded:
                    last = _later(last, version_of(self._database.clock.now()))
                    recorded[event.id] = replace(event, timestamp=last)
                    writes.append(create_document(references[event.id], _to_document(recorded[event.id])))
            return ({"last": last}, writes) if writes else None

        self._database.advance(self._checkpoints.document(replica), append)
        return [recorded[event.id] for event in events]

    def restore(self, replica: str, events: Sequence[Event]) -> None:
        """Write events of a replica that were recorded before, each with its timestamp. Safe to repeat.

        Raises InvalidChecksum, before anything is written, if a digest of a document is malformed.
        """
        for event in events:
            event.check_digests()
        for first in range(0, len(events), _BATCH):
            batch = events[first : first + _BATCH]
            writes = [
                set_document(self._collection.document(event.id), _to_document(event)) for event in batch
            ]

            step = partial(_restored, batch[-1].timestamp, writes)
            self._database.advance(self._checkpoints.document(replica), step)

    def replace(self, event: Event) -> None:
        """Write an event again whose document was replaced, in the log or not. Safe to repeat."""
        kept = ("replica", "labels")
        document = {name: value for name, value in _to_document(event).items() if name not in kept}
        reference = self._collection.document(event.id)
        self._database.commit(lambda batch: batch.update(reference, document))

    def append_again(self, event: Event) -> Event:
        """Append an event anew, which readers of the log would miss at its place; return it as it is now."""
        reference = self._collection.document(event.id)
        self._database.commit(lambda batch: batch.delete(reference))
        return self.record(replace(event, timestamp=""))

    def since(self, replica: str, *, start: str = "", stop: str = "", count: int = 0) -> Iterator[Event]:
        """Yield a replica's events in order of time: from `start`, before `stop`, up to `count`, if given."""
        query = self._log(replica, start, stop)
        snapshots = self._database.query(query.limit(count)) if count else self._database.every(query, _PAGE)
        return map(event_of, snapshots)

    def readable(
        self, replica: str, *, labels: Collection[str], start: str, stop: str, count: int
    ) -> Iterator[Event]:
        """Yield up to `count` events that have one of some labels, as `since` does. Others cost no read."""
        query = self._log(replica, start, stop)
        snapshots = self._database.labelled(query, labels, count, by="timestamp")
        return map(event_of, snapshots)

    def set_labels(self, event: Event, labels: frozenset[str]) -> None:
        """Change the labels of an event that is recorded."""
        reference = self._collection.document(event.id)
        self._database.commit(lambda batch: batch.update(reference, {"labels": sorted(labels)}))

    def last(self, replica: str) -> str:
        """Return the timestamp of a replica's last event, in one read; empty if there is none."""
        return _last(self._database.get(self._checkpoints.document(replica)))

    def count(self, replica: str, *, start: str = "", stop: str = "") -> int:
        """Return how many events a replica has from `start` on, before `stop`; one read per thousand."""
        return self._database.count(self._log(replica, start, stop))

    def _log(self, replica: str, start: str, stop: str = "") -> Any:
        """Return the query for a replica's events in order of time, between two times if they are given."""
        query = self._collection.where(filter=FieldFilter("replica", "==", replica)).order_by("timestamp")
        if start:
            query = query.where(filter=FieldFilter("timestamp", ">=", start))
        return query.where(filter=FieldFilter("timestamp", "<", stop)) if stop else query

    def get_many(self, ids: Sequence[str]) -> Mapping[str, Event]:
        """Return the events that exist, by id; one read each, in parallel batches."""
        references = [self._collection.document(event_id) for event_id in ids]
        return {snapshot.id: event_of(snapshot) for snapshot in self._database.get_many(references)}

    def in_log(self, ids: Sequence[str]) -> Mapping[str, Event]:
        """Return those of the events that are in the log of their replica; as `get_many` does."""
        references = [self._collection.document(event_id) for event_id in ids]
        found = self._database.get_many(references)
        return {snapshot.id: event_of(snapshot) for snapshot in found if snapshot.get("replica")}


def _restored(newest: str, writes: Sequence[Write], checkpoint: Any) -> Step:
    return {"last": max(_last(checkpoint), newest)}, writes


def _last(checkpoint: Any) -> str:
    """Return the timestamp of the last event of a log, given the snapshot of its checkpoint."""
    return str((checkpoint.to_dict() or {}).get("last", ""))


def _later(last: str, now: str) -> str:
    """Return the timestamp of the next event: now, or just after `last` if this clock is behind."""
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
        "labels": sorted(event.labels),
    }


def event_of(snapshot: Any) -> Event:
    """Return the event that a document of collection `events` holds."""
    document: Mapping[str, Any] = snapshot.to_dict()
    return Event(
        id=snapshot.id,
        # Out of the log while its bundle is about to be removed for good: see shared/catalog/purges.py.
        replica=document.get("withheld_from") or document["replica"],
        type=document["type"],
        fqid=Fqid(document["uuid"], document["version"]),
        size=document["size"],
        digest=document["digest"],
        md5=document["md5"],
        crc32c=document["crc32c"],
        timestamp=document["timestamp"],
        labels=frozenset(document["labels"]),
    )
