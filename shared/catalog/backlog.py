"""The backlog: heads of objects that replicas still lack, or whose events are not published there yet.

A replica has two queues of heads, each in order of the heads' `missing_since`:

    missing(aws)      another replica has the object, aws does not
    unpublished(aws)  aws has the object, and its event is not published there

An index that grows with time takes some 500 writes a second. So the queues are in shards, by the field
`shard`, and one query has Firestore merge them. `missing` says which replicas have an object, so that a queue
is an equality for each set of replicas that lack it; a claim is what all of them lack.

Firestore takes long to pass the index entries of heads that have just left a queue. So the sweep remembers
where each queue begins (`starts`).

A head whose event has become a dead letter moves to other shards: it is counted apart, and queues begin
behind it.
"""

import heapq
import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations
from typing import Any, Protocol

from google.api_core.exceptions import NotFound
from google.cloud.firestore import FieldFilter

from shared.catalog.database import SHARDS, Database, Step, new_shard
from shared.identifiers import ObjectName

# Documents that one query of a sweep returns.
_PAGE = 500
_QUEUED = tuple(range(SHARDS))
# Shards of heads whose event has become a dead letter.
_LEFT_ALONE = tuple(range(SHARDS, 2 * SHARDS))


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
class Queue:
    """A replica's queue: what it lacks; or, as an `outbox`, what it has and whose event is not published."""

    replica: str
    outbox: bool = False

    @property
    def name(self) -> str:
        """A name for the queue, unique among those of all replicas."""
        return f"{'unpublished' if self.outbox else 'missing'} {self.replica}"


@dataclass(frozen=True, kw_only=True)
class Queued:
    """An object of a queue, available on some replicas; or a claim, available on none.

    `since` is when it was claimed. `left_alone` has the times until which sweeps leave it alone, by the work
    that has failed.
    """

    key: str
    available: tuple[str, ...]
    since: datetime
    left_alone: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """How many objects are in a queue, of how many of them an event is a dead letter, and the oldest's time.

    There may be more of both unless it `is_all`.
    """

    objects: int = 0
    left_alone: int = 0
    since: datetime | None = None
    is_all: bool = True


