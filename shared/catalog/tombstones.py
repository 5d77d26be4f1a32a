"""The catalog of bundle tombstones: collection `bundle_tombstones`, one document per tombstone.

A tombstone of a whole UUID also sets a marker in collection `hidden_bundles`, which hides the versions that
become available later.
"""

from dataclasses import dataclass
from typing import Any

from google.cloud.firestore import FieldFilter

from shared.catalog.database import Database, NameTaken, Step
from shared.errors import BundleTombstoneAlreadyExists, NotYetThere
from shared.identifiers import Fqid


@dataclass(frozen=True, kw_only=True)
class BundleTombstone:
    """Who hid a bundle version, or a whole UUID if `version` is None, and why."""

    uuid: str
    version: str | None
    email: str
    reason: str

    @property
    def name(self) -> str:
        """The FQID or UUID that is hidden."""
        return f"{self.uuid}.{self.version}" if self.version else self.uuid


class TombstoneCatalog:
    """Writes of tombstones, and their effect on heads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("bundle_tombstones")
        self._bundles = database.client.collection("bundles")
        self._hidden_uuids = database.client.collection("hidden_bundles")

    def create(self, tombstone: BundleTombstone) -> None:
        """Claim the tombstone for this person and reason. Hides nothing yet. Safe to repeat.

        Raises BundleTombstoneAlreadyExists if another person or another reason has claimed it.
        """
        reference = self._collection.document(tombstone.name)
        document = {
            "uuid": tombstone.uuid,
            "version": tombstone.version,
            "email": tombstone.email,
            "reason": tombstone.reason,
            **self._database.new_head(),
            **self._database.unpublished_everywhere(),
        }
        try:
            self._database.commit(lambda batch: batch.create(reference, document))
        except NameTaken:
            existing = self._database.get(reference).to_dict()
            if (existing["email"], existing["reason"]) != (tombstone.email, tombstone.reason):
                raise BundleTombstoneAlreadyExists(
                    f"bundle {tombstone.name} was deleted before, by another person or for another reason"
                ) from None

    def available(self, tombstone: BundleTombstone) -> frozenset[str]:
        """Return the replicas on which the tombstone is available; none if it is not known."""
        snapshot = self._database.get(self._collection.document(tombstone.name))
        return frozenset(snapshot.get("available") if snapshot.exists else ())

    def mark_published(self, tombstone: BundleTombstone, replica: str) -> None:
        """Take a replica from the outbox: the tombstone's events are published there. Safe to repeat."""
        record = self._collection.document(tombstone.name)
        self._database.commit(lambda batch: batch.update(record, self._database.published(replica)))

    def hide(self, tombstone: BundleTombstone, replica: str) -> None:
        """Hide the version or UUID that the tombstone names, atomically and on all replicas. Safe to repeat.

        Marks the tombstone as available on the replica. Raises NotYetThere if the catalog does not know the
        version yet.
        """
        record = self._collection.document(tombstone.name)

        def hide_version(transaction: Any) -> None:
            head = self._bundles.document(tombstone.name).get(transaction=transaction)
            if not head.exists:
                raise NotYetThere(f"bundle {tombstone.name}: its tombstone is here, the bundle is not yet")
            if not head.get("hidden"):
                transaction.update(head.reference, _hidden(tombstone, head))
            transaction.update(record, self._database.gained(replica))

        def hide_uuid(transaction: Any) -> None:
            # Read in the transaction: if a version is created meanwhile, it runs again; a version that is
            # created afterwards finds the marker.
            versions = transaction.get(self._bundles.where(filter=FieldFilter("uuid", "==", tombstone.uuid)))
            for version in list(versions):
                if not version.get("hidden"):
                    transaction.update(version.reference, _hidden(tombstone, version))
            transaction.set(self._hidden_uuids.document(tombstone.uuid), {"email": tombstone.email})
            transaction.update(record, self._database.gained(replica))

        self._database.transact(hide_version if tombstone.version else hide_uuid)

    def had_hidden(self, name: str, fqid: Fqid, replica: str, *, seen: bool) -> None:
        """Hide a version before it becomes available on a replica, to restore the effect of a lost tombstone.

        `name` is the tombstone's; `seen` is whether the version was visible on the replica until it was
        hidden. Safe to repeat.
        """
        reference = self._bundles.document(str(fqid))

        def step(snapshot: Any) -> Step:
            head = snapshot.to_dict()
            visible_on = head.get("hidden_on", []) if head["hidden"] else head["available"]
            return {
                "hidden": True,
                "hidden_by": head.get("hidden_by") or name,
                "hidden_on": sorted({*visible_on, replica} if seen else {*visible_on} - {replica}),
            }, []

        self._database.advance(reference, step)


def _hidden(tombstone: BundleTombstone, head: Any) -> dict[str, Any]:
    # `hidden_on`: the replicas on which it was visible until now. Only there is its end an event.
    return {"hidden": True, "hidden_by": tombstone.name, "hidden_on": head.get("available")}
