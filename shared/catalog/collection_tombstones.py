"""The catalog of collections' tombstones: `collection_tombstones`, one document a UUID."""

from dataclasses import dataclass
from typing import Any

from shared.catalog.database import Database, NameTaken


@dataclass(frozen=True, kw_only=True)
class CollectionTombstone:
    """Who hid a collection, whose it was, and the replicas on which the tombstone is."""

    uuid: str
    owner: str
    email: str
    available: frozenset[str] = frozenset()

    def same_content(self, other: "CollectionTombstone") -> bool:
        """Tell whether two tombstones differ in nothing but where they are."""
        return (self.uuid, self.owner, self.email) == (other.uuid, other.owner, other.email)


class CollectionTombstoneCatalog:
    """Writes of tombstones, and their effect."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("collection_tombstones")
        self._owned = database.client.collection("owned_collections")

    def create(self, tombstone: CollectionTombstone) -> CollectionTombstone:
        """Claim the tombstone, and return the one that counts: of several, the first. Hides nothing yet."""
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
        """Hide a collection, all versions at one moment, on all replicas, for ever. Safe to repeat.

        Marks the tombstone as available on the replica.
        """
        record, owned = self._collection.document(tombstone.uuid), self._owned.document(tombstone.uuid)
        # Merged into what is there; and where nothing is yet, versions that come later are hidden too.
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
