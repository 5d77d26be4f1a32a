"""The progress of long work: collection `progress`, one document a piece of work."""

from shared.catalog.database import Database


class ProgressCatalog:
    """Positions from which the next attempt continues."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("progress")

    def get(self, work: str) -> int:
        """Return the position of the work; zero if none was noted."""
        snapshot = self._database.get(self._collection.document(work))
        return int(snapshot.get("position")) if snapshot.exists else 0

    def set(self, work: str, position: int) -> None:
        """Note the position of the work."""
        reference = self._collection.document(work)
        self._database.commit(lambda batch: batch.set(reference, {"position": position}))
