"""The catalog of changes: collection `changes`, one document for each version that a writer replaces.

Only writers that say which version they replace (`If-Match`) leave one. It is committed together with the
head of the new version, so that of several such writers one succeeds.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from google.cloud.firestore_v1 import LastUpdateOption

from shared.catalog.database import Database, Write
from shared.identifiers import Fqid, Kind

# Once the new version is visible, it is the newest, and its claim is of no use any more.
_KEPT_FOR = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Change:
    """A claim to replace a version: the version that is to follow it, and when that was begun."""

    successor: Fqid
    began: datetime
    # When Firestore wrote it: the condition on which another claim takes its place.
    written: Any = field(default=None, compare=False)


class ChangeCatalog:
    """Claims to replace versions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("changes")

    def get(self, kind: Kind, base: Fqid) -> Change | None:
        """Return the claim to replace a version, in one read."""
        snapshot = self._database.get(self._collection.document(f"{kind}.{base}"))
        if not snapshot.exists:
            return None
        successor = Fqid(base.uuid, snapshot.get("successor"))
        return Change(successor=successor, began=snapshot.get("began"), written=snapshot.update_time)

    def claim(self, kind: Kind, base: Fqid, successor: Fqid, *, instead_of: Change | None) -> Write:
        """Return the write that claims to replace a version.

        It fails if there is a claim other than `instead_of`, and with it all that is committed beside it.
        """
        reference = self._collection.document(f"{kind}.{base}")
        now = self._database.clock.now()
        document = {"successor": successor.version, "began": now, "expires": now + _KEPT_FOR}
        if instead_of is None:
            return lambda batch: batch.create(reference, document)
        unchanged = LastUpdateOption(instead_of.written)
        return lambda batch: batch.update(reference, document, option=unchanged)
