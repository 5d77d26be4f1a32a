"""The catalog of journals: collection `journals`, one document a journal of many events.

What is not in any of these yet is behind all of them: a journal of one, made of its event. How far journals
go on a replica, and up to where somebody is about to make the next, is in `journal_ends`.
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any

from google.cloud.firestore import FieldFilter

from shared.catalog.database import Database, Step


@dataclass(frozen=True)
class JournalEntry:
    """An event of a journal: its time, and the `size` bytes from `offset` on that are its document."""

    event_id: str
    timestamp: str
    offset: int
    size: int


@dataclass(frozen=True, kw_only=True)
class Digests:
    """What proves an object of which these are the size in bytes and the checksums, in hex."""

    size: int
    sha256: str
    md5: str
    crc32c: str


@dataclass(frozen=True, kw_only=True)
class Journal:
    """An object that holds the documents of consecutive events of a replica, one after the other.

    From the time of the first to that of the last, both included. `id` is unique on the replica. `index` is
    of the object that tells which events these are; a journal of one has none, and no `crc32c`.
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
    """How far the events of a replica are in journals; and up to where somebody is about to make the next.

    Both are empty where there is nothing. `held` says that no journal is to be made now.
    """

    compacted: str = ""
    claimed: str = ""
    held: bool = False


class JournalCatalog:
    """Reads and writes of journals."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("journals")
        self._ends = database.client.collection("journal_ends")

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

    def end(self, replica: str) -> Checkpoint:
        """Return how far a replica's journals go, in one read."""
        return _end_of(self._database.get(self._ends.document(replica)))

    def claim(self, replica: str, *, compacted: str, to: str) -> None:
        """Say that the events behind `compacted` up to `to` make up the next journal.

        Nothing happens where another journal was claimed or made meanwhile, or none is to be made.
        """

        def step(end: Any) -> Step | None:
            return ({"claimed": to}, []) if _end_of(end) == Checkpoint(compacted=compacted) else None

        self._database.advance(self._ends.document(replica), step)

    def hold(self, replica: str, *, held: bool) -> None:
        """Have no journals made of a replica's events, or have them made again. Safe to repeat."""
        self._database.advance(self._ends.document(replica), lambda _: ({"held": held}, []))

    def add(self, journal: Journal) -> None:
        """Make known the journal that was claimed, whose object is there. Safe to repeat."""
        reference = self._collection.document(f"{journal.replica} {journal.id}")
        document = _to_document(journal)

        def step(snapshot: Any) -> Step:
            end = _end_of(snapshot)
            return {
                "compacted": max(end.compacted, journal.to_date),
                "claimed": end.claimed if end.claimed > journal.to_date else "",
            }, [lambda batch: batch.set(reference, document)]

        self._database.advance(self._ends.document(journal.replica), step)


def _end_of(snapshot: Any) -> Checkpoint:
    found = (snapshot.to_dict() or {}) if snapshot.exists else {}
    return Checkpoint(
        compacted=found.get("compacted", ""),
        claimed=found.get("claimed", ""),
        held=found.get("held", False),
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
        # As one compressed value: it is read and written as a whole, and never queried.
        "entries": zlib.compress(json.dumps(rows, separators=(",", ":")).encode()),
    }


def journal_of(snapshot: Any) -> Journal:
    """Return the journal that a document of collection `journals` holds."""
    document = snapshot.to_dict()
    rows = json.loads(zlib.decompress(document.pop("entries")))
    index = document.pop("index", None)
    entries = [JournalEntry(*row) for row in rows]
    return Journal(**document, entries=entries, index=Digests(**index) if index else None)
