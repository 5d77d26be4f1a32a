"""Firestore as the catalog uses it: one client, one mapping of its errors, and the fields of all heads.

A head's `available` lists the replicas on which reads see it. `missing` lists those that it has not reached
yet, sorted, and `missing_since` is when it was created, or given back after a purge. Both exist from its
creation on, so that the sweep finds what a killed process left half-done (shared/catalog/backlog.py).
`shard` is a small number by chance, which the indexes of the sweep begin with.
"""

import random
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from google.api_core import exceptions, retry
from google.cloud import firestore
from google.cloud.firestore import FieldFilter
from google.cloud.firestore_v1 import LastUpdateOption

from shared.batching import Batcher
from shared.catalog.reads import Reads
from shared.clock import Clock
from shared.deadlines import inherited
from shared.errors import DssError, Unavailable
from shared.tracing import adopt_kept, kept_trace

# Documents per BatchGetDocuments call, and calls at once: 10,000 documents then take few round trips, and no
# answer is larger than a few hundred KiB.
_BATCH = 500
_PARALLEL_BATCHES = 8
# Documents that threads read or change in one request.
_TOGETHER = 100
_MOST_VALUES = 30
# Timeout of a request; clients give up after 40 seconds.
_TIMEOUT_SECONDS = 30
# Firestore answers ABORTED to a commit that waited too long for another's lock, in a transaction or not.
# Nothing of it is applied, and it is safe to retry. The client library retries transactions only.
_CONTENDED = retry.Retry(
    predicate=retry.if_exception_type(exceptions.Aborted), initial=0.05, maximum=1.0, timeout=15
)

# In Firestore's message if there is no such transaction any more. The client library repeats a commit whose
# answer got lost, and the first one has ended the transaction. The emulator: "Transaction is invalid or
# closed."; Firestore: "The referenced transaction has expired or is no longer valid."
_NO_TRANSACTION = "transaction"

# A write adds itself to a batch. A step is the changes of a document, and further writes of the same commit.
Write = Callable[[Any], None]
Step = tuple[dict[str, Any], Sequence[Write]]
# Shards of the indexes that are ordered by time. Firestore: 500 writes a second to a range of an index that
# grows with time (https://cloud.google.com/firestore/docs/solutions/shard-timestamp): so 8,000 to these. A
# query compares with 30 values at most.
SHARDS = 16
# How often `advance` re-reads a document that others have changed, and the first pause before it does.
_ADVANCES = 60
_ADVANCE_SECONDS = 0.02


class NameTaken(DssError):
    """A document to be created exists already. Never leaves `shared.catalog`."""


