"""The catalog of operators' runs: collection `admin_runs`, one document a run.

Runs that are split have further documents in `admin_run_shards`, which are worked on as runs are.

A run is worked on in slices, each of which advances its cursor and writes one part of its report. Only the
newest attempt at a run changes it; slices of an attempt that is over change nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from google.cloud.firestore import Query

from shared.catalog.attempts import KEPT_FOR, AttemptCatalog, JobState
from shared.catalog.database import Database
from shared.errors import Conflict, NotFound


@dataclass(frozen=True, kw_only=True)
class AdminRun:
    """A run, and its progress.

    `cursor` is where the next slice begins, in the terms of its job type; `over` is true after the last one.
    `parts` of its report are written. `counts` are sums over all slices, `result` is the run's result, and
    `cause` the reason why it failed.
    """

    id: str
    kind: str
    options: Mapping[str, Any]
    state: JobState = JobState.RUNNING
    attempt: int = 1
    execution: str = ""
    cursor: Mapping[str, Any] = field(default_factory=dict)
    over: bool = False
    parts: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    cause: str = ""
    created: datetime
    touched: datetime


# A run that has failed can be resumed for as long as it is kept.
_SHARDS_KEPT_FOR = 2 * KEPT_FOR
_FIELDS = tuple(name for name in AdminRun.__dataclass_fields__ if name not in ("id", "state"))


class _Runs(AttemptCatalog[AdminRun]):
    """Reads and writes of runs, or of their shards, which are `kept` for so long from their beginning."""

    def __init__(self, database: Database, collection: str, kept: timedelta | None) -> None:
        super().__init__(database, collection, _from_snapshot)
        self._kept = kept

    def begin(self, run_id: str, kind: str, options: Mapping[str, Any], execution: str) -> AdminRun:
        """Return a new run, or the one with this id. Safe to repeat."""
        now = self._database.clock.now()
        run = AdminRun(id=run_id, kind=kind, options=options, execution=execution, created=now, touched=now)
        document = {**_to_document(run), "expires": now + self._kept if self._kept else None}
        reference = self._collection.document(run_id)

        def create(transaction: Any) -> None:
            if not reference.get(transaction=transaction).exists:
                transaction.set(reference, document)

        self._database.transact(create)
        return self._found(run_id)

    def advance(self, run: AdminRun, changes: Mapping[str, Any]) -> AdminRun:
        """Note the outcome of a slice, once; return the run as it then is."""

        def apply(current: AdminRun) -> dict[str, Any]:
            return dict(changes) if current.parts == run.parts else {}

        self._change(run, apply)
        return self._found(run.id)

    def _found(self, run_id: str) -> AdminRun:
        run = self.get(run_id)
        if run is None:
            raise NotFound(f"run: {run_id[:80]!r} does not exist")
        return run


class RunCatalog(_Runs):
    """Reads and writes of runs."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "admin_runs", None)

    def resume(self, run_id: str, execution: str) -> AdminRun:
        """Return a run, running, with a new attempt for this execution. Safe to repeat.

        The next step of any other execution then fails. Raises NotFound, and Conflict if the run has
        succeeded.
        """
        reference = self._collection.document(run_id)
        now = self._database.clock.now()

        def take_over(transaction: Any) -> None:
            snapshot = reference.get(transaction=transaction)
            run = _from_snapshot(snapshot) if snapshot.exists else None
            if run is None or (run.state is JobState.RUNNING and run.execution == execution):
                return
            if run.state is JobState.SUCCEEDED:
                raise Conflict(f"run {run_id} has succeeded: it cannot be resumed")
            resumed = {"state": JobState.RUNNING.value, "cause": "", "touched": now, "expires": None}
            transaction.update(reference, {**resumed, "attempt": run.attempt + 1, "execution": execution})

        self._database.transact(take_over)
        return self._found(run_id)

    def newest(self, count: int) -> list[AdminRun]:
        """Return the `count` newest runs, the newest first."""
        query = self._collection.order_by("created", direction=Query.DESCENDING).limit(count)
        return [_from_snapshot(snapshot) for snapshot in self._database.query(query)]


class RunShardCatalog(_Runs):
    """Reads and writes of the shards of runs."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "admin_run_shards", _SHARDS_KEPT_FOR)


def _to_document(run: AdminRun) -> dict[str, Any]:
    document = {name: getattr(run, name) for name in _FIELDS}
    return {**document, "state": run.state.value, "code": "", "expires": None}


def _from_snapshot(snapshot: Any) -> AdminRun:
    document = snapshot.to_dict()
    return AdminRun(
        id=snapshot.id,
        state=JobState(document["state"]),
        **{name: document[name] for name in _FIELDS},
    )