class BacklogCatalog:
    """Queries for what is missing; each over the collections of heads that it is given."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._starts = database.client.collection("sweep_positions").document("starts")

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
        changes = {path: until, "shard": random.choice(_LEFT_ALONE)}
        with suppress(NotFound):
            self._database.commit(lambda batch: batch.update(head, changes))

    def queued(
        self, kinds: Iterable[Heads], queue: Queue, *, before: datetime, start: datetime | None = None
    ) -> Iterator[Queued]:
        """Yield what is in a queue since before a moment, the oldest first in each collection; a read each.

        Not what came to it before `start`, unless its event has become a dead letter.
        """
        for kind in kinds:
            if queue.outbox and not kind.published:
                continue
            pages = [
                self._database.every(query.where(filter=FieldFilter("missing_since", "<", before)), _PAGE)
                for query in (*self._queries(kind, queue, start), *self._left_alone(kind, queue))
            ]
            for snapshot in heapq.merge(*pages, key=lambda head: head.get("missing_since")):
                yield _queued(kind, snapshot)

    def claimed(self, kinds: Iterable[Heads], *, after: datetime, before: datetime) -> Iterator[Queued]:
        """Yield what was claimed between two moments and is available nowhere; a read each.

        These are objects that are being written, or whose writers were killed.
        """
        for kind in kinds:
            for shards in (_QUEUED, _LEFT_ALONE):
                query = (
                    self._ordered(kind, shards, sorted(self._database.replicas))
                    .where(filter=FieldFilter("missing_since", ">=", after))
                    .where(filter=FieldFilter("missing_since", "<", before))
                )
                for snapshot in self._database.every(query, _PAGE):
                    yield _queued(kind, snapshot)

    def measure(self, kind: Heads, queue: Queue, *, start: datetime | None, most: int) -> Measured:
        """Count what of a kind is in a queue, up to `most` for each set of replicas that lack it.

        A read for each thousand, and one for the oldest; none for what came to the queue before `start`.
        """
        if queue.outbox and not kind.published:
            return Measured()
        queued, dead = list(self._queries(kind, queue, start)), list(self._left_alone(kind, queue))
        counts = [self._database.count(query.limit(most)) for query in (*queued, *dead)]
        found = [query for query, count in zip((*queued, *dead), counts, strict=True) if count]
        return Measured(
            objects=sum(counts),
            left_alone=sum(counts[len(queued) :]),
            since=self._first(found),
            is_all=max(counts) < most,
        )

    def oldest(self, kind: Heads, queue: Queue, *, start: datetime | None) -> datetime | None:
        """Return since when the oldest of a kind is in a queue, but for dead letters; a read."""
        return None if queue.outbox and not kind.published else self._first(self._queries(kind, queue, start))

    def starts(self) -> Mapping[str, datetime]:
        """Return before which moments there is nothing in queues, by the name of the queue; in one read.

        And what else sweeps remember there.
        """
        return self._database.get(self._starts).to_dict() or {}

    def set_starts(self, starts: Mapping[str, datetime]) -> None:
        """Remember the beginnings of queues."""
        self._database.commit(lambda batch: batch.set(self._starts, dict(starts)))

    def outside(self, kind: Heads) -> Iterator[Any]:
        """Yield the references of the heads that were made before queues had shards, and are to be queued.

        Reads all heads of the kind.
        """
        heads = self._database.client.collection(kind.collection).order_by("__name__")
        for snapshot in self._database.every(heads.select(["shard", "missing", "unpublished"]), _PAGE):
            head = snapshot.to_dict()
            if "shard" not in head and (head.get("missing") or head.get("unpublished")):
                yield snapshot.reference

    def enqueue(self, reference: Any) -> None:
        """Put a head into the queues that it belongs to, as a new one: sweeps may have passed its time."""

        def step(snapshot: Any) -> Step | None:
            if not snapshot.exists or "shard" in snapshot.to_dict():
                return None
            return {
                "missing": sorted(snapshot.get("missing")),
                "missing_since": self._database.clock.now(),
                "shard": new_shard(),
            }, []

        self._database.advance(reference, step)

    def _first(self, queries: Iterable[Any]) -> datetime | None:
        found = (snapshot for query in queries for snapshot in self._database.query(query.limit(1)))
        return min((snapshot.get("missing_since") for snapshot in found), default=None)

    def _queries(self, kind: Heads, queue: Queue, start: datetime | None) -> Iterator[Any]:
        for query in self._all(kind, queue, _QUEUED):
            yield query.where(filter=FieldFilter("missing_since", ">=", start)) if start else query

    def _left_alone(self, kind: Heads, queue: Queue) -> Iterator[Any]:
        return self._all(kind, queue, _LEFT_ALONE)

    def _all(self, kind: Heads, queue: Queue, shards: Sequence[int]) -> Iterator[Any]:
        """Yield a query for each set of replicas by which a head is in the queue."""
        for lacking in _lacking(self._database.replicas, queue):
            query = self._ordered(kind, shards, lacking)
            if queue.outbox:
                query = query.where(filter=FieldFilter("unpublished", "array_contains", queue.replica))
            yield query

    def _ordered(self, kind: Heads, shards: Sequence[int], lacking: Sequence[str]) -> Any:
        return (
            self._database.client.collection(kind.collection)
            .where(filter=FieldFilter("shard", "in", list(shards)))
            .where(filter=FieldFilter("missing", "==", list(lacking)))
            .order_by("missing_since")
        )


def _lacking(replicas: Sequence[str], queue: Queue) -> list[list[str]]:
    """Return the sets of replicas, sorted, that may lack what is in a queue: never all of them."""
    names = sorted(replicas)
    sets = [list(some) for count in range(len(names)) for some in combinations(names, count)]
    return [some for some in sets if (queue.replica in some) != queue.outbox]


def _queued(kind: Heads, snapshot: Any) -> Queued:
    head = snapshot.to_dict()
    return Queued(
        key=kind.name(head["uuid"], head.get("version")).key,
        available=tuple(head["available"]),
        since=head["missing_since"],
        left_alone=head.get("left_alone", {}),
    )


def _held(head: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(head["available"]) | frozenset(head.get("withheld", ()))
