"""Jobs that are worked on in attempts: one document a job in the catalog, which all of its steps share.

A job's id follows from its order, so that the same order again joins it. A job that has failed, or that
nobody has worked on for an hour, may begin again: another attempt. Steps of an attempt that is over change
nothing.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from google.cloud.firestore import DocumentSnapshot, FieldFilter

from shared.catalog.database import Database, Step
from shared.errors import DssError, TooManyUnderWay
from shared.parallel import run_side_by_side
from shared.tracing import kept_trace

# A step takes half an hour at most (see workflows/), and touches its job when it begins.
ABANDONED_AFTER = timedelta(hours=1)
_NOTED_EVERY = timedelta(minutes=1)
# How long a job's status can be read. Firestore then removes the document by itself.
KEPT_FOR = timedelta(days=30)


class JobState(StrEnum):
    """The state of a job, in the words of the v1 contract."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class Attempted(Protocol):
    """What every job has."""

    @property
    def id(self) -> str:
        """The name of its document."""
        ...

    @property
    def state(self) -> JobState:
        """The state of the latest attempt."""
        ...

    @property
    def attempt(self) -> int:
        """The number of the latest attempt, from 1."""
        ...

    @property
    def execution(self) -> str:
        """The name of the execution that works on the latest attempt; empty if none is known to."""
        ...

    @property
    def touched(self) -> datetime:
        """When a step last worked on it."""
        ...


Job = TypeVar("Job", bound=Attempted)


