"""The backlog: heads of objects that replicas still lack, or whose events are not published there yet."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from google.api_core.exceptions import NotFound
from google.cloud.firestore import FieldFilter

from shared.catalog.database import Database
from shared.identifiers import ObjectName

# Documents that one query of a sweep returns.
_PAGE = 500


class Heads(Protocol):
    """A collection of heads: one document for each object of a kind. `shared.kinds` has all of them."""

    @property
    def collection(self) -> str:
        """The name of the collection."""
        ...

    @property
    def published(self) -> bool:
        """Whether an object that becomes available on a replica is published as an event."""
        ...

    def name(self, uuid: str, version: str | None) -> ObjectName:
        """Return the name of the object about a version, or about a whole UUID."""
        ...

    def owns(self, name: ObjectName) -> bool:
        """Return whether the object of this name has its head in the collection."""
        ...


@dataclass(frozen=True, kw_only=True)
class Missing:
    """An object that some replicas have, and others lack since a moment.

    `left_alone` has the times until which sweeps leave it alone, by the work that has failed.
    """

    key: str
    available: tuple[str, ...]
    missing: tuple[str, ...]
    since: datetime
    left_alone: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Unpublished:
    """An object that a replica has, and whose event is not published there."""

    key: str
    since: datetime
    left_alone: Mapping[str, datetime] = field(default_factory=dict)


class BacklogCatalog:
    """Queries for what is missing; each over the collections of heads that it is given."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def available(
        self, kinds: Iterable[Heads], names: Collection[ObjectName]
    ) -> Mapping[ObjectName, frozenset[str]]:
        """Return the replicas that have each of these objects, of those that are known; one read each.

        A replica has an object, too, that is withheld because it is about to be removed for good.
        """
        paths = {
            f"{kind.collection}/{name.subject}": name for kind in kinds for name in names if kind.owns(name)
        }
        heads = self._database.get_many(
            list(map(self._database.client.document, paths)), ["available", "withheld"]
        )
        return {paths[head.reference.path]: _held(head.to_dict()) for head in heads}

    def leave_alone(self, kind: Heads, name: ObjectName, work: str, *, until: datetime) -> None:
        """Write to the head of an object until when sweeps leave it alone; nothing if it has no head."""
        head = self._database.client.collection(kind.collection).document(name.subject)
        path = self._database.client.field_path("left_alone", work)
        with suppress(NotFound):
            self._database.commit(lambda batch: batch.update(head, {path: until}))

    def missing(self, kinds: Iterable[Heads], replica: str, *, before: datetime) -> Iterator[Missing]:
        """Yield what a replica has lacked since before a moment, the oldest first in each collection.

        Includes claims whose writers were killed; they are available nowhere.
        """
        for kind in kinds:
            query = (
                self._database.client.collection(kind.collection)
                .where(filter=FieldFilter("missing", "array_contains", replica))
                .where(filter=FieldFilter("missing_since", "<", before))
                .order_by("missing_since")
            )
            for snapshot in self._database.every(query, _PAGE):
                head = snapshot.to_dict()
                yield Missing(
                    key=kind.name(head["uuid"], head.get("version")).key,
                    available=tuple(head["available"]),
                    missing=tuple(head["missing"]),
                    since=head["missing_since"],
                    left_alone=head.get("left_alone", {}),
                )

    def unpublished(self, kinds: Iterable[Heads], replica: str, *, before: datetime) -> Iterator[Unpublished]:
        """Yield objects that a replica has, claimed before a moment, whose event is not published there.

        The oldest first in each collection. An object that is still to come to the replica costs a read, too.
        """
        for kind in kinds:
            if not kind.published:
                continue
            query = (
                self._database.client.collection(kind.collection)
                .where(filter=FieldFilter("unpublished", "array_contains", replica))
                .where(filter=FieldFilter("created", "<", before))
                .order_by("created")
            )
            for snapshot in self._database.every(query, _PAGE):
                head = snapshot.to_dict()
                if replica in head["available"]:
                    yield Unpublished(
                        key=kind.name(head["uuid"], head.get("version")).key,
                        since=head["created"],
                        left_alone=head.get("left_alone", {}),
                    )


def _held(head: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(head["available"]) | frozenset(head.get("withheld", ()))
