"""The catalog of journals: collection `journals`, one document per compacted journal.

Events that are in none of these come after all of them; each is a journal of one event. How far the events of
a replica are compacted, and up to where the next journal is claimed, is in `journal_checkpoints`.
"""

import json
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field, replace
from typing import Any

from google.cloud.firestore import FieldFilter

from shared.catalog.database import Database, Step, set_document
from shared.catalog.event_documents import UNBOUND, Event


@dataclass(frozen=True)
class JournalEntry:
    """An event of a journal: its timestamp, and where its document is: `size` bytes at `offset`."""

    event_id: str
    timestamp: str
    offset: int
    size: int


@dataclass(frozen=True, kw_only=True)
class Digests:
    """The size in bytes and the checksums, in hex, that prove the content of an object."""

    size: int
    sha256: str
    md5: str
    crc32c: str


@dataclass(frozen=True, kw_only=True)
class Journal:
    """An object that holds the documents of consecutive events of a replica, concatenated.

    `from_date` and `to_date` are the timestamps of its first and last event. `id` is unique on the replica.
    `index` proves the object that lists these events; a journal of one event has neither `index` nor
    `crc32c`. `bound` has the labels (`shared.access.labels`) of those of its events that are of bound
    bundles, by id.
    """

    id: str
    replica: str
    key: str
    from_date: str
    to_date: str
    size: int
    entries: Sequence[JournalEntry]
    crc32c: str = ""
    index: Digests | None = None
    bound: Mapping[str, frozenset[str]] = field(default_factory=dict, compare=False)

    def labels_of(self, entry: JournalEntry) -> frozenset[str]:
        """Return the labels of an event."""
        return self.bound.get(entry.event_id, UNBOUND)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """How far the events of a replica are compacted, and up to where the next journal is claimed.

    Both are timestamps, or empty. `held`: compaction is paused.
    """

    compacted: str = ""
    claimed: str = ""
    held: bool = False


class JournalCatalog:
    """Reads and writes of journals."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("journals")
        self._checkpoints = database.client.collection("journal_checkpoints")

    def since(self, replica: str, *, labels: Collection[str], start: str, count: int) -> list[Journal]:
        """Return up to `count` journals that end at `start` or later, in order of time.

        Each has an event with one of the labels. Others cost no read.
        """
        snapshots = self._database.labelled(self._log(replica, start), labels, count, by="to_date")
        return list(map(journal_of, snapshots))

    def _log(self, replica: str, start: str) -> Any:
        """Return the query for the journals of a replica that end at `start` or later, in order of time."""
        return (
            self._collection.where(filter=FieldFilter("replica", "==", replica))
            .where(filter=FieldFilter("to_date", ">=", start))
            .order_by("to_date")
        )

    def set_labels(self, event: Event, labels: frozenset[str]) -> None:
        """Change the labels of an event in its journal, if it is in one, or in one that is being added."""
        for snapshot in self._database.query(self._log(event.replica, event.timestamp).limit(1)):

            def step(current: Any) -> Step | None:
                journal = journal_of(current)
                bound = {**journal.bound, event.id: labels}
                known = {entry.event_id: journal.labels_of(entry) for entry in journal.entries}
                if known.get(event.id, labels) == labels:
                    return None
                is_listed = bool(current.get("labels"))
                return _labels_to_document(replace(journal, bound=bound), is_listed=is_listed), []

            self._database.advance(snapshot.reference, step)

    def get(self, replica: str, journal_id: str) -> Journal | None:
        """Return a journal of many events, in one read."""
        snapshot = self._database.get(self._collection.document(f"{replica} {journal_id}"))
        return journal_of(snapshot) if snapshot.exists else None

    def holding(self, replica: str, timestamp: str) -> Journal | None:
        """Return the journal of many events that was made of an event of this time, in one read."""
        found = [journal_of(one) for one in self._database.query(self._log(replica, timestamp).limit(1))]
        return found[0] if found and found[0].from_date <= timestamp else None

    def checkpoint(self, replica: str) -> Checkpoint:
        """Return how far a replica's events are compacted, in one read."""
        return _checkpoint_of(self._database.get(self._checkpoints.document(replica)))

    def claim(self, replica: str, *, compacted: str, to: str) -> None:
        """Claim the events after `compacted`, up to `to`, for the next journal.

        Does nothing if another journal was claimed or made meanwhile, or compaction is paused.
        """

        def step(snapshot: Any) -> Step | None:
            free = _checkpoint_of(snapshot) == Checkpoint(compacted=compacted)
            return ({"claimed": to}, []) if free else None

        self._database.advance(self._checkpoints.document(replica), step)

    def release(self, replica: str, claimed: Checkpoint) -> None:
        """Give up a claim whose events have all left the log, unless the checkpoint has changed since."""

        def step(snapshot: Any) -> Step | None:
            return ({"claimed": ""}, []) if _checkpoint_of(snapshot) == claimed else None

        self._database.advance(self._checkpoints.document(replica), step)

    def hold(self, replica: str, *, held: bool) -> None:
        """Pause the compaction of a replica's events, or resume it. Safe to repeat."""
        self._database.advance(self._checkpoints.document(replica), lambda _: ({"held": held}, []))

    def add(self, journal: Journal, labels_of_events: Callable[[], Mapping[str, frozenset[str]]]) -> None:
        """Add the journal that was claimed, after its object was written. Safe to repeat.

        Nobody sees it before it has the labels of its events, which `labels_of_events` reads. They may change
        meanwhile: such a change either comes before they are read, or finds the journal, and they are read
        again.
        """
        reference = self._collection.document(f"{journal.replica} {journal.id}")
        existing = self._database.get(reference)
        if not existing.exists or journal_of(existing) != journal:
            self._database.commit(set_document(reference, _to_document(journal)))

        def label(snapshot: Any) -> Step:
            bound = labels_of_events()
            return _labels_to_document(replace(journal_of(snapshot), bound=bound), is_listed=True), []

        self._database.advance(reference, label)

        def step(snapshot: Any) -> Step:
            checkpoint = _checkpoint_of(snapshot)
            return {
                "compacted": max(checkpoint.compacted, journal.to_date),
                "claimed": checkpoint.claimed if checkpoint.claimed > journal.to_date else "",
            }, []

        self._database.advance(self._checkpoints.document(journal.replica), step)


