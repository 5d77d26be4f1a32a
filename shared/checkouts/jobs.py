"""Checkout jobs: ordered here, done by the checkout workflow (`shared.checkouts.steps`)."""

from typing import Any

from shared.catalog import CheckoutJob, CheckoutOrder, JobState
from shared.errors import NotFound
from shared.system import Dss
from shared.workflows import CHECKOUT

# After so many abandoned executions a job ends as failed.
_MOST_RESUMED = 5


def request_checkout(
    dss: Dss,
    order: CheckoutOrder,
    email: str | None = None,
    *,
    requester: str = "",
    readers: frozenset[str] = frozenset(),
) -> CheckoutJob:
    """Return the job of an order, running and durable: a new one, or the running one.

    Safe to repeat; a job that has ended begins again, and keeps the existing copies. Raises Unavailable, and
    TooManyUnderWay if DSS_CHECKOUTS_AT_ONCE are running, or DSS_CHECKOUTS_PER_CLIENT that `requester` (an
    e-mail or an address; empty for the system itself) has begun: callers need not sign in. `readers` are
    those who may read what is checked out, as the request was checked; none if it is unbound.
    """
    job = dss.catalog.checkouts.begin(
        order,
        email,
        readers=readers,
        at_most=dss.settings.checkouts_at_once,
        requester=requester,
        at_most_each=dss.settings.checkouts_per_client,
    )
    if not job.execution:
        # A kill between these lines, or two callers at once, cost no more than a second execution: steps may
        # run twice.
        execution = dss.workflows.start(CHECKOUT, {"job": job.id, "attempt": job.attempt})
        dss.catalog.checkouts.started(job, execution)
    return job


def find_job(dss: Dss, replica: str, job_id: str) -> CheckoutJob:
    """Return a checkout of a replica. Raises NotFound."""
    job = dss.catalog.checkouts.get(job_id)
    if job is None or job.order.replica != replica:
        raise no_such_job(replica, job_id)
    return job


def no_such_job(replica: str, job_id: str) -> NotFound:
    """Return the error for a checkout that is not there."""
    return NotFound(f"checkout_job_id: replica {replica} has no checkout {job_id}")


def status_of(dss: Dss, job: CheckoutJob) -> dict[str, Any]:
    """Return the status of a checkout in the contract's form: `status`, and its progress.

    Has a `location` if it has succeeded, and a `cause` if it has failed. Costs a read for each page of files.
    """
    progress = dss.catalog.checkouts.all_progress(job).values()
    status: dict[str, Any] = {
        "status": job.state.value,
        "files": job.files,
        "files_done": sum(page.files for page in progress),
        "bytes": job.bytes,
        "bytes_done": sum(page.bytes for page in progress),
    }
    if job.state is JobState.SUCCEEDED:
        status["location"] = job.location
    if job.state is JobState.FAILED:
        status["cause"] = job.cause
    return status


def resume_abandoned_checkouts(dss: Dss) -> list[str]:
    """Start again the checkouts that no step has worked on for an hour, and return their ids. For the sweep.

    And those that were begun DSS_UNSTARTED_SECONDS ago, and never started: these go on with their attempt.

    A job that was resumed _MOST_RESUMED times ends as failed.
    """
    resumed = []
    for job in dss.catalog.checkouts.abandoned(unstarted_seconds=dss.settings.unstarted_seconds):
        if job.resumed >= _MOST_RESUMED:
            cause = f"its execution ended without a result, and so did {job.resumed} further ones"
            dss.catalog.checkouts.end(job, JobState.FAILED, code="checkout_error", cause=job.cause or cause)
        else:
            resumed.append(request_checkout(dss, job.order, readers=job.asked).id)
    return resumed
