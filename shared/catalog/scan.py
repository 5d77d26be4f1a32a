"""Scans of the whole catalog, in the order of the buckets' listings, a page of documents at a time.

Audits compare the two. Every document that is yielded costs one read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.cloud.firestore import FieldFilter

from shared.catalog.bindings import Binding, binding_of
from shared.catalog.bundles import BundleHead, head_of
from shared.catalog.collection_tombstones import CollectionTombstone, collection_tombstone_of
from shared.catalog.collections import CollectionHead, collection_head_of
from shared.catalog.database import Database
from shared.catalog.event_documents import Event, event_of
from shared.catalog.files import FileRecord, record_of
from shared.catalog.groups import Group, group_of
from shared.catalog.journals import Journal, journal_of
from shared.catalog.tombstones import BundleTombstone
from shared.identifiers import Fqid

# Heads that one query returns: less than a MiB, well within the time that a query has.
_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class KnownTombstone:
    """A tombstone, the replicas on which it is, and those on which its event is not published yet."""

    tombstone: BundleTombstone
    available: frozenset[str]
    unpublished: frozenset[str] = frozenset()


class ScanCatalog:
    """Reads of whole collections. None of them needs a composite index."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._files = database.client.collection("files")
        self._bundles = database.client.collection("bundles")
        self._tombstones = database.client.collection("bundle_tombstones")
        self._bindings = database.client.collection("access")
        self._groups = database.client.collection("groups")
        self._events = database.client.collection("events")
        self._journals = database.client.collection("journals")
        self._collections = database.client.collection("collections")
        self._collection_tombstones = database.client.collection("collection_tombstones")

    def files(self, since: str = "", until: str = "") -> Iterator[FileRecord]:
        """Yield all file versions, in order of FQID, from `since` to `until`, which both count."""
        return map(record_of, self._by_name(self._files, since, until))

    def bundles(self, since: str = "", until: str = "") -> Iterator[BundleHead]:
        """Yield the heads of all bundle versions, in order of FQID; as `files` does."""
        return map(head_of, self._by_name(self._bundles, since, until))

    def file_count(self, *, most: int) -> int:
        """Return how many file versions there are, or `most` if there are more; one read a thousand."""
        return self._database.count(self._files.limit(most))

    def bundle_count(self) -> int:
        """Return how many bundle versions there are, hidden ones too; one read for each thousand."""
        return self._database.count(self._bundles)

    def collections(self, since: str = "", until: str = "") -> Iterator[CollectionHead]:
        """Yield the heads of all versions of collections, in order of FQID; as `files` does."""
        return map(collection_head_of, self._by_name(self._collections, since, until))

    def bindings(self, since: str = "", until: str = "") -> Iterator[Binding]:
        """Yield all bindings ever made, in order of FQID; as `files` does."""
        return map(binding_of, self._by_name(self._bindings, since, until))

    def groups(self, since: str = "", until: str = "") -> Iterator[Group]:
        """Yield all changes of groups ever made, in order of FQID; as `files` does."""
        return map(group_of, self._by_name(self._groups, since, until))

    def tombstones(self, since: str = "", until: str = "") -> Iterator[KnownTombstone]:
        """Yield all tombstones, in order of UUID; that of the whole UUID before those of its versions."""
        return map(_known, self._by_name(self._tombstones, since, until))

    def collection_tombstones(self, since: str = "", until: str = "") -> Iterator[CollectionTombstone]:
        """Yield all tombstones of collections, in order of UUID; as `files` does."""
        return map(collection_tombstone_of, self._by_name(self._collection_tombstones, since, until))

    def journals(self, since: str = "", until: str = "") -> Iterator[Journal]:
        """Yield all journals of many events, in order of id, from `since` to `until`."""
        query = _between(self._journals.order_by("id"), "id", since, until)
        return map(journal_of, self._database.every(query, _PAGE))

    def events(self, since: str = "", until: str = "") -> Iterator[Event]:
        """Yield all events of all replicas, in order of id; as `files` does."""
        return map(event_of, self._by_name(self._events, since, until))

    def tombstone(self, uuid: str, version: str | None) -> KnownTombstone | None:
        """Return a tombstone, in one read."""
        name = str(Fqid(uuid, version)) if version else uuid
        snapshot = self._database.get(self._tombstones.document(name))
        return _known(snapshot) if snapshot.exists else None

    def contents(self, since: str = "", until: str = "") -> Iterator[FileRecord]:
        """Yield all file versions, in order of SHA-256, from `since` to `until`."""
        query = _between(self._files.order_by("sha256"), "sha256", since, until)
        return map(record_of, self._database.every(query, _PAGE))

    def of_content(self, sha256: str) -> Iterator[FileRecord]:
        """Yield the file versions whose content has this SHA-256, a page at a time."""
        query = self._files.where(filter=FieldFilter("sha256", "==", sha256)).order_by("__name__")
        return map(record_of, self._database.every(query, _PAGE))

    def count(self, replica: str) -> int:
        """Return how many versions are available on a replica; a read for each thousand of a kind."""
        total = 0
        for collection in (self._files, self._bundles, self._collections):
            query = collection.where(filter=FieldFilter("available", "array_contains", replica))
            total += self._database.count(query)
        return total

    def _by_name(self, collection: Any, since: str, until: str) -> Iterator[Any]:
        return self._database.every(by_name(collection, since, until), _PAGE)


def by_name(collection: Any, since: str, until: str) -> Any:
    """Return the query for the documents whose names are from `since` to `until`; empty is no bound."""
    first, last = (collection.document(name) if name else None for name in (since, until))
    return _between(collection.order_by("__name__"), "__name__", first, last)


def _between(query: Any, field: str, first: Any, last: Any) -> Any:
    query = query.start_at({field: first}) if first else query
    return query.end_at({field: last}) if last else query


def _known(snapshot: Any) -> KnownTombstone:
    document = snapshot.to_dict()
    return KnownTombstone(
        tombstone=BundleTombstone(
            uuid=document["uuid"],
            version=document["version"],
            email=document["email"],
            reason=document["reason"],
        ),
        available=frozenset(document["available"]),
        unpublished=frozenset(document.get("unpublished", ())),
    )
