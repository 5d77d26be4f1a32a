"""The catalog of journals: collection `journals`, one document per compacted journal.

Events that are in none of these come after all of them; each is a journal of one event. How far the events of
a replica are compacted, and up to where the next journal is claimed, is in `journal_checkpoints`.
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any

from google.cloud.firestore import FieldFilter

from shared.catalog.database import Database, Step, set_document


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
    `crc32c`.
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

    def since(self, replica: str, *, start: str, count: int) -> list[Journal]:
        """Return up to `count` journals of a replica with events at `start` or later, in order of time."""
        query = (
            self._collection.where(filter=FieldFilter("replica", "==", replica))
            .where(filter=FieldFilter("to_date", ">=", start))
            .order_by("to_date")
        )
        return [journal_of(snapshot) for snapshot in self._database.query(query.limit(count))]

    def get(self, replica: str, journal_id: str) -> Journal | None:
        """Return a journal of many events, in one read."""
        snapshot = self._database.get(self._collection.document(f"{replica} {journal_id}"))
        return journal_of(snapshot) if snapshot.exists else None

    def holding(self, replica: str, timestamp: str) -> Journal | None:
        """Return the journal of many events that was made of an event of this time, in one read."""
        found = self.since(replica, start=timestamp, count=1)
        return found[0] if found and found[0].from_date <= timestamp else None

    def replace(self, journal: Journal) -> None:
        """Write a journal again whose content was replaced. Safe to repeat."""
        reference = self._collection.document(f"{journal.replica} {journal.id}")
        self._database.commit(set_document(reference, _to_document(journal)))

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

    def hold(self, replica: str, *, held: bool) -> None:
        """Pause the compaction of a replica's events, or resume it. Safe to repeat."""
        self._database.advance(self._checkpoints.document(replica), lambda _: ({"held": held}, []))

    def add(self, journal: Journal) -> None:
        """Add the journal that was claimed, after its object was written. Safe to repeat."""
        reference = self._collection.document(f"{journal.replica} {journal.id}")
        document = _to_document(journal)

        def step(snapshot: Any) -> Step:
            checkpoint = _checkpoint_of(snapshot)
            return {
                "compacted": max(checkpoint.compacted, journal.to_date),
                "claimed": checkpoint.claimed if checkpoint.claimed > journal.to_date else "",
            }, [set_document(reference, document)]

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
    }


def journal_of(snapshot: Any) -> Journal:
    """Return the journal that a document of collection `journals` holds."""
    document = snapshot.to_dict()
    rows = json.loads(zlib.decompress(document.pop("entries")))
    index = document.pop("index", None)
    entries = [JournalEntry(*row) for row in rows]
    return Journal(**document, entries=entries, index=Digests(**index) if index else None)
