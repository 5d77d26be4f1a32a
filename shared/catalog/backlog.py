"""What replicas still lack, and what has not been told there, over all kinds of heads."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.cloud.firestore import FieldFilter

from shared.catalog.database import Database
from shared.identifiers import Fqid, Kind, ObjectName, manifest_key, tombstone_key

# Documents that one query of a sweep returns.
_PAGE = 500


@dataclass(frozen=True, kw_only=True)
class Missing:
    """An object that some replicas have, and others lack since a moment."""

    key: str
    available: tuple[str, ...]
    missing: tuple[str, ...]
    since: datetime


def _manifest_of(kind: Kind) -> Any:
    return lambda head: manifest_key(kind, Fqid(head["uuid"], head["version"]))


# A collection of heads, and the key of the object that a head is about.
_HEADS = {
    "files": _manifest_of(Kind.FILE),
    "bundles": _manifest_of(Kind.BUNDLE),
    "collections": _manifest_of(Kind.COLLECTION),
    "bundle_tombstones": lambda head: tombstone_key(Kind.BUNDLE, head["uuid"], head["version"]),
    "collection_tombstones": lambda head: tombstone_key(Kind.COLLECTION, head["uuid"], None),
}


@dataclass(frozen=True, kw_only=True)
class Unpublished:
    """An object that a replica has, of which nobody has been told there."""

    key: str
    since: datetime


# The collection of the heads that are about a kind of object, alive or dead.
_COLLECTIONS = {
    (Kind.FILE, False): "files",
    (Kind.BUNDLE, False): "bundles",
    (Kind.COLLECTION, False): "collections",
    (Kind.BUNDLE, True): "bundle_tombstones",
    (Kind.COLLECTION, True): "collection_tombstones",
}


class BacklogCatalog:
    """Questions about what is missing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def available(self, names: Collection[ObjectName]) -> Mapping[ObjectName, frozenset[str]]:
        """Return the replicas that have each of these objects, of those that are known; one read each."""
        paths = {
            f"{collection}/{name.key.partition('/')[2].removesuffix('.dead')}": name
            for name in names
            if (collection := _COLLECTIONS.get((name.kind, name.dead)))
        }
        found = self._database.get_many(list(map(self._database.client.document, paths)), ["available"])
        return {paths[snapshot.reference.path]: frozenset(snapshot.get("available")) for snapshot in found}

    def missing(self, replica: str, *, before: datetime) -> Iterator[Missing]:
        """Yield what a replica has lacked since before a moment, the longest first in each collection.

        Claims whose writers were killed are among them, available nowhere.
        """
        for collection, key_of in _HEADS.items():
            query = (
                self._database.client.collection(collection)
                .where(filter=FieldFilter("missing", "array_contains", replica))
                .where(filter=FieldFilter("missing_since", "<", before))
                .order_by("missing_since")
            )
            for snapshot in self._database.every(query, _PAGE):
                head = snapshot.to_dict()
                yield Missing(
                    key=key_of(head),
                    available=tuple(head["available"]),
                    missing=tuple(head["missing"]),
                    since=head["missing_since"],
                )

    def unpublished(self, replica: str, *, before: datetime) -> Iterator[Unpublished]:
        """Yield what a replica has, and nobody has been told of, although it was claimed before a moment.

        The oldest first, bundles before tombstones. What is still to come to the replica costs a read each.
        """
        for collection in ("bundles", "bundle_tombstones"):
            query = (
                self._database.client.collection(collection)
                .where(filter=FieldFilter("unpublished", "array_contains", replica))
                .where(filter=FieldFilter("created", "<", before))
                .order_by("created")
            )
            for snapshot in self._database.every(query, _PAGE):
                head = snapshot.to_dict()
                if replica in head["available"]:
                    yield Unpublished(key=_HEADS[collection](head), since=head["created"])
