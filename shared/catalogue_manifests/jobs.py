"""Manifests' jobs: ordered here, made at once if they are small, or else by the workflow `manifest`."""

from dataclasses import replace

from shared.catalog import JobState, ManifestJob, ManifestOrder
from shared.catalogue_manifests.making import make_at_once
from shared.catalogue_manifests.places import is_there
from shared.errors import DssError
from shared.explore.manifests.formats import open_format
from shared.system import Dss
from shared.workflows import MANIFEST

# Files of a manifest that a request makes itself: some 2 MB, and a fifth of a second.
MOST_AT_ONCE = 1000
# Manifests in work, of all callers and of one: each is a function's instance.
_AT_ONCE, _AT_ONCE_EACH = 40, 10
# After so many abandoned executions a job ends as failed.
_MOST_RESUMED = 5


def find_ready(dss: Dss, order: ManifestOrder) -> ManifestJob | None:
    """Return the job of an order if its manifest is there, and will be for a while."""
    job = dss.catalog.manifests.get(order.job_id)
    return job if job and job.is_good_at(dss.clock.now()) and is_there(dss, job.key) else None


def request_manifest(dss: Dss, order: ManifestOrder, *, requester: str) -> ManifestJob:
    """Return the job of an order, durable: one that has succeeded, or the running one, or a new one.

    Safe to repeat. A job that has failed begins again, as does one whose manifest is gone or is about to go.
    Raises Unavailable, IllegalArguments and TooManyUnderWay (`ManifestCatalog.begin`).
    """
    if known := find_ready(dss, order):
        return known
    catalog = dss.catalog.manifests
    job = catalog.begin(order, requester=requester, at_most=_AT_ONCE, at_most_each=_AT_ONCE_EACH)
    if job.execution:
        return job
    if order.files <= MOST_AT_ONCE and open_format(order.format).made_in_requests:
        return _made_at_once(dss, job)
    # A kill between these lines, or two callers at once, cost no more than a second execution: steps may run
    # twice.
    execution = dss.workflows.start(MANIFEST, {"job": job.id, "attempt": job.attempt})
    catalog.started(job, execution)
    return replace(job, execution=execution)


def _made_at_once(dss: Dss, job: ManifestJob) -> ManifestJob:
    catalog = dss.catalog.manifests
    try:
        key = make_at_once(dss, job)
    except DssError as error:
        catalog.end(job, JobState.FAILED, code=error.code, cause=error.title)
        raise
    catalog.succeed(job, key)
    return catalog.get(job.id) or job


def resume_abandoned_manifests(dss: Dss) -> list[str]:
    """Start again the manifests that no step has worked on for an hour, and return their ids. For the sweep.

    A job that was resumed _MOST_RESUMED times ends as failed.
    """
    resumed = []
    for job in dss.catalog.manifests.abandoned(unstarted_seconds=dss.settings.unstarted_seconds):
        if job.resumed >= _MOST_RESUMED:
            cause = f"its execution ended without a result, and so did {job.resumed} further ones"
            dss.catalog.manifests.end(
                job, JobState.FAILED, code=job.code or "manifest_error", cause=job.cause or cause
            )
        else:
            resumed.append(request_manifest(dss, job.order, requester="").id)
    return resumed
