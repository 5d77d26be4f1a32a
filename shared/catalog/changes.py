"""The catalog of changes: collection `changes`, one document for each version that a writer replaces.

Only writers that say which version they replace (`If-Match`) leave one. It is committed together with the
head of the new version, so that of several such writers one succeeds.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from google.cloud.firestore_v1 import LastUpdateOption

from shared.catalog.database import Database, Write
from shared.identifiers import Fqid, Kind

# Once the new version is visible, it is the newest, and its claim is of no use any more.
_KEPT_FOR = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Change:
    """A claim to replace a version: the version that is to follow it, and how old the claim is.

    Its age is by Firestore's clock: those of two processes may be minutes apart.
    """

    successor: Fqid
    age: timedelta
    # When Firestore wrote it: the condition on which another claim takes its place.
    written: Any = field(default=None, compare=False)


class ChangeCatalog:
    """Claims to replace versions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("changes")

    def get(self, kind: Kind, base: Fqid) -> Change | None:
        """Return the claim to replace a version, in one read."""
        reference = self._collection.document(f"{kind}.{base}")
        snapshot = next(self._database.get_many([reference]), None)
        if snapshot is None:
            return None
        successor = Fqid(base.uuid, snapshot.get("successor"))
        return Change(successor=successor, age=snapshot.age, written=snapshot.update_time)

    def claim(self, kind: Kind, base: Fqid, successor: Fqid, *, instead_of: Change | None) -> Write:
        """Return the write that claims to replace a version.

        It fails if there is a claim other than `instead_of`, and with it all that is committed beside it.
        """
        reference = self._collection.document(f"{kind}.{base}")
        now = self._database.clock.now()
        document = {"successor": successor.version, "expires": now + _KEPT_FOR}
        if instead_of is None:
            return lambda batch: batch.create(reference, document)
        unchanged = LastUpdateOption(instead_of.written)
        return lambda batch: batch.update(reference, document, option=unchanged)
