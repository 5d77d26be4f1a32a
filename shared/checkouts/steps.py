"""The steps of a checkout, as the checkout workflow calls them: plan, pages, wait, finish or abort; mail.

They are steps of an attempt, see `shared.attempts`.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import takewhile

from shared.attempts import AttemptStep, Result
from shared.catalog import CheckoutJob, CopyJob, JobState, PageProgress
from shared.checkouts.mails import send_result_mails
from shared.checkouts.objects import CheckoutContent, CheckoutCopy, find_copies, put_copy
from shared.checkouts.sharing import present_content
from shared.clock import Deadline
from shared.errors import (
    AccessDenied,
    CheckoutFailed,
    NotFound,
    ObjectNotFound,
    StoreError,
    Unavailable,
)
from shared.parallel import map_in_threads, run_side_by_side
from shared.stores.base import bucket_url
from shared.system import Dss

# After this, a call begins no further file. Files in work then have time until Cloud Workflows gives up the
# call (1,800 seconds).
_STEP_SECONDS = 300
# Seconds between two notes of the progress of a page.
_NOTE_SECONDS = 5
_THREADS = 64
# The sweep resumes an abandoned copy of a large file after an hour; a checkout does not wait for it for ever.
_COPY_ABANDONED_AFTER = timedelta(hours=3)


class CheckoutStep(AttemptStep[CheckoutJob]):
    """The steps of one attempt at a checkout."""

    def __init__(self, dss: Dss, job_id: str, attempt: int) -> None:
        super().__init__(dss, dss.catalog.checkouts, job_id, attempt)
        self._replica = dss.replicas.named(self._job.order.replica)

    def plan(self) -> Result:
        """Return the number of pages to copy: `{over, pages}`. Raises NotFound, CheckoutFailed.

        A single page is copied at once, and the attempt ends, if all of it could be copied: then `pages` is
        0, and the result has the job's `state`.
        """
        with self._working() as over:
            if over:
                return {"over": True, "pages": 0}
            content = self._content()
            if content.pages == 1:
                # The steps of a workflow take longer than the copies of a few files.
                return self._check_out_at_once(content)
            self._check_destination()
            self._note_plan(
                content, sum(copy.size for page in range(content.pages) for copy in content.page(page))
            )
            return {"over": False, "pages": content.pages}

    def _check_out_at_once(self, content: CheckoutContent) -> Result:
        page = content.page(0)
        progress, _ = run_side_by_side(
            lambda: self._copy_page(0, page, PageProgress()),
            lambda: self._note_plan(content, sum(copy.size for copy in page)),
        )
        if progress.files < len(page):
            return {"over": False, "pages": 1}
        self._dss.catalog.checkouts.end(self._job, JobState.SUCCEEDED)
        return {"over": False, "pages": 0, "state": self._reloaded().state.value}

    def _note_plan(self, content: CheckoutContent, size: int) -> None:
        self._dss.catalog.checkouts.plan(
            self._job, files=content.files, total_bytes=size, pages=content.pages, location=content.location
        )

    def page(self, number: int) -> Result:
        """Copy the missing files of a page, and return `{done}`: whether all of them are copied or begun."""
        with self._working() as over:
            if over:
                return {"done": True}
            page = self._content().page(number)
            progress = self._dss.catalog.checkouts.progress(self._job, number)
            return {"done": self._copy_page(number, page, progress).position == len(page)}

    def wait(self) -> Result:
        """Check the copies of large files, and return `{done}`: whether all have arrived.

        Raises CheckoutFailed if one of them has failed.
        """
        with self._working() as over:
            if over:
                return {"done": True}
            content = self._content()
            done = True
            for number, progress in self._dss.catalog.checkouts.all_progress(self._job).items():
                if progress.waiting:
                    left = self._arrived(content.page(number), progress)
                    self._dss.catalog.checkouts.note_progress(self._job, number, left)
                    done = done and not left.waiting
            return {"done": done}

    def finish(self) -> Result:
        """End the attempt as succeeded; return the job's `{state}`. Raises NotFound if it is hidden."""
        with self._working() as over:
            if not over:
                self._content()
                self._dss.catalog.checkouts.end(self._job, JobState.SUCCEEDED)
            return {"state": self._reloaded().state.value}

    def abort(self, cause: str) -> Result:
        """End the attempt as failed, with the last noted error or else with `cause`.

        Existing copies stay, but for those that may not be in the shared bucket.
        """
        if self._is_running():
            code = self._job.code or "checkout_error"
            self._dss.catalog.checkouts.end(
                self._job, JobState.FAILED, code=code, cause=self._job.cause or cause
            )
        # A step that was killed has not looked at what it had copied.
        with contextlib.suppress(CheckoutFailed, NotFound):
            self._content()
        return {"state": self._reloaded().state.value}

    def mail(self) -> Result:
        """Send the mails about the attempt that has ended, and return their number: `{sent}`."""
        return {"sent": send_result_mails(self._dss, self._job) if self._job.attempt == self._attempt else 0}

    def _content(self, page: Sequence[CheckoutCopy] = ()) -> CheckoutContent:
        """Return what to copy. Raise NotFound or CheckoutFailed; the shared bucket then has no copies."""
        keys = [copy.key for copy in page]
        return present_content(self._dss, self._job.order, self._job.asked, keys=keys)

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
        """Raise CheckoutFailed with the reason if a copy fails because of its destination."""
        try:
            yield
        except StoreError as error:
            self._check_destination()
            if isinstance(error, AccessDenied):
                raise CheckoutFailed(
                    f"destination {self._destination}: this system has no permission to write to it"
                ) from error
            raise

    def _copy_page(self, number: int, page: list[CheckoutCopy], progress: PageProgress) -> PageProgress:
        """Copy the missing files of a page and, if none is left, prove the copies; return the progress."""
        with self._explained():
            progress = self._copy_what_stays(number, page, progress)
            self._dss.faults.reach("checkout: page copied")
            if progress.position == len(page):
                self._prove(number, page, progress)
        return progress

    def _copy_what_stays(self, number: int, page: list[CheckoutCopy], before: PageProgress) -> PageProgress:
        """Copy the missing files of a page, note the progress, and return it.

        Raises CheckoutFailed or NotFound if the content may not be copied any more.
        """
        catalog = self._dss.catalog.checkouts
        noted = Deadline(self._dss.clock, _NOTE_SECONDS)
        progress = before
        try:
            for progress in self._copy(page, before):
                if noted.passed:
                    catalog.note_progress(self._job, number, progress)
                    noted = Deadline(self._dss.clock, _NOTE_SECONDS)
        finally:
            # Who has bound it meanwhile may have removed the copies before these were made.
            run_side_by_side(
                lambda: self._content(page), lambda: catalog.note_progress(self._job, number, progress)
            )
        return progress

    def _copy(self, page: list[CheckoutCopy], progress: PageProgress) -> Iterator[PageProgress]:
        """Copy the files of a page from its progress on; yield the new progress after each."""
        deadline = Deadline(self._dss.clock, _STEP_SECONDS)
        todo = page[progress.position :]
        present = find_copies(todo)
        jobs = map_in_threads(
            lambda copy: put_copy(self._dss, copy, present.get(copy.key)),
            takewhile(lambda _: not deadline.passed, todo),
            threads=_THREADS,
        )
        for job_id in jobs:
            progress = _advanced(progress, page[progress.position], job_id)
            yield progress

    def _prove(self, number: int, page: list[CheckoutCopy], progress: PageProgress) -> None:
        """Return if all copies of a page exist and are proved, except those that a job is making.

        Raises Unavailable if one is not; the next step then begins with the first file of the page.
        """
        present = find_copies(page)
        waiting = set(progress.waiting.values())
        for index, copy in enumerate(page):
            found = present.get(copy.key)
            if index not in waiting and not (found and copy.is_proved_by(found)):
                self._dss.catalog.checkouts.note_progress(self._job, number, PageProgress())
                raise Unavailable(f"{copy.url}: it was copied, and is now missing or damaged")

    def _arrived(self, page: list[CheckoutCopy], progress: PageProgress) -> PageProgress:
        """Return the progress of a page, with the large files that have arrived since."""
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
            raise CheckoutFailed(f"the job {job_id}, which copies a large file, does not exist")
        if job.state is JobState.FAILED:
            raise CheckoutFailed(f"{job.order.key} could not be copied: {job.cause}")
        if job.state is JobState.RUNNING and job.touched < self._dss.clock.now() - _COPY_ABANDONED_AFTER:
            raise CheckoutFailed(f"{job.order.key} could not be copied: its job makes no progress")
        return job.state is JobState.SUCCEEDED


def _advanced(progress: PageProgress, copy: CheckoutCopy, job_id: str | None) -> PageProgress:
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
        bytes=progress.bytes + copy.size,
        waiting=progress.waiting,
    )
