"""The catalog of collections' tombstones: `collection_tombstones`, one document per UUID."""

from dataclasses import dataclass
from typing import Any

from shared.catalog.database import Database, NameTaken


@dataclass(frozen=True, kw_only=True)
class CollectionTombstone:
    """Who hid a collection, its owner, and the replicas on which the tombstone is available."""

    uuid: str
    owner: str
    email: str
    available: frozenset[str] = frozenset()

    def same_content(self, other: "CollectionTombstone") -> bool:
        """Return whether two tombstones are equal but for where they are available."""
        return (self.uuid, self.owner, self.email) == (other.uuid, other.owner, other.email)


class CollectionTombstoneCatalog:
    """Writes of tombstones, and their effect."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("collection_tombstones")
        self._owned = database.client.collection("owned_collections")

    def create(self, tombstone: CollectionTombstone) -> CollectionTombstone:
        """Claim the tombstone, and return the first one that was claimed. Hides nothing yet."""
        reference = self._collection.document(tombstone.uuid)
        document = {
            "uuid": tombstone.uuid,
            "owner": tombstone.owner,
            "email": tombstone.email,
            **self._database.new_head(),
        }
        try:
            self._database.commit(lambda batch: batch.create(reference, document))
        except NameTaken:
            return collection_tombstone_of(self._database.get(reference))
        return tombstone

    def get(self, uuid: str) -> CollectionTombstone | None:
        """Return the tombstone of a collection, in one read."""
        snapshot = self._database.get(self._collection.document(uuid))
        return collection_tombstone_of(snapshot) if snapshot.exists else None

    def hide(self, tombstone: CollectionTombstone, replica: str) -> None:
        """Hide all versions of a collection atomically, on all replicas, for ever. Safe to repeat.

        Marks the tombstone as available on the replica.
        """
        record, owned = self._collection.document(tombstone.uuid), self._owned.document(tombstone.uuid)
        # Merged into an existing document, or created: then versions that are written later are hidden too.
        hidden = {"uuid": tombstone.uuid, "owner": tombstone.owner, "hidden": True}
        self._database.commit(
            lambda batch: batch.set(owned, hidden, merge=True),
            lambda batch: batch.update(record, self._database.gained(replica)),
        )


def collection_tombstone_of(snapshot: Any) -> CollectionTombstone:
    """Return the tombstone that a document of `collection_tombstones` holds."""
    document = snapshot.to_dict()
    return CollectionTombstone(
        uuid=document["uuid"],
        owner=document["owner"],
        email=document["email"],
        available=frozenset(document["available"]),
    )
