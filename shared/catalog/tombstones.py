"""The catalog of bundle tombstones: collection `bundle_tombstones`, one document a tombstone.

A tombstone of a whole UUID leaves a marker in collection `hidden_bundles` as well, which versions that are
written later meet when they become available.
"""

from dataclasses import dataclass
from typing import Any

from google.cloud.firestore import FieldFilter

from shared.catalog.database import Database, NameTaken, Step
from shared.errors import BundleTombstoneAlreadyExists, NotYetThere
from shared.identifiers import Fqid


@dataclass(frozen=True, kw_only=True)
class BundleTombstone:
    """Who hid a bundle version, or a whole UUID where `version` is None, and why."""

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

        Raises BundleTombstoneAlreadyExists where it is somebody else's or has another reason.
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
            there = self._database.get(reference).to_dict()
            if (there["email"], there["reason"]) != (tombstone.email, tombstone.reason):
                raise BundleTombstoneAlreadyExists(
                    f"bundle {tombstone.name} was deleted before, by another person or for another reason"
                ) from None

    def available(self, tombstone: BundleTombstone) -> frozenset[str]:
        """Return the replicas on which the tombstone is; none where it is not known."""
        snapshot = self._database.get(self._collection.document(tombstone.name))
        return frozenset(snapshot.get("available") if snapshot.exists else ())

    def mark_published(self, tombstone: BundleTombstone, replica: str) -> None:
        """Note that all who want to know of the tombstone on a replica have been told. Safe to repeat."""
        record = self._collection.document(tombstone.name)
        self._database.commit(lambda batch: batch.update(record, self._database.published(replica)))

    def hide(self, tombstone: BundleTombstone, replica: str) -> None:
        """Hide what the tombstone names, all of it at one moment, on all replicas. Safe to repeat.

        Marks the tombstone as available on the replica. Raises NotYetThere where the version that it hides
        is not known.
        """
        record = self._collection.document(tombstone.name)

        def hide_version(transaction: Any) -> None:
            head = self._bundles.document(tombstone.name).get(transaction=transaction)
            if not head.exists:
                raise NotYetThere(f"bundle {tombstone.name}: its tombstone is known, it is not")
            if not head.get("hidden"):
                transaction.update(head.reference, _hidden(tombstone, head))
            transaction.update(record, self._database.gained(replica))

        def hide_uuid(transaction: Any) -> None:
            # Read within the transaction: a version that is created meanwhile makes it run again, and one
            # that is created afterwards meets the marker.
            versions = transaction.get(self._bundles.where(filter=FieldFilter("uuid", "==", tombstone.uuid)))
            for version in list(versions):
                if not version.get("hidden"):
                    transaction.update(version.reference, _hidden(tombstone, version))
            transaction.set(self._hidden_uuids.document(tombstone.uuid), {"email": tombstone.email})
            transaction.update(record, self._database.gained(replica))

        self._database.transact(hide_version if tombstone.version else hide_uuid)

    def had_hidden(self, name: str, fqid: Fqid, replica: str, *, seen: bool) -> None:
        """Hide a version before it becomes available on a replica, as its tombstone did before it was lost.

        `name` is the tombstone's, and `seen` tells whether the version was to be seen on the replica until it
        was hidden. Safe to repeat.
        """
        reference = self._bundles.document(str(fqid))

        def step(snapshot: Any) -> Step:
            head = snapshot.to_dict()
            there = head.get("hidden_on", []) if head["hidden"] else head["available"]
            return {
                "hidden": True,
                "hidden_by": head.get("hidden_by") or name,
                "hidden_on": sorted({*there, replica} if seen else {*there} - {replica}),
            }, []

        self._database.advance(reference, step)


def _hidden(tombstone: BundleTombstone, head: Any) -> dict[str, Any]:
    # Where it was to be seen until now: only there it leaves, and only there is it an event.
    return {"hidden": True, "hidden_by": tombstone.name, "hidden_on": head.get("available")}
