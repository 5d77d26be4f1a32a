"""Last attempts at messages: collection `last_attempts`, a document for each message that is past its time.

Pub/Sub's own count of attempts includes pushes that no instance had room for. So a message is given up by its
age; and of those that are past it, a document says that the last attempt has begun, in case it kills its
process.
"""

from datetime import datetime, timedelta

from shared.catalog.database import Database, NameTaken, create_document

# Pub/Sub keeps no message longer: 31 days.
_KEPT = timedelta(days=31)


class LastAttempts:
    """Reads and writes of what is known of last attempts."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("last_attempts")

    def begin(self, subscription: str, message_id: str) -> datetime | None:
        """Note that the last attempt at a message begins; or return when one began that is noted already.

        One write; one read if it is noted already.
        """
        reference = self._collection.document(f"{subscription} {message_id}")
        now = self._database.clock.now()
        try:
            self._database.commit(create_document(reference, {"began": now, "expires": now + _KEPT}))
        except NameTaken:
            began: datetime = self._database.get(reference).get("began")
            return began
        return None

    def withdraw(self, subscription: str, message_id: str) -> None:
        """Forget that the last attempt at a message began; one write."""
        reference = self._collection.document(f"{subscription} {message_id}")
        self._database.commit(lambda batch: batch.delete(reference))
