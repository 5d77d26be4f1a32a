"""What has changed among the subscriptions of a replica, for processes that keep all of them in memory.

`subscription_sets` has a document for each replica, with a number that grows by one with every change: one
read tells whether anything changed. Its subcollection `subscription_changes` has a document for each change,
for a day: which subscriptions. A process reads those that are new to it, and the subscriptions they name,
instead of all.

Both are written in the commit of the change, without a look at what is there, so that changes at the same
time do not wait for each other. Nor have they an order: that none is missing is proved by their count, which
has to be the difference of the two numbers.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from google.cloud import firestore
from google.cloud.firestore import FieldFilter

from shared.catalog.database import Database, Write

# Firestore notes on a change when it began to process the commit, and on a document when it was committed.
# Who looks for what is newer than a moment looks so far behind it. If that is too short, the count is wrong.
_OVERLAP = timedelta(seconds=60)
_KEPT_FOR = timedelta(days=1)
# With more changes than this, all subscriptions are read.
MOST_FOLLOWED = 200
# How often the changes are read that belong to a number, while others go on to change it.
_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class Position:
    """A number of a replica's changes, when it was reached, and the last changes until then, by name.

    `recent` has the subscriptions that each has changed. It is None if they are not known.
    """

    generation: int
    reached: datetime | None = None
    recent: Mapping[str, Collection[str]] | None = None


class SubscriptionChanges:
    """Reads and writes of the changes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sets = database.client.collection("subscription_sets")

    def note(self, replica: str, *subscriptions: str) -> Write:
        """Return the write that notes a change of subscriptions, by UUID."""
        of_replica = self._sets.document(replica)
        document = self._changes(replica).document()
        change = {
            "subscriptions": list(subscriptions),
            "at": firestore.SERVER_TIMESTAMP,
            "expires": self._database.clock.now() + _KEPT_FOR,
        }

        def write(batch: Any) -> None:
            batch.set(of_replica, {"generation": firestore.Increment(1)}, merge=True)
            batch.set(document, change)

        return write

    def generations(self, replica: str) -> tuple[int, int]:
        """Return the number, and what it was when the subscriptions were last saved, in one read."""
        found = self._database.get(self._sets.document(replica)).to_dict() or {}
        return int(found.get("generation", 0)), int(found.get("saved", 0))

    def position(self, replica: str, since: datetime | None = None) -> Position:
        """Return the position of now, with the changes after `since`, or those of the last minute.

        Its changes are unknown if there are too many, or if others go on to change subscriptions.
        """
        found = self._position(replica)
        for _ in range(_TRIES):
            moment = since or found.reached
            if moment is None:
                return found
            changes = self._since(replica, moment - _OVERLAP)
            latest = self._position(replica)
            if latest.generation == found.generation:
                return Position(generation=found.generation, reached=found.reached, recent=changes)
            found = latest
        return found

    def _position(self, replica: str) -> Position:
        snapshot = self._database.get(self._sets.document(replica))
        if not snapshot.exists:
            return Position(generation=0)
        generation = int(snapshot.to_dict().get("generation", 0))
        return Position(generation=generation, reached=snapshot.update_time)

    def _since(self, replica: str, moment: datetime) -> Mapping[str, Collection[str]] | None:
        query = self._changes(replica).where(filter=FieldFilter("at", ">=", moment))
        found = self._database.query(query.order_by("at").limit(MOST_FOLLOWED + 1))
        if len(found) > MOST_FOLLOWED:
            return None
        return {snapshot.id: snapshot.get("subscriptions") for snapshot in found}

    def _changes(self, replica: str) -> Any:
        return self._sets.document(replica).collection("subscription_changes")


def changed_between(before: Position, after: Position) -> Collection[str] | None:
    """Return the UUIDs of the subscriptions that changed between two positions; None if that is not known.

    The second was read since the time of the first.
    """
    if before.recent is None or after.recent is None:
        return None
    changes = after.recent.keys() - before.recent.keys()
    if len(changes) != after.generation - before.generation:
        return None
    return {uuid for change in changes for uuid in after.recent[change]}
