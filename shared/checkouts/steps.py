"""The steps of a checkout, as the checkout workflow calls them: plan, pages, wait, finish or abort; mail.

Each may run twice, at once, or die half-way: it goes on from what is there. What the steps share is the job's
document; a step of an attempt that is over does nothing. An error that stays is noted at the job, so that
whoever aborts it can say why.
"""

import contextlib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import takewhile
from typing import Any

from shared.catalog import CheckoutJob, CopyJob, JobState, PageProgress
from shared.checkouts.mails import send_result_mails
from shared.checkouts.objects import Content, Wanted, look, put_copy
from shared.clock import Deadline
from shared.errors import (
    AccessDenied,
    CheckoutFailed,
    DssError,
    NotFound,
    ObjectNotFound,
    StoreError,
    Unavailable,
)
from shared.parallel import map_in_threads
from shared.stores.base import bucket_url
from shared.system import Dss

# After this, a call begins no further file. What it has begun then has time until Cloud Workflows gives the
# call up (1,800 seconds).
_STEP_SECONDS = 300
# Seconds between two notes of how far a page has come.
_NOTE_SECONDS = 5
_THREADS = 16
# A copy of a large file that nobody works on is resumed by the sweep after an hour; not so for ever.
_COPY_ABANDONED_AFTER = timedelta(hours=3)

Result = dict[str, Any]


