"""Checkouts: asked for here, done by the checkout workflow (`shared.checkouts.steps`)."""

from typing import Any

from shared.catalog import CheckoutJob, CheckoutOrder, JobState
from shared.errors import NotFound
from shared.system import Dss
from shared.workflows import CHECKOUT

# Executions that may come to nothing, one after the other, before a job is given up.
_MOST_RESUMED = 5


def request_checkout(dss: Dss, order: CheckoutOrder, email: str | None = None) -> CheckoutJob:
    """Return the job that carries out an order, running and durable: a new one, or the one that is at it.

    Safe to repeat; a job that has ended begins anew, and finds what is there already. Raises Unavailable, and
    TooManyUnderWay where DSS_CHECKOUTS_AT_ONCE are running: nobody has to sign in to have one made.
    """
    job = dss.catalog.checkouts.begin(order, email, at_most=dss.settings.checkouts_at_once)
    if not job.execution:
        # A kill between these lines, or two callers at once, cost a second execution, and no more than
        # that: steps may be done twice.
        execution = dss.workflows.start(CHECKOUT, {"job": job.id, "attempt": job.attempt})
        dss.catalog.checkouts.started(job, execution)
    return job


def find_job(dss: Dss, replica: str, job_id: str) -> CheckoutJob:
    """Return a checkout of a replica. Raises NotFound where there is none of this id."""
    job = dss.catalog.checkouts.get(job_id)
    if job is None or job.order.replica != replica:
        raise NotFound(f"checkout_job_id: replica {replica} has no checkout {job_id}")
    return job


def status_of(dss: Dss, job: CheckoutJob) -> dict[str, Any]:
    """Return what the contract says of a checkout: `status`, and how far it has come.

    With `location` where it has succeeded, and `cause` where it has failed. One read for each page of files.
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
    """Start the checkouts again that nobody has worked on for an hour, and return their ids. For the sweep.

    What has been resumed again and again ends as failed.
    """
    resumed = []
    for job in dss.catalog.checkouts.abandoned():
        if job.resumed >= _MOST_RESUMED:
            cause = f"nobody worked on it any more, and it was begun anew {job.resumed} times"
            dss.catalog.checkouts.end(job, JobState.FAILED, code="checkout_error", cause=job.cause or cause)
        else:
            resumed.append(request_checkout(dss, job.order).id)
    return resumed
