"""The steps of a large copy, as the copy workflow calls them: plan, batches of parts, finish, or abort.

Each may run twice, at once, or die half-way: it goes on from what is there. What the steps share is the job's
document; a step of an attempt that is over does nothing, and cleans up behind itself. An error that stays is
noted at the job, so that whoever aborts it can say why.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from shared.catalog import CopyJob, CopyOrder, JobState
from shared.clock import Deadline
from shared.copying.blobs import create_whole, holds, prove, put_parts
from shared.copying.large import record_of
from shared.copying.plan import CopyPlan, Way, plan_copy
from shared.errors import (
    CopyTakesLonger,
    DssError,
    InvalidChecksum,
    NotFound,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    StoreError,
    Unavailable,
)
from shared.files import make_visible
from shared.stores.base import ObjectStore, StoredObject, Upload
from shared.system import Dss

# After this, a call begins no further part. What it has begun then has twice as long until Cloud Workflows
# gives the call up (1,800 seconds).
_STEP_SECONDS = 600

Result = dict[str, Any]


class CopyStep:
    """The steps of one attempt of a job; made anew for each call."""

    def __init__(self, dss: Dss, job_id: str, attempt: int) -> None:
        job = dss.catalog.jobs.get(job_id)
        if job is None:
            raise NotFound(f"job: there is no copy job {job_id[:80]!r}")
        self._dss = dss
        self._job = job
        self._attempt = attempt
        order = job.order
        self._source = StoredObject(
            **{name: value for name, value in asdict(order.source).items() if name != "replica"}
        )
        self._source_store: ObjectStore = dss.replicas.named(order.source.replica).store
        self._store: ObjectStore = dss.replicas.named(order.replica).store
        self._plan: CopyPlan = plan_copy(
            order.source.size,
            same_store=self._source_store is self._store,
            copies_in_parts=self._store.copies_in_parts,
        )

    def plan(self) -> Result:
        """Return how many batches there are to do: `{over, batches}`. Raises ObjectChanged."""
        with self._working() as over:
            if over:
                return {"over": True, "batches": 0}
            if self._is_there():
                return {"over": False, "batches": 0}
            self._check_source()
            if self._plan.way is Way.PARTS:
                self._find_or_begin_upload()
            return {"over": False, "batches": self._plan.batches}

    def batch(self, number: int) -> Result:
        """Copy what is missing of a batch, and return `{done}`: whether there is nothing left of it to do."""
        with self._working() as over:
            if over:
                return {"done": True}
            deadline = Deadline(self._dss.clock, _STEP_SECONDS)
            try:
                if self._plan.way is Way.STRETCHES:
                    return {"done": self._copy_stretches(deadline)}
                return {"done": self._copy_parts(number, deadline)}
            finally:
                self._leave_nothing_if_over()

    def finish(self) -> Result:
        """Make one object of it all, prove it, make the file visible; return the job's `{state}`."""
        with self._working() as over:
            if over:
                return {"state": self._reloaded().state.value}
            if not self._is_there():
                self._put_together()
                prove(self._store, self._order.bucket, self._order.key, **self._wanted())
            if self._job.upload_id:
                self._store.abort_upload(self._upload(self._job.upload_id))
            if self._order.file:
                make_visible(self._dss, record_of(self._order), self._order.replica)
            self._dss.catalog.jobs.end(self._job, JobState.SUCCEEDED)
            return {"state": self._reloaded().state.value}

    def abort(self, cause: str) -> Result:
        """End the attempt as failed, for the reason noted last or else for `cause`, and leave no parts."""
        if self._is_running():
            code = self._job.code or "copy_failed"
            self._dss.catalog.jobs.end(self._job, JobState.FAILED, code=code, cause=self._job.cause or cause)
        # Only now: what is still being copied by another step then sees that it is over, and cleans up too.
        there = self._reloaded()
        if there.state is not JobState.RUNNING and self._job.upload_id:
            self._store.abort_upload(self._upload(self._job.upload_id))
        return {"state": there.state.value}

    @property
    def _order(self) -> CopyOrder:
        return self._job.order

    def _wanted(self) -> dict[str, Any]:
        return {"size": self._source.size, "checksums": self._order.checksums}

    def _is_running(self) -> bool:
        return self._job.state is JobState.RUNNING and self._job.attempt == self._attempt

    def _reloaded(self) -> CopyJob:
        there = self._dss.catalog.jobs.get(self._job.id)
        return there or self._job

    @contextlib.contextmanager
    def _working(self) -> Iterator[bool]:
        """Say whether the attempt is over; note that it is being worked on, and what goes wrong with it."""
        over = not self._is_running()
        if not over:
            self._dss.catalog.jobs.touch(self._job)
        try:
            yield over
        except DssError as error:
            self._dss.catalog.jobs.note_error(self._job, error.code, error.title)
            raise

    def _is_there(self) -> bool:
        if not holds(self._store, self._order.bucket, self._order.key, **self._wanted()):
            return False
        if self._order.last_used is None:
            return True
        found = self._store.stat(self._order.bucket, self._order.key)
        # S3 tells whole seconds.
        return bool(found.last_used and found.last_used >= self._order.last_used.replace(microsecond=0))

    def _check_source(self) -> None:
        self._source.check(self._order.checksums)
        try:
            found = self._source_store.stat(self._source.bucket, self._source.key)
        except ObjectNotFound as error:
            raise ObjectChanged(f"{error.title}: it was deleted before it was copied") from error
        if found.revision != self._source.revision:
            raise ObjectChanged(f"{self._source.key}: it was replaced before it was copied")

    def _upload(self, upload_id: str) -> Upload:
        return Upload(
            bucket=self._order.bucket,
            key=self._order.key,
            size=self._source.size,
            content_type=self._source.content_type,
            id=upload_id,
            last_used=self._order.last_used,
        )

    def _find_or_begin_upload(self) -> None:
        if self._job.upload_id:
            try:
                self._store.parts(self._upload(self._job.upload_id))
            except ObjectNotFound:
                pass
            else:
                return
        begun = self._store.begin_upload(
            self._order.bucket,
            self._order.key,
            size=self._source.size,
            content_type=self._source.content_type,
            last_used=self._order.last_used,
        )
        if self._dss.catalog.jobs.replace_upload(self._job, begun.id) != begun.id:
            self._store.abort_upload(begun)

    def _copy_stretches(self, deadline: Deadline) -> bool:
        token = self._job.token
        while not deadline.passed:
            token = self._copy_stretch(token)
            self._dss.catalog.jobs.set_token(self._job, token)
            if not token:
                return True
        return False

    def _copy_stretch(self, token: str) -> str:
        def go_on(token: str) -> str:
            return self._store.copy_more(
                self._source,
                self._order.bucket,
                self._order.key,
                checksums=self._order.checksums,
                token=token,
                last_used=self._order.last_used,
            )

        try:
            return go_on(token)
        except StoreError as error:
            if not token or type(error) is not StoreError:
                raise
            # The token is of no use any more, for it has grown old, or another step has used it up.
            return go_on("")

    def _copy_parts(self, batch: int, deadline: Deadline) -> bool:
        upload = self._upload(self._job.upload_id)
        there = self._store.parts(upload)
        missing = [part for part in self._plan.parts(batch) if there.get(part.number) != part.size]
        try:
            put_parts(self._source, self._source_store, upload, self._store, missing, deadline=deadline)
        except CopyTakesLonger:
            return False
        return True

    def _copy_whole(self) -> None:
        deadline = Deadline(self._dss.clock, _STEP_SECONDS)
        bucket, key, checksums = self._order.bucket, self._order.key, self._order.checksums
        if self._source_store is self._store:
            self._store.copy(
                self._source,
                bucket,
                key,
                checksums=checksums,
                deadline=deadline,
                last_used=self._order.last_used,
            )
            return
        # The same step, run twice, may be faster; it is proved in either case.
        with contextlib.suppress(ObjectExists):
            create_whole(
                self._source,
                self._source_store,
                self._store,
                bucket,
                key,
                checksums=checksums,
                deadline=deadline,
            )

    def _leave_nothing_if_over(self) -> None:
        """Remove parts that arrived while somebody aborted the attempt."""
        there = self._reloaded()
        if self._job.upload_id and (there.state, there.attempt) != (JobState.RUNNING, self._attempt):
            with contextlib.suppress(Unavailable):
                self._store.abort_upload(self._upload(self._job.upload_id))

    def _put_together(self) -> None:
        if self._plan.way is Way.STRETCHES:
            raise StoreError(f"{self._order.key}: the copy has not come to its end")
        if self._plan.way is Way.WHOLE:
            self._copy_whole()
            return
        upload = self._upload(self._job.upload_id)
        try:
            self._store.finish_upload(upload, self._order.checksums)
        except (InvalidChecksum, ObjectExists, ObjectNotFound) as error:
            # The same step, run twice, may have finished it, and removed the parts under this one's feet.
            if self._is_there():
                return
            if isinstance(error, ObjectNotFound):
                # S3 takes its time to put large objects together: what was given up may still come to be.
                raise Unavailable(
                    f"{error.title}: the upload has ended, the object is not there yet"
                ) from error
            raise
