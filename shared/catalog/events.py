"""The catalog of events: collection `events`, a document per event; `journal_checkpoints`, one per replica.

The events of a replica are an append-only log. An event gets its timestamp in the commit that appends it,
later than that of every event before it: a reader who has read up to a time never finds a new event before
that time. So each append reads the checkpoint (`last`, the newest timestamp), and commits the events and the
new `last` only if the checkpoint is unchanged:

    last = 10:00:00.5; A and B are appended at 10:00:01.2 -> A 10:00:01.200000, B 10:00:01.200001, last = B's
    C is appended by a process whose clock is behind, 10:00:00.9   -> C 10:00:01.200002
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from google.cloud.firestore import FieldFilter

from shared.batching import Batcher
from shared.catalog.database import Database, Step, Write, set_document
from shared.catalog.event_documents import Event, document_of, event_of
from shared.catalog.event_log import MOST_EVENTS, EventLog

_PAGE = 500


class EventCatalog:
    """Reads and writes of events."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("events")
        self._checkpoints = database.client.collection("journal_checkpoints")
        # One commit at a time can append to a replica's log; it takes all events that wait by then.
        self._appenders = {
            name: Batcher(EventLog(database, name).append, most=MOST_EVENTS) for name in database.replicas
        }

    def record(self, event: Event) -> Event:
        """Append an event, unless it was recorded before, and return it with its timestamp.

        Raises InvalidChecksum if a digest of its document is malformed.
        """
        event.check_digests()
        return self._appenders[event.replica](event)

    def restore(self, replica: str, events: Sequence[Event]) -> None:
        """Write events of a replica that were recorded before, each with its timestamp. Safe to repeat.

        Raises InvalidChecksum, before anything is written, if a digest of a document is malformed.
        """
        for event in events:
            event.check_digests()
        for first in range(0, len(events), MOST_EVENTS):
            batch = events[first : first + MOST_EVENTS]
            writes = [
                set_document(self._collection.document(event.id), document_of(event)) for event in batch
            ]

            step = partial(_restored, batch[-1].timestamp, writes)
            self._database.advance(self._checkpoints.document(replica), step)

    def replace(self, event: Event) -> None:
        """Write an event again whose document was replaced, in the log or not. Safe to repeat."""
        kept = ("replica", "labels")
        document = {name: value for name, value in document_of(event).items() if name not in kept}
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
