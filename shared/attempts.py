"""The steps of jobs that are worked on in attempts, as workflows call them; see `shared.catalog.attempts`.

Each step may run twice, at once, or die half-way: it continues from what exists. The steps of a job share its
document; a step of an attempt that is over does nothing. An error that stays is noted at the job, so that
`abort` can give the reason.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from shared.catalog import JobState
from shared.catalog.attempts import AttemptCatalog, Attempted
from shared.errors import NotFound
from shared.system import Dss

Job = TypeVar("Job", bound=Attempted)
Result = dict[str, Any]


class AttemptStep(Generic[Job]):
    """One call of a step of one attempt at a job; made for each call. Raises NotFound."""

    def __init__(self, dss: Dss, catalog: AttemptCatalog[Job], job_id: str, attempt: int) -> None:
        job = catalog.get(job_id)
        if job is None:
            raise NotFound(f"job: {job_id[:80]!r} does not exist")
        self._dss = dss
        self._catalog = catalog
        self._job = job
        self._attempt = attempt

    def _is_running(self) -> bool:
        return self._job.state is JobState.RUNNING and self._job.attempt == self._attempt

    def _reloaded(self) -> Job:
        return self._catalog.get(self._job.id) or self._job

    @contextmanager
    def _working(self) -> Iterator[bool]:
        """Yield whether the attempt is over; note that it is being worked on, and its errors."""
        over = not self._is_running()
        if not over:
            self._catalog.touch(self._job)
        with self._catalog.noting_errors(self._job):
            yield over
