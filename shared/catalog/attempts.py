"""Jobs that are worked on in attempts: one document a job in the catalog, which all of its steps share.

A job's id follows from what is asked for, so that whoever asks for the same again joins it. A job that has
failed, or that nobody has worked on for long, may begin anew: another attempt. Steps of an attempt that is
over change nothing any more.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from google.cloud.firestore import FieldFilter

from shared.catalog.database import Database

# A step takes half an hour at most (see workflows/), and says at its beginning that it is at work.
_ABANDONED_AFTER = timedelta(hours=1)
_NOTED_EVERY = timedelta(minutes=1)
# How long one can ask what became of a job. Firestore then removes the document by itself.
KEPT_FOR = timedelta(days=30)


class JobState(StrEnum):
    """What a job has come to; the words of the v1 contract."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class Attempted(Protocol):
    """A job, as far as attempts are concerned."""

    @property
    def id(self) -> str:
        """The name of its document."""
        ...

    @property
    def state(self) -> JobState:
        """What the latest attempt has come to."""
        ...

    @property
    def attempt(self) -> int:
        """The number of the latest attempt, from 1."""
        ...

    @property
    def touched(self) -> datetime:
        """When somebody worked on it last."""
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
        """Return those of the jobs that are there, one read each."""
        found = self._database.get_many([self._collection.document(job_id) for job_id in job_ids])
        return {snapshot.id: self._read(snapshot) for snapshot in found}

    def abandoned(self) -> list[Job]:
        """Return the running jobs that nobody has worked on for long."""
        running = self._database.query(
            self._collection.where(filter=FieldFilter("state", "==", JobState.RUNNING.value))
        )
        now = self._database.clock.now()
        return [job for job in map(self._read, running) if may_begin_anew(job, now)]

    def started(self, job: Job, execution: str) -> None:
        """Note who works on an attempt."""
        self._update(job, {"execution": execution})

    def touch(self, job: Job) -> None:
        """Note that an attempt is being worked on, unless that was noted just now.

        Steps that begin side by side would only wait for each other's transactions.
        """
        if self._database.clock.now() - job.touched >= _NOTED_EVERY:
            self._update(job, {})

    def note_error(self, job: Job, code: str, cause: str) -> None:
        """Note what went wrong last; whether that is the end is for others to say."""
        self._update(job, {"code": code, "cause": cause[:1000]})

    def end(self, job: Job, state: JobState, *, code: str = "", cause: str = "") -> None:
        """End an attempt; one that has ended stays as it is."""
        now = self._database.clock.now()
        ended = {"state": state.value, "code": code, "cause": cause[:1000], "expires": now + KEPT_FOR}
        self._update(job, ended)

    def _join_or_begin(
        self,
        job_id: str,
        begun: Callable[[Job | None], dict[str, Any]],
        joined: Callable[[Job], dict[str, Any]] = lambda _: {},
    ) -> Job:
        """Return the job, running: a new document that `begun` makes, or the one that is at it.

        `joined` says what changes of the latter.
        """
        reference = self._collection.document(job_id)
        now = self._database.clock.now()

        def join_or_begin(transaction: Any) -> None:
            snapshot = reference.get(transaction=transaction)
            there = self._read(snapshot) if snapshot.exists else None
            if there is None or may_begin_anew(there, now):
                transaction.set(reference, begun(there) | _new_attempt(there, now))
            elif changes := joined(there):
                transaction.update(reference, changes)

        self._database.transact(join_or_begin)
        return self._read(self._database.get(reference))

    def _update(self, job: Job, changes: dict[str, Any]) -> None:
        self._change(job, lambda _: changes)

    def _change(self, job: Job, change: Callable[[Job], dict[str, Any]]) -> None:
        """Apply changes to a running attempt; to one that is over, none."""
        reference = self._collection.document(job.id)
        now = self._database.clock.now()

        def apply(transaction: Any) -> None:
            snapshot = reference.get(transaction=transaction)
            there = self._read(snapshot) if snapshot.exists else None
            if there and there.attempt == job.attempt and there.state is JobState.RUNNING:
                transaction.update(reference, {**change(there), "touched": now})

        self._database.transact(apply)


def may_begin_anew(job: Attempted, now: datetime) -> bool:
    """Tell whether nobody works on a job any more."""
    return job.state is not JobState.RUNNING or job.touched < now - _ABANDONED_AFTER


def _new_attempt(there: Attempted | None, now: datetime) -> dict[str, Any]:
    return {
        "state": JobState.RUNNING.value,
        "attempt": there.attempt + 1 if there else 1,
        "execution": "",
        "code": "",
        "cause": "",
        "created": now,
        "touched": now,
        "expires": None,
    }
