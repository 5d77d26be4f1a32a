"""Firestore as the catalog uses it: one client, one mapping of its errors, and what all heads have in common.

A head's `available` names the replicas on which reads see it. Its `missing` names those that it has still
to reach, `missing_since` when it began to wait for them; both are there from its creation on, so that what a
killed process left half-done can be found.
"""

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from google.api_core import exceptions, retry
from google.cloud import firestore
from google.cloud.firestore_v1 import LastUpdateOption

from shared.clock import Clock
from shared.errors import DssError, Unavailable

# Documents that one BatchGetDocuments call asks for, and calls at once: 10,000 documents then take few
# round trips, and no answer grows beyond a few hundred KiB.
_BATCH = 500
_PARALLEL_BATCHES = 8
# A request is answered within this or not at all; clients give up after 40 seconds.
_TIMEOUT_SECONDS = 30
# Firestore answers ABORTED to who waited too long for another's lock, transaction or not: nothing of that is
# done, and it may be tried again. Its library does so for commits of transactions only.
_CONTENDED = retry.Retry(
    predicate=retry.if_exception_type(exceptions.Aborted), initial=0.05, maximum=1.0, timeout=15
)


# What is done to a batch; the changes of a document, with writes that go with them.
Write = Callable[[Any], None]
Step = tuple[dict[str, Any], Sequence[Write]]
# How often a document is read anew that others have changed, and the pauses before, at first.
_ADVANCES = 60
_ADVANCE_SECONDS = 0.02


class NameTaken(DssError):
    """A document was to be created and is there already. Never leaves `shared.catalog`."""


class Database:
    """A Firestore database, and the replicas that a new head has to reach."""

    def __init__(self, client: firestore.Client, *, replicas: Sequence[str], clock: Clock) -> None:
        self.client = client
        self.clock = clock
        self._replicas = list(replicas)
        # Threads of its own for batches, begun at first use: a server may fork after this was made.
        self._threads: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    @property
    def replicas(self) -> Sequence[str]:
        """The names of all replicas."""
        return self._replicas

    def new_head(self) -> dict[str, Any]:
        """Return the fields of a head that no replica has yet."""
        now = self.clock.now()
        return {
            "available": [],
            "missing": list(self._replicas),
            "missing_since": now,
            "created": now,
        }

    @staticmethod
    def gained(replica: str) -> dict[str, Any]:
        """Return the changes of a head that a replica has now; safe to apply twice and in any order."""
        return {
            "available": firestore.ArrayUnion([replica]),
            "missing": firestore.ArrayRemove([replica]),
        }

    def unpublished_everywhere(self) -> dict[str, Any]:
        """Return the field of a head of which nobody has been told yet, on no replica."""
        return {"unpublished": list(self._replicas)}

    @staticmethod
    def published(replica: str) -> dict[str, Any]:
        """Return the change of a head that has been told of on a replica; safe to apply twice."""
        return {"unpublished": firestore.ArrayRemove([replica])}

    def get(self, reference: Any) -> Any:
        """Return the snapshot of a document, present or not, in one read."""
        with translated():
            return reference.get(timeout=_TIMEOUT_SECONDS)

    def get_many(self, references: Sequence[Any], fields: Sequence[str] | None = None) -> Iterator[Any]:
        """Yield the snapshots of the documents that exist, in no order, read in batches side by side.

        With `fields` they hold only these.
        """
        batches = [references[start : start + _BATCH] for start in range(0, len(references), _BATCH)]

        def read(batch: Sequence[Any]) -> list[Any]:
            with translated():
                found = self.client.get_all(list(batch), fields, timeout=_TIMEOUT_SECONDS)
                return [snapshot for snapshot in found if snapshot.exists]

        if len(batches) <= 1:
            results: Iterable[list[Any]] = map(read, batches)
        else:
            results = self._pool().map(read, batches)
        for result in results:
            yield from result

    def query(self, query: Any) -> list[Any]:
        """Return the snapshots that a query finds."""
        with translated():
            return list(query.stream(timeout=_TIMEOUT_SECONDS))

    def count(self, query: Any) -> int:
        """Return how many documents a query finds; one read for each thousand of them."""
        with translated():
            [[result]] = query.count().get(timeout=_TIMEOUT_SECONDS)
        return int(result.value)

    def every(self, query: Any, page: int) -> Iterator[Any]:
        """Yield the snapshots that an ordered query finds, `page` a request, as they are asked for."""
        last = None
        while True:
            found = self.query((query.start_after(last) if last else query).limit(page))
            yield from found
            if len(found) < page:
                return
            last = found[-1]

    def commit(self, *writes: Callable[[Any], None]) -> None:
        """Apply writes, all or none, in one request. Raises NameTaken where a document must not exist.

        Tried again while others hold what it writes, and Unavailable where they do so for long.
        """
        batch = self.client.batch()
        for write in writes:
            write(batch)
        with translated():
            try:
                _CONTENDED(batch.commit)(timeout=_TIMEOUT_SECONDS)
            except exceptions.FailedPrecondition as error:
                # A document that must not exist and does: the emulator says so in one way, and nothing
                # promises that the service does not say it in the other.
                raise NameTaken(str(error)) from error

    def advance(self, reference: Any, step: Callable[[Any], Step | None]) -> None:
        """Change a document by what it is, and write others with it; from the start where others were faster.

        `step` is given its snapshot and returns the changes and the further writes, or None for neither. No
        lock is held meanwhile: in a transaction, a process that is killed would keep all others waiting until
        Firestore lets go of what it had read. Raises Unavailable where others were faster for long.
        """
        for attempt in range(_ADVANCES):
            snapshot = self.get(reference)
            todo = step(snapshot)
            if todo is None:
                return
            try:
                self.commit(_advancing(reference, snapshot, todo[0]), *todo[1])
                return
            except NameTaken:
                self.clock.sleep(random.uniform(0, min(attempt + 1, 10) * _ADVANCE_SECONDS))
        raise Unavailable(f"{reference.path}: others changed it again and again")

    def transact(self, work: Callable[[Any], None]) -> None:
        """Run `work` with a transaction, again and from its start where others were faster.

        Raises Unavailable where they were so for long.
        """

        def attempt() -> None:
            try:
                firestore.transactional(work)(self.client.transaction())
            except ValueError as error:
                # What the client says when the last of its attempts was aborted, too.
                if isinstance(error.__cause__, exceptions.Aborted):
                    raise error.__cause__ from None
                raise

        with translated():
            _CONTENDED(attempt)()

    def check(self) -> None:
        """Return if Firestore answers; raise Unavailable if not."""
        with translated():
            self.client.collection("health").document("none").get(timeout=5, retry=None)

    def _pool(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(_PARALLEL_BATCHES, thread_name_prefix="catalog")
            return self._threads


def _advancing(reference: Any, snapshot: Any, changes: dict[str, Any]) -> Callable[[Any], None]:
    if not snapshot.exists:
        return lambda batch: batch.create(reference, changes)
    unchanged = LastUpdateOption(snapshot.update_time)
    return lambda batch: batch.update(reference, changes, option=unchanged)


@contextmanager
def translated() -> Iterator[None]:
    """Turn Firestore's errors into those of the house; the only place that knows them."""
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
        raise Unavailable("the catalog does not answer as it should") from error
