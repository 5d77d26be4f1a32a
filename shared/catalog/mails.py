"""The mails sent to each address: collection `mails`, one document an address and day (UTC)."""

import hashlib
from datetime import timedelta
from typing import Any

from shared.catalog.database import Database

# Longer than the day that a document counts.
_KEPT_FOR = timedelta(days=2)


class MailCatalog:
    """Counts of mails. Stores no address: a document is named after its hash."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("mails")

    def may_be_sent(self, address: str, message_id: str, *, at_most: int) -> bool:
        """Return whether a mail is one of the first `at_most` of the day to an address, and count it then.

        Safe to repeat: a mail that was counted may be sent, and is not counted again.
        """
        now = self._database.clock.now()
        recipient = hashlib.sha256(address.lower().encode()).hexdigest()
        reference = self._collection.document(f"{recipient}.{now:%Y-%m-%d}")
        answers: list[bool] = []

        def apply(transaction: Any) -> None:
            snapshot = reference.get(transaction=transaction)
            sent = snapshot.get("messages") if snapshot.exists else []
            allowed = message_id in sent or len(sent) < at_most
            if allowed and message_id not in sent:
                messages = [*sent, message_id]
                transaction.set(reference, {"messages": messages, "expires": now + _KEPT_FOR})
            # Of several attempts the last one counts.
            answers.append(allowed)

        self._database.transact(apply)
        return answers[-1]
