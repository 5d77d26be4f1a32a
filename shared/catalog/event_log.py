"""Appends to the log of events of a replica: one commit for the events of all processes that wait.

Each commit depends on the document of the log's end (`journal_checkpoints`), which one commit can change at
a time. With 70 ms for its read and its commit, 14 commits a second succeed: what counts is how many events
each of them has. So a process that others were faster than announces its events, in one of some documents
(`event_boxes`), and looks whether somebody has appended them. A few of those that wait try to append all that
is announced; the more there are, the fewer of them try.

    one at a time    read end and event; commit
    a crowd          announce; look, look, ...; of some: read boxes; read end and events; commit all

Boxes only help: each process goes on until its own events are in the log. What a killed process has announced
is appended by others, as if it had been killed just after its append, or not at all.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from google.cloud import firestore

from shared.catalog.database import Database, Write, create_document
from shared.catalog.event_documents import Event, document_of, event_in, event_of
from shared.errors import Unavailable
from shared.identifiers import moment_of, version_after, version_of

# Events per commit. Firestore: 10 MiB a request; an event is some 300 bytes. They are read in one request
# (shared/catalog/database.py), so that all are of one moment.
MOST_EVENTS = 400
# Documents for announcements: at least, and at most, of which a crowd uses as many as it has processes. With
# 500 events a second, each is written to 8 times a second.
_FEWEST_BOXES, _BOXES = 16, 64
# Announced events are appended by others within so many seconds only: for so long, their process waits.
_ANNOUNCED_SECONDS = 15
# How many of a crowd try to append at once, about.
_HELPERS = 3
# A log whose last commit had so many events, so many seconds ago, is crowded.
_CROWD = 4
_CROWDED_SECONDS = 2
# How often a process looks whether its events are in the log, and the seconds in between, about.
_LOOKS = 120
_LOOK_SECONDS = 0.1


@dataclass
class _Known:
    """What was read at one moment: the end of the log, and those of some events that are in it.

    `announced` is how many events wait, by a look into one of the boxes.
    """

    checkpoint: Any = None
    announced: int = 0
    events: dict[str, Event] = field(default_factory=dict)

    @property
    def last(self) -> str:
        return str(self._get("last", ""))

    @property
    def crowd(self) -> int:
        """About how many events wait, or did at the last commits."""
        return max(int(self._get("crowd", 1)), self.announced)

    def _get(self, name: str, default: Any) -> Any:
        return self.checkpoint.to_dict().get(name, default) if self.checkpoint else default


class EventLog:
    """The end of the log of a replica."""

    def __init__(self, database: Database, replica: str) -> None:
        self._database = database
        self._events = database.client.collection("events")
        self._checkpoint = database.client.collection("journal_checkpoints").document(replica)
        boxes = database.client.collection("event_boxes")
        self._boxes = [boxes.document(f"{replica} {number}") for number in range(_BOXES)]

    def append(self, events: Sequence[Event]) -> Sequence[Event]:
        """Append events that are not in the log yet, and return all with their timestamps.

        Raises Unavailable if others are faster for long.
        """
        own = {event.id: event for event in events}
        known = self._read(own)
        if len(known.events) < len(own) and (self._is_crowded(known) or not self._commit(known, own, {})):
            known = self._wait(own, known.crowd)
        return [known.events[event.id] for event in events]

    def _is_crowded(self, known: _Known) -> bool:
        recently = self._database.clock.now() - timedelta(seconds=_CROWDED_SECONDS)
        return known.announced > 0 or (known.crowd >= _CROWD and moment_of(known.last) > recently)

    def _wait(self, own: dict[str, Event], crowd: int) -> _Known:
        """Return when all events are in the log: others append them, or this process, with others' events."""
        self._announce(own.values(), crowd)
        attempts = 0
        for look in range(1, _LOOKS + 1):
            self._database.clock.sleep(_LOOK_SECONDS * random.uniform(0.5, 1.5))
            known = self._read(own)
            if len(known.events) == len(own):
                return known
            # The longer it takes, the more of those that wait try: some may have been killed. Who has tried
            # in vain leaves it to others.
            if random.random() * known.crowd * 2**attempts < _HELPERS * look:
                attempts += 1
                if helped := self._help(own, known.crowd):
                    return helped
        raise Unavailable(f"{self._checkpoint.path}: others append to it all the time")

    def _announce(self, events: Iterable[Event], crowd: int) -> None:
        box = random.choice(self._boxes[: _boxes_of(crowd)])
        until = version_of(self._database.clock.now() + timedelta(seconds=_ANNOUNCED_SECONDS))
        rows = [{**document_of(event), "id": event.id, "until": until} for event in events]
        changes = {"waiting": firestore.ArrayUnion(rows)}
        self._database.commit(lambda batch: batch.set(box, changes, merge=True))

    def _help(self, own: dict[str, Event], crowd: int) -> _Known | None:
        """Append one's own events and those that are announced; return None if others were faster."""
        # Twice as many as in a crowd of this size: it may have been larger.
        found = self._database.get_many(self._boxes[: 2 * _boxes_of(crowd)])
        boxes = {box.reference: box.get("waiting") for box in found}
        now = version_of(self._database.clock.now())
        waiting = [event_in(row, row["id"]) for rows in boxes.values() for row in _live(rows, now)]
        events = {event.id: event for event in waiting} | own
        if len(events) > MOST_EVENTS:
            chosen = random.sample(sorted(events.keys() - own.keys()), MOST_EVENTS - len(own))
            events = {name: events[name] for name in chosen} | own
        known = self._read(events)
        done = {
            box: [row for row in rows if row["id"] in events or row["until"] <= now]
            for box, rows in boxes.items()
        }
        return known if self._commit(known, events, done) else None

    def _read(self, events: Mapping[str, Event]) -> _Known:
        box = random.choice(self._boxes[:_FEWEST_BOXES])
        found = self._database.get_many([self._checkpoint, box, *map(self._events.document, events)])
        now = version_of(self._database.clock.now())
        known = _Known()
        for snapshot in found:
            if snapshot.id == self._checkpoint.id:
                known.checkpoint = snapshot
            elif snapshot.id == box.id:
                others = [row for row in _live(snapshot.get("waiting"), now) if row["id"] not in events]
                known.announced = _FEWEST_BOXES * len(others)
            else:
                known.events[snapshot.id] = event_of(snapshot)
        return known

    def _commit(self, known: _Known, events: Mapping[str, Event], done: Mapping[Any, list[Any]]) -> bool:
        """Append those of the events that are not known, and add them; return False if others were faster.

        `done` are the announcements that are over with that, by their box.
        """
        last, appended = known.last, []
        for event in events.values():
            if event.id not in known.events:
                last = _later(last, version_of(self._database.clock.now()))
                appended.append(replace(event, timestamp=last))
        # It counts as crowded for some more commits.
        changes = {"last": last, "crowd": max(len(appended), known.crowd * 3 // 4)}
        created = (create_document(self._events.document(one.id), document_of(one)) for one in appended)
        removed = (_removal(box, rows) for box, rows in done.items() if rows)
        if appended and not self._database.change(
            self._checkpoint, known.checkpoint, changes, *created, *removed
        ):
            return False
        known.events.update((event.id, event) for event in appended)
        return True


def _boxes_of(crowd: int) -> int:
    """Return how many boxes a crowd uses."""
    return min(max(crowd, _FEWEST_BOXES), _BOXES)


def _live(rows: Iterable[Any], now: str) -> Iterator[Any]:
    """Yield the announcements of processes that still wait."""
    return (row for row in rows if row["until"] > now)


def _removal(box: Any, rows: list[Any]) -> Write:
    return lambda batch: batch.update(box, {"waiting": firestore.ArrayRemove(rows)})


def _later(last: str, now: str) -> str:
    """Return the timestamp of the next event: now, or just after `last` if this clock is behind."""
    return now if now > last else version_after(last)
