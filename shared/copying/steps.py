"""The steps of a large copy, as its workflow calls them: plan, verify, batches of parts, finish; or abort.

They are steps of an attempt, see `shared.attempts`. A step whose attempt ended meanwhile removes its parts.
"""

import contextlib
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import structlog

from shared.attempts import AttemptStep, Result
from shared.catalog import CopyJob, CopyOrder, JobState
from shared.checksums import ResumableCalculator, part_count
from shared.clock import Deadline
from shared.copying.blobs import create_whole, hand_on, holds, is_proved, is_vouched_for, prove, put_parts
from shared.copying.large import record_of
from shared.copying.plan import CopyPlan, Way, all_parts, plan_copy
from shared.copying.relays import relaying
from shared.copying.verification import read_verified, verify_part
from shared.errors import (
    CheckoutFailed,
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
from shared.replicas import Replica
from shared.stores.base import CopiesStretches, ObjectStore, StoredObject, Upload
from shared.system import Dss
from shared.visibility import make_visible

_log = structlog.get_logger()

# After this, a call begins no further part. Parts in work then have twice as long until Cloud Workflows gives
# up the call (1,800 seconds).
_STEP_SECONDS = 600
# Seconds in which the part that is being read at that time has to be complete, and relayed.
_READ_SECONDS = 1200


Check = Callable[[Dss, CopyOrder], None]


def _any_copy_stays(_: Dss, __: CopyOrder) -> None:
    pass


class CopyStep(AttemptStep[CopyJob]):
    """The steps of one attempt at a copy.

    `check` is called once there is a copy. It removes the copy, and raises CheckoutFailed or NotFound, if it
    may not be where it is any more.
    """

    def __init__(self, dss: Dss, job_id: str, attempt: int, check: Check = _any_copy_stays) -> None:
        super().__init__(dss, dss.catalog.jobs, job_id, attempt)
        self._check = check
        order = self._order
        self._source = StoredObject(
            **{name: value for name, value in asdict(order.source).items() if name != "replica"}
        )
        self._source_store: ObjectStore = dss.replicas.named(order.source.replica).store
        self._store: ObjectStore = dss.replicas.named(order.replica).store
        self._plan: CopyPlan = plan_copy(
            order.source.size,
            in_stretches=self._source_store is self._store and isinstance(self._store, CopiesStretches),
        )

    def plan(self) -> Result:
        """Return what is to be done: `{over, verify, batches}`. Raises ObjectChanged."""
        with self._working() as over:
            if over:
                return {"over": True, "verify": False, "batches": 0}
            copied = self._is_copied()
            verify = self._is_unverified(copied)
            if verify or not copied:
                self._check_source()
            if not copied and self._plan.way is Way.PARTS:
                self._find_or_begin_upload()
            return {"over": False, "verify": verify, "batches": 0 if copied else self._plan.batches}

    def verify(self) -> Result:
        """Compute checksums of the source, and return `{done}`: whether all of it was read and is right.

        Sends what it reads to the other replicas. Raises InvalidChecksum.
        """
        with self._working() as over:
            if over or not self._is_unverified(self._is_copied()):
                return {"done": True}
            try:
                done = self._verify()
                self._dss.faults.reach("copy: source hashed")
                return {"done": done}
            except CopyTakesLonger as error:
                raise Unavailable(error.title) from error
            finally:
                self._leave_nothing_if_over()

    def batch(self, number: int) -> Result:
        """Copy the missing parts of a batch, and return `{done}`: whether all of them are copied."""
        with self._working() as over:
            if over:
                return {"done": True}
            self._require_verified(copied=False)
            deadline = Deadline(self._dss.clock, _STEP_SECONDS)
            try:
                if self._plan.way is Way.STRETCHES:
                    return {"done": self._copy_stretches(deadline)}
                return {"done": self._copy_parts(number, deadline)}
            finally:
                self._leave_nothing_if_over()

    def finish(self) -> Result:
        """Make one object of the parts, prove it, make the file visible; return the job's `{state}`."""
        with self._working() as over:
            if over:
                return {"state": self._reloaded().state.value}
            copied = self._is_copied()
            self._require_verified(copied=copied)
            if not copied:
                self._put_together()
                prove(self._store, self._order.bucket, self._order.key, **self._claims())
            self._check(self._dss, self._order)
            self._dss.faults.reach("copy: blob proved")
            if self._job.upload_id:
                self._store.abort_upload(self._upload(self._job.upload_id))
            self._finish_relays()
            self._dss.faults.reach("copy: relays finished")
            if self._order.file:
                make_visible(self._dss, record_of(self._order), self._order.replica)
            self._dss.catalog.jobs.end(self._job, JobState.SUCCEEDED)
            return {"state": self._reloaded().state.value}

    def abort(self, cause: str) -> Result:
        """End the attempt as failed, with the last noted error or else with `cause`, and leave no parts."""
        if self._is_running():
            code = self._job.code or "copy_failed"
            self._dss.catalog.jobs.end(self._job, JobState.FAILED, code=code, cause=self._job.cause or cause)
        # Only now: a step that is still copying parts then sees that the attempt is over, and removes them.
        job = self._reloaded()
        if job.state is not JobState.RUNNING:
            self._abort_uploads(job)
            self._remove_unshared()
        return {"state": job.state.value}

    @property
    def _order(self) -> CopyOrder:
        return self._job.order

    def _claims(self) -> dict[str, Any]:
        return {"size": self._source.size, "checksums": self._order.checksums}

    def _is_copied(self) -> bool:
        if not holds(self._store, self._order.bucket, self._order.key, **self._claims()):
            return False
        if self._order.last_used is None:
            return True
        found = self._store.stat(self._order.bucket, self._order.key)
        # S3 has whole seconds.
        return bool(found.last_used and found.last_used >= self._order.last_used.replace(microsecond=0))

    def _check_source(self) -> None:
        self._source.check(self._order.checksums)
        try:
            found = self._source_store.stat(self._source.bucket, self._source.key)
        except ObjectNotFound as error:
            raise ObjectChanged(f"{error.title}: it was deleted before it was copied") from error
        if found.revision != self._source.revision:
            raise ObjectChanged(f"{self._source.key}: it was replaced before it was copied")

    def _upload(self, upload_id: str, bucket: str = "") -> Upload:
        return Upload(
            bucket=bucket or self._order.bucket,
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
        store = self._store
        assert isinstance(store, CopiesStretches)  # as planned

        def go_on(token: str) -> str:
            return store.copy_more(
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
            # The token has expired, or another step has used it: begin again.
            return go_on("")

    def _copy_parts(self, batch: int, deadline: Deadline) -> bool:
        upload = self._upload(self._job.upload_id)
        present = self._store.parts(upload)
        missing = [part for part in self._plan.parts(batch) if present.get(part.number) != part.size]
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
        # Another run of this step may be faster; the object is proved in either case.
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
        """Remove parts that were copied while another step aborted the attempt."""
        job = self._reloaded()
        if (job.state, job.attempt) != (JobState.RUNNING, self._attempt):
            with contextlib.suppress(Unavailable):
                self._abort_uploads(self._job)
                self._remove_unshared()

    def _remove_unshared(self) -> None:
        """Remove a copy that was completed, but may not be in the shared checkout bucket any more."""
        with contextlib.suppress(CheckoutFailed, NotFound):
            self._check(self._dss, self._order)

    def _abort_uploads(self, job: CopyJob) -> None:
        if job.upload_id:
            self._store.abort_upload(self._upload(job.upload_id))
        for name, upload_id in job.relays.items():
            replica = self._dss.replicas.named(name)
            with contextlib.suppress(DssError):
                # The sweep aborts it later.
                replica.store.abort_upload(self._upload(upload_id, replica.bucket))

    def _is_unverified(self, copied: bool) -> bool:
        """Return whether the source has to be read: nobody has computed the checksums of its bytes.

        They were computed for a blob that exists, so it is enough if the source's store says that it is this.
        """
        if not self._order.verify or self._job.verified:
            return False
        return not (copied and is_vouched_for(self._source, self._order.checksums))

    def _require_verified(self, *, copied: bool) -> None:
        if self._is_unverified(copied):
            raise StoreError(f"{self._order.key}: the source is not verified")

    def _verify(self) -> bool:
        deadline, patience = (
            Deadline(self._dss.clock, seconds) for seconds in (_STEP_SECONDS, _READ_SECONDS)
        )
        if part_count(self._source.size) == 1:
            self._verify_whole(patience)
            self._dss.catalog.jobs.note_hashed(self._job, "", verified=True)
            return True
        if not self._job.hashed and not self._job.relays:
            self._begin_relays()
        calculator = ResumableCalculator(self._job.hashed)
        parts = all_parts(self._source.size)[calculator.parts :]
        with relaying(*self._relays()) as relays:
            for part in parts:
                verify_part(calculator, self._source, self._source_store, part, relays, patience)
                if deadline.passed:
                    break
        done = calculator.parts == part_count(self._source.size)
        if done:
            self._order.checksums.check_computed(calculator.result())
        self._dss.catalog.jobs.note_hashed(self._job, calculator.state(), verified=done)
        return done

    def _verify_whole(self, deadline: Deadline) -> None:
        checksums = self._order.checksums
        data = read_verified(self._source, self._source_store, checksums, deadline)
        for replica in self._lacking_replicas():
            hand_on(replica, self._source.content_type, data, checksums)

    def _lacking_replicas(self) -> list[Replica]:
        """Return the replicas to which the content has to be sent; those of one store copy it themselves."""
        lacking = []
        for replica in self._dss.replicas:
            if replica.store is not self._source_store:
                with contextlib.suppress(DssError):
                    try:
                        replica.store.stat(replica.bucket, self._order.key)
                    except ObjectNotFound:
                        lacking.append(replica)
        return lacking

    def _begin_relays(self) -> None:
        """Begin an upload to each replica that lacks the content and answers."""
        begun = {}
        for replica in self._lacking_replicas():
            with contextlib.suppress(DssError):
                begun[replica.name] = self._begin_relay(replica).id
        chosen = self._dss.catalog.jobs.add_relays(self._job, begun)
        for name in begun.keys() - {name for name in chosen if chosen[name] == begun.get(name)}:
            replica = self._dss.replicas.named(name)
            with contextlib.suppress(DssError):
                replica.store.abort_upload(self._upload(begun[name], replica.bucket))
        self._job = replace(self._job, relays=chosen)

    def _relays(self) -> list[tuple[ObjectStore, Upload]]:
        uploads = [
            (self._dss.replicas.named(name), upload_id) for name, upload_id in self._job.relays.items()
        ]
        return [(replica.store, self._upload(upload_id, replica.bucket)) for replica, upload_id in uploads]

    def _begin_relay(self, replica: Replica) -> Upload:
        return replica.store.begin_upload(
            replica.bucket,
            self._order.key,
            size=self._source.size,
            content_type=self._source.content_type,
        )

    def _finish_relays(self) -> None:
        """Make blobs of what was sent to other replicas; what fails is left to replication."""
        deadline = Deadline(self._dss.clock, _STEP_SECONDS)
        for store, upload in self._relays():
            try:
                if is_proved(store, upload.bucket, upload.key, **self._claims()):
                    store.abort_upload(upload)
                    continue
                present = store.parts(upload)
                missing = [part for part in all_parts(upload.size) if present.get(part.number) != part.size]
                put_parts(self._source, self._source_store, upload, store, missing, deadline=deadline)
                store.finish_upload(upload, self._order.checksums)
            except DssError as error:
                _log.warning("blob not relayed", key=upload.key, bucket=upload.bucket, reason=error.title)
                with contextlib.suppress(DssError):
                    store.abort_upload(upload)

    def _put_together(self) -> None:
        if self._plan.way is Way.STRETCHES:
            raise StoreError(f"{self._order.key}: the copy is not finished")
        if self._plan.way is Way.WHOLE:
            self._copy_whole()
            return
        upload = self._upload(self._job.upload_id)
        try:
            self._store.finish_upload(upload, self._order.checksums)
        except (InvalidChecksum, ObjectExists, ObjectNotFound) as error:
            # Another run of this step may have finished it, and removed the parts.
            if self._is_copied():
                return
            if isinstance(error, ObjectNotFound):
                # S3 may still be putting a large object together after a request that timed out.
                raise Unavailable(
                    f"{error.title}: the upload has ended, the object is not there yet"
                ) from error
            raise