class AttemptCatalog(Generic[Job]):
    """Reads and writes of one collection of jobs; `read` makes a job of a snapshot."""

    def __init__(self, database: Database, collection: str, read: Callable[[Any], Job]) -> None:
        self._database = database
        self._collection = database.client.collection(collection)
        self._read = read

    def get(self, job_id: str) -> Job | None:
        """Return a job, in one read."""
        snapshot = self._database.get(self._collection.document(job_id))
        return self._read(snapshot) if snapshot.exists else None

    def get_many(self, job_ids: Iterable[str]) -> Mapping[str, Job]:
        """Return those of the jobs that exist, one read each."""
        snapshots = self._database.get_many([self._collection.document(job_id) for job_id in job_ids])
        return {snapshot.id: self._read(snapshot) for snapshot in snapshots}

    def abandoned(self, *, unstarted_seconds: float = ABANDONED_AFTER.total_seconds()) -> list[Job]:
        """Return the running jobs that no step has worked on for an hour, and those that nobody started.

        The latter after so many seconds, which is longer than a request takes that begins a job and starts
        its execution; two executions do no harm. By default after an hour, too: runs may need no execution.
        """
        running = self._database.query(self._running())
        now = self._database.clock.now()
        unstarted = now - timedelta(seconds=unstarted_seconds)
        return [
            job for job in map(self._read, running) if may_begin_again(job, now) or _was_left(job, unstarted)
        ]

    def under_way(self, own: FieldFilter | None = None) -> int:
        """Return the number of running jobs, of those alone that `own` finds; a read for each thousand."""
        jobs = self._running()
        return self._database.count(jobs.where(filter=own) if own else jobs)

    def _require_place(self, jobs: str, *, at_most: int, own: FieldFilter | None, at_most_each: int) -> None:
        """Raise TooManyUnderWay if `at_most` jobs are running, or `at_most_each` that `own` finds."""
        running, of_one = run_side_by_side(self.under_way, lambda: self.under_way(own) if own else 0)
        if running >= at_most:
            raise TooManyUnderWay(f"{at_most} {jobs} are running; try again when one has ended")
        if own and of_one >= at_most_each:
            raise TooManyUnderWay(f"{at_most_each} {jobs} of yours are running; try again when one has ended")

    def _running(self) -> Any:
        return self._collection.where(filter=FieldFilter("state", "==", JobState.RUNNING.value))

    def started(self, job: Job, execution: str) -> None:
        """Note the execution that works on an attempt."""
        self._update(job, {"execution": execution})

    def touch(self, job: Job) -> None:
        """Note that an attempt is being worked on, at most once a minute.

        Otherwise steps that begin side by side would wait for each other's transactions.
        """
        if self._database.clock.now() - job.touched >= _NOTED_EVERY:
            self._update(job, {})

    def note_error(self, job: Job, code: str, cause: str) -> None:
        """Note the last error; it does not end the attempt."""
        self._update(job, {"code": code, "cause": cause[:1000]})

    @contextmanager
    def noting_errors(self, job: Job) -> Iterator[None]:
        """Note the error that ends the block, and raise it."""
        try:
            yield
        except DssError as error:
            self.note_error(job, error.code, error.title)
            raise

    def end(self, job: Job, state: JobState, *, code: str = "", cause: str = "") -> None:
        """End an attempt, unless it has ended."""
        now = self._database.clock.now()
        ended = {"state": state.value, "code": code, "cause": cause[:1000], "expires": now + KEPT_FOR}
        self._change(job, lambda current: {**ended, **self._at_end(current)})

    def _at_end(self, job: Job) -> dict[str, Any]:
        """Return what else changes when an attempt at a job of this collection ends."""
        return {}

    def _join_or_begin(
        self,
        job_id: str,
        begun: Callable[[Job | None], dict[str, Any]],
        joined: Callable[[Job], dict[str, Any]] = lambda _: {},
        follow: Callable[[Any], dict[str, Any]] = lambda _: {},
    ) -> Job:
        """Return the job, running: a new document, made by `begun`, or the running one.

        `joined` returns the changes to the latter. `follow` gets the transaction, and returns fields of a new
        document that follow other documents.
        """
        reference = self._collection.document(job_id)
        now = self._database.clock.now()
        written: dict[str, Any] = {}

        def join_or_begin(transaction: Any) -> None:
            nonlocal written
            snapshot = reference.get(transaction=transaction)
            job = self._read(snapshot) if snapshot.exists else None
            if job is None or may_begin_again(job, now):
                # Requests that need not wait for each other.
                new, followed = run_side_by_side(lambda: begun(job), lambda: follow(transaction))
                written = new | followed | _new_attempt(job, now)
                transaction.set(reference, written)
                return
            changes = joined(job)
            written = {**(snapshot.to_dict() or {}), **changes}
            if changes:
                transaction.update(reference, changes)

        self._database.transact(join_or_begin)
        return self._read(DocumentSnapshot(reference, written, True, None, None, None))

    def _update(self, job: Job, changes: dict[str, Any]) -> None:
        self._change(job, lambda _: changes)

    def _change(self, job: Job, change: Callable[[Job], dict[str, Any]]) -> None:
        """Apply changes to an attempt, unless it is over.

        `change` takes the job as it is, and may be called again if others change it meanwhile, or if it is
        not known whether the change was applied.
        """
        reference = self._collection.document(job.id)
        now = self._database.clock.now()

        def step(snapshot: Any) -> Step | None:
            current = self._read(snapshot) if snapshot.exists else None
            if current and current.attempt == job.attempt and current.state is JobState.RUNNING:
                return {**change(current), "touched": now}, ()
            return None

        self._database.advance(reference, step)


def pseudonym(requester: str) -> str:
    """Return what stands for a requester in a document, which need not name people or their addresses."""
    return hashlib.sha256(requester.encode()).hexdigest()[:32] if requester else ""


def of_requester(requester: str) -> FieldFilter | None:
    """Return the filter of the jobs of a requester; None if nobody is named."""
    return FieldFilter("requester", "==", pseudonym(requester)) if requester else None


def may_begin_again(job: Attempted, now: datetime) -> bool:
    """Return whether no execution works on a job any more."""
    return job.state is not JobState.RUNNING or job.touched < now - ABANDONED_AFTER


def _was_left(job: Attempted, before: datetime) -> bool:
    """Return whether who began an attempt before a moment could not start its execution, or was killed."""
    return not job.execution and job.touched < before


def _new_attempt(previous: Attempted | None, now: datetime) -> dict[str, Any]:
    return {
        "state": JobState.RUNNING.value,
        "attempt": previous.attempt + 1 if previous else 1,
        "execution": "",
        "code": "",
        "cause": "",
        "created": now,
        "touched": now,
        "expires": None,
        **kept_trace(),
    }