class Database:
    """A Firestore database, and the replicas that each new head must reach."""

    def __init__(
        self, client: firestore.Client, *, replicas: Sequence[str], clock: Clock, reads: Reads | None = None
    ) -> None:
        self.client = client
        self.clock = clock
        self._reads = reads or Reads(client)
        self._replicas = list(replicas)
        # Threads for batches, started at first use: a server may fork after this object was made.
        self._threads: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._together: Batcher[Any, Any] = Batcher(self._read_together, most=_TOGETHER)

    @property
    def replicas(self) -> Sequence[str]:
        """The names of all replicas."""
        return self._replicas

    def new_head(self) -> dict[str, Any]:
        """Return the fields of a head that is not available on any replica yet."""
        now = self.clock.now()
        return {
            "available": [],
            "missing": sorted(self._replicas),
            "missing_since": now,
            "created": now,
            "shard": new_shard(),
            **kept_trace(),
        }

    @staticmethod
    def gained(replica: str) -> dict[str, Any]:
        """Return the changes that make a head available on a replica; safe to repeat, in any order."""
        return {
            "available": firestore.ArrayUnion([replica]),
            "missing": firestore.ArrayRemove([replica]),
        }

    def unpublished_everywhere(self) -> dict[str, Any]:
        """Return the outbox field of a new head: its event is not published on any replica yet."""
        return {"unpublished": list(self._replicas)}

    @staticmethod
    def published(replica: str) -> dict[str, Any]:
        """Return the change of a head whose event is published on a replica; safe to apply twice."""
        return {"unpublished": firestore.ArrayRemove([replica])}

    def get(self, reference: Any) -> Any:
        """Return the snapshot of a document, whether it exists or not, in one read."""
        with translated():
            snapshot = self._reads.get(reference, _TIMEOUT_SECONDS)
        if snapshot.exists:
            adopt_kept(snapshot.to_dict)
        return snapshot

    def get_together(self, reference: Any) -> Any:
        """Return what `get` returns, read in one request with what other threads ask for now."""
        snapshot = self._together(reference)
        if snapshot.exists:
            adopt_kept(snapshot.to_dict)
        return snapshot

    def _read_together(self, references: Sequence[Any]) -> Sequence[Any]:
        with translated():
            found = self._reads.get_many(references, None, _TIMEOUT_SECONDS)
            by_path = {snapshot.reference.path: snapshot for snapshot in found}
        return [by_path[reference.path] for reference in references]

    def get_many(self, references: Sequence[Any], fields: Sequence[str] | None = None) -> Iterator[Any]:
        """Yield the snapshots of the documents that exist, in no order, read in parallel batches.

        `fields` limits the fields that are read.
        """
        batches = [references[start : start + _BATCH] for start in range(0, len(references), _BATCH)]

        def read(batch: Sequence[Any]) -> list[Any]:
            with translated():
                found = self._reads.get_many(batch, fields, _TIMEOUT_SECONDS)
                return [snapshot for snapshot in found if snapshot.exists]

        if len(batches) <= 1:
            results: Iterable[list[Any]] = map(read, batches)
        else:
            results = self._pool().map(inherited(read), batches)
        for result in results:
            yield from result

    def query(self, query: Any) -> list[Any]:
        """Return the snapshots that a query finds."""
        with translated():
            return self._reads.query(query, _TIMEOUT_SECONDS)

    def labelled(self, query: Any, labels: Collection[str], count: int, *, by: str) -> list[Any]:
        """Return the first `count` snapshots of an ordered query that have one of some labels.

        `by` is the field of the order, and unique. One request for each 30 labels.
        """
        names = sorted(labels)
        # Firestore: a query compares with at most 30 values.
        parts = [names[at : at + _MOST_VALUES] for at in range(0, len(names), _MOST_VALUES)]
        found = {
            snapshot.id: snapshot
            for part in parts
            for snapshot in self.query(
                query.where(filter=FieldFilter("labels", "array_contains_any", part)).limit(count)
            )
        }
        return sorted(found.values(), key=lambda snapshot: snapshot.get(by))[:count]

    def count(self, query: Any) -> int:
        """Return how many documents a query finds, up to its limit; one read per thousand."""
        with translated():
            [[result]] = query.count().get(timeout=_TIMEOUT_SECONDS)
        return int(result.value)

    def every(self, query: Any, page: int) -> Iterator[Any]:
        """Yield the snapshots that an ordered query finds, lazily, `page` of them per request."""
        last = None
        while True:
            snapshots = self.query((query.start_after(last) if last else query).limit(page))
            yield from snapshots
            if len(snapshots) < page:
                return
            last = snapshots[-1]

    def commit(self, *writes: Callable[[Any], None]) -> None:
        """Apply writes, all or none, in one request. Raises NameTaken if a document exists that must not.

        Retries while others lock the documents, and raises Unavailable if they do so for long.
        """
        batch = self.client.batch()
        for write in writes:
            write(batch)
        with translated():
            try:
                _CONTENDED(batch.commit)(timeout=_TIMEOUT_SECONDS)
            except exceptions.FailedPrecondition as error:
                # A document exists that must not: the emulator answers one of the two codes, and the service
                # may answer either.
                raise NameTaken(str(error)) from error

    def advance(self, reference: Any, step: Callable[[Any], Step | None]) -> None:
        """Read a document, and commit the step that follows from it; start again if others were faster.

        `step` takes the snapshot and returns the changes and further writes, or None to change nothing. No
        lock is held: in a transaction, a killed process would block all others until Firestore releases the
        documents that it had read. Raises Unavailable if others are faster too often.
        """
        for attempt in range(_ADVANCES):
            snapshot = self.get(reference)
            next_step = step(snapshot)
            if next_step is None:
                return
            changes, writes = next_step
            if self.change(reference, snapshot if snapshot.exists else None, changes, *writes):
                return
            self.clock.sleep(random.uniform(0, min(attempt + 1, 10) * _ADVANCE_SECONDS))
        raise Unavailable(f"{reference.path}: others changed it {_ADVANCES} times meanwhile")

    def change(self, reference: Any, snapshot: Any, changes: dict[str, Any], *writes: Write) -> bool:
        """Commit changes of a document, and further writes, if it is as it was read; return whether it was.

        `snapshot` is None if it did not exist. Also returns False if one of the writes has failed.
        """
        try:
            self.commit(_write_if_unchanged(reference, snapshot, changes), *writes)
        except NameTaken:
            return False
        return True

    def transact(self, work: Callable[[Any], None]) -> None:
        """Run `work` in a transaction, and again if others changed what it read.

        Raises Unavailable if they do so for long; also if the answer to the commit got lost, so that it is
        not known whether it was applied.
        """

        def attempt() -> None:
            try:
                firestore.transactional(work)(self.client.transaction())
            except ValueError as error:
                # The client hides another error behind this one: its last attempt was aborted, too, or the
                # transaction never began.
                hidden = error.__cause__ or error.__context__
                if isinstance(hidden, exceptions.GoogleAPICallError | DssError):
                    raise hidden from None
                raise
            except exceptions.InvalidArgument as error:
                if _NO_TRANSACTION not in str(error).lower():
                    raise
                raise Unavailable(
                    "the catalog failed: it is not known whether a change was applied"
                ) from error

        with translated():
            _CONTENDED(attempt)()

    def check(self) -> None:
        """Return if Firestore answers; raise Unavailable if not."""
        with translated():
            self._reads.get_many([self.client.collection("health").document("none")], None, 5)

    def _pool(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(_PARALLEL_BATCHES, thread_name_prefix="catalog")
            return self._threads


def new_shard() -> int:
    """Return the shard of a new head."""
    return random.randrange(SHARDS)


def available_on(*replicas: str) -> FieldFilter:
    """Return the condition that reads see a head on one of some replicas."""
    if len(replicas) == 1:
        return FieldFilter("available", "array_contains", replicas[0])
    return FieldFilter("available", "array_contains_any", list(replicas))


def set_document(reference: Any, document: Mapping[str, Any]) -> Write:
    """Return the write that sets a document, whether it exists or not."""
    return lambda batch: batch.set(reference, dict(document))


def create_document(reference: Any, document: Mapping[str, Any]) -> Write:
    """Return the write that creates a document, and fails if it exists."""
    return lambda batch: batch.create(reference, dict(document))


def _write_if_unchanged(reference: Any, snapshot: Any, changes: dict[str, Any]) -> Write:
    if snapshot is None:
        return lambda batch: batch.create(reference, changes)
    unchanged = LastUpdateOption(snapshot.update_time)
    return lambda batch: batch.update(reference, changes, option=unchanged)


@contextmanager
def translated() -> Iterator[None]:
    """Map Firestore's errors to domain errors; the only place that knows them."""
    try:
        yield
    except exceptions.AlreadyExists as error:
        raise NameTaken(str(error)) from error
    except (
        exceptions.Aborted,
        exceptions.ServerError,
        exceptions.TooManyRequests,
        exceptions.RetryError,
    ) as error:
        raise Unavailable(f"the catalog failed: Firestore answers {type(error).__name__}") from error