class CheckoutStep:
    """The steps of one attempt of a job; made anew for each call."""

    def __init__(self, dss: Dss, job_id: str, attempt: int) -> None:
        job = dss.catalog.checkouts.get(job_id)
        if job is None:
            raise NotFound(f"job: there is no checkout {job_id[:80]!r}")
        self._dss = dss
        self._job = job
        self._attempt = attempt
        self._replica = dss.replicas.named(job.order.replica)

    def plan(self) -> Result:
        """Return how many pages there are to do: `{over, pages}`. Raises NotFound, CheckoutFailed."""
        with self._working() as over:
            if over:
                return {"over": True, "pages": 0}
            content = Content(self._dss, self._job.order)
            self._check_destination()
            size = sum(wanted.size for page in range(content.pages) for wanted in content.page(page))
            self._dss.catalog.checkouts.plan(
                self._job,
                files=content.files,
                total_bytes=size,
                pages=content.pages,
                location=content.location,
            )
            return {"over": False, "pages": content.pages}

    def page(self, number: int) -> Result:
        """Copy what is missing of a page, and return `{done}`: whether nothing is left of it to begin."""
        with self._working() as over:
            if over:
                return {"done": True}
            page = Content(self._dss, self._job.order).page(number)
            progress = self._dss.catalog.checkouts.progress(self._job, number)
            with self._explained():
                progress = self._copy(number, page, progress)
                self._dss.faults.reach("checkout: page copied")
                if progress.position < len(page):
                    return {"done": False}
                self._prove(number, page, progress)
            return {"done": True}

    def wait(self) -> Result:
        """Look after the copies of large files, and return `{done}`: whether all of them are there.

        Raises CheckoutFailed where one of them has failed.
        """
        with self._working() as over:
            if over:
                return {"done": True}
            content = Content(self._dss, self._job.order)
            done = True
            for number, progress in self._dss.catalog.checkouts.all_progress(self._job).items():
                if progress.waiting:
                    left = self._arrived(content.page(number), progress)
                    self._dss.catalog.checkouts.note_progress(self._job, number, left)
                    done = done and not left.waiting
            return {"done": done}

    def finish(self) -> Result:
        """End the attempt as succeeded; return the job's `{state}`. Raises NotFound for what is hidden."""
        with self._working() as over:
            if not over:
                Content(self._dss, self._job.order)
                self._dss.catalog.checkouts.end(self._job, JobState.SUCCEEDED)
            return {"state": self._reloaded().state.value}

    def abort(self, cause: str) -> Result:
        """End the attempt as failed, for the reason noted last or else for `cause`; what is there stays."""
        if self._is_running():
            code = self._job.code or "checkout_error"
            self._dss.catalog.checkouts.end(
                self._job, JobState.FAILED, code=code, cause=self._job.cause or cause
            )
        return {"state": self._reloaded().state.value}

    def mail(self) -> Result:
        """Tell those who asked for it how the attempt ended, and return how many: `{told}`."""
        return {"told": send_result_mails(self._dss, self._job) if self._job.attempt == self._attempt else 0}

    def _is_running(self) -> bool:
        return self._job.state is JobState.RUNNING and self._job.attempt == self._attempt

    def _reloaded(self) -> CheckoutJob:
        return self._dss.catalog.checkouts.get(self._job.id) or self._job

    @contextlib.contextmanager
    def _working(self) -> Iterator[bool]:
        """Say whether the attempt is over; note that it is being worked on, and what goes wrong with it."""
        over = not self._is_running()
        if not over:
            self._dss.catalog.checkouts.touch(self._job)
        try:
            yield over
        except DssError as error:
            self._dss.catalog.checkouts.note_error(self._job, error.code, error.title)
            raise

    @property
    def _destination(self) -> str:
        return bucket_url(self._replica.store, self._job.order.bucket, "").rstrip("/")

    def _check_destination(self) -> None:
        try:
            self._replica.store.check_bucket(self._job.order.bucket)
        except ObjectNotFound as error:
            raise CheckoutFailed(f"destination {self._destination}: no such bucket") from error
        except AccessDenied as error:
            raise CheckoutFailed(
                f"destination {self._destination}: this system has no access to it"
            ) from error

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Say what is wrong with the destination, where a copy fails for that and not for its source."""
        try:
            yield
        except StoreError as error:
            self._check_destination()
            if isinstance(error, AccessDenied):
                raise CheckoutFailed(
                    f"destination {self._destination}: this system may not write to it"
                ) from error
            raise

    def _copy(self, number: int, page: list[Wanted], progress: PageProgress) -> PageProgress:
        """Copy the files of a page that have not been dealt with, and note how far that has come."""
        catalog = self._dss.catalog.checkouts
        deadline = Deadline(self._dss.clock, _STEP_SECONDS)
        noted = Deadline(self._dss.clock, _NOTE_SECONDS)
        todo = page[progress.position :]
        there = look(todo)
        jobs = map_in_threads(
            lambda wanted: put_copy(self._dss, wanted, there.get(wanted.key)),
            takewhile(lambda _: not deadline.passed, todo),
            threads=_THREADS,
        )
        try:
            for job_id in jobs:
                progress = _advanced(progress, page[progress.position], job_id)
                if noted.passed:
                    catalog.note_progress(self._job, number, progress)
                    noted = Deadline(self._dss.clock, _NOTE_SECONDS)
        finally:
            catalog.note_progress(self._job, number, progress)
        return progress

    def _prove(self, number: int, page: list[Wanted], progress: PageProgress) -> None:
        """Return if all copies of a page are there and right, but for those on their way.

        Raises Unavailable where one is not; the step then begins with the page anew.
        """
        there = look(page)
        waiting = set(progress.waiting.values())
        for index, wanted in enumerate(page):
            found = there.get(wanted.key)
            if index not in waiting and not (found and wanted.proves_right(found)):
                self._dss.catalog.checkouts.note_progress(self._job, number, PageProgress())
                raise Unavailable(f"{wanted.url}: it was copied, and is not there as it should be")

    def _arrived(self, page: list[Wanted], progress: PageProgress) -> PageProgress:
        """Return how far a page has come, now that some of its large files may have arrived."""
        jobs = self._dss.catalog.jobs.get_many(progress.waiting)
        arrived = [index for job_id, index in progress.waiting.items() if self._has_arrived(jobs, job_id)]
        return PageProgress(
            position=progress.position,
            files=progress.files + len(arrived),
            bytes=progress.bytes + sum(page[index].size for index in arrived),
            waiting={name: index for name, index in progress.waiting.items() if index not in arrived},
        )

    def _has_arrived(self, jobs: Mapping[str, CopyJob], job_id: str) -> bool:
        job = jobs.get(job_id)
        if job is None:
            raise CheckoutFailed(f"the copy {job_id} of a large file has been forgotten")
        if job.state is JobState.FAILED:
            raise CheckoutFailed(f"{job.order.key} could not be copied: {job.cause}")
        if job.state is JobState.RUNNING and job.touched < self._dss.clock.now() - _COPY_ABANDONED_AFTER:
            raise CheckoutFailed(f"{job.order.key} could not be copied: nobody works on it")
        return job.state is JobState.SUCCEEDED


def _advanced(progress: PageProgress, wanted: Wanted, job_id: str | None) -> PageProgress:
    if job_id:
        return PageProgress(
            position=progress.position + 1,
            files=progress.files,
            bytes=progress.bytes,
            waiting={**progress.waiting, job_id: progress.position},
        )
    return PageProgress(
        position=progress.position + 1,
        files=progress.files + 1,
        bytes=progress.bytes + wanted.size,
        waiting=progress.waiting,
    )