def _checkpoint_of(snapshot: Any) -> Checkpoint:
    document = (snapshot.to_dict() or {}) if snapshot.exists else {}
    return Checkpoint(
        compacted=document.get("compacted", ""),
        claimed=document.get("claimed", ""),
        held=document.get("held", False),
    )


def _to_document(journal: Journal) -> dict[str, Any]:
    rows = [astuple(entry) for entry in journal.entries]
    return {
        "id": journal.id,
        "replica": journal.replica,
        "key": journal.key,
        "from_date": journal.from_date,
        "to_date": journal.to_date,
        "size": journal.size,
        "crc32c": journal.crc32c,
        "index": asdict(journal.index) if journal.index else None,
        # One compressed value, which is read and written as a whole and never queried.
        "entries": zlib.compress(json.dumps(rows, separators=(",", ":")).encode()),
        **_labels_to_document(journal, is_listed=False),
    }


def _labels_to_document(journal: Journal, *, is_listed: bool) -> dict[str, Any]:
    """Return the fields with the labels of a journal; a list finds it by them, or not at all."""
    bound = {event: sorted(labels) for event, labels in journal.bound.items() if labels != UNBOUND}
    # Gaps, whose event has no id, are nobody's.
    present = [entry for entry in journal.entries if entry.event_id]
    labels = frozenset().union(*map(journal.labels_of, present)) if is_listed else frozenset()
    return {"labels": sorted(labels), "bound": bound}


def journal_of(snapshot: Any) -> Journal:
    """Return the journal that a document of collection `journals` holds."""
    document = snapshot.to_dict()
    rows = json.loads(zlib.decompress(document.pop("entries")))
    index = document.pop("index", None)
    del document["labels"]
    bound = {event: frozenset(labels) for event, labels in document.pop("bound").items()}
    entries = [JournalEntry(*row) for row in rows]
    return Journal(**document, entries=entries, index=Digests(**index) if index else None, bound=bound)
