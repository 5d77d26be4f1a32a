"""Copies that take longer than a request: asked for here, done by the copy workflow, in `steps`."""

from dataclasses import replace

from shared.catalog import CopyJob, CopyOrder, CopySource, FileRecord, JobState
from shared.errors import CopyFailed, FileAlreadyExists
from shared.replicas import Replica
from shared.stores.base import StoredObject
from shared.system import Dss
from shared.workflows import COPY


def copy_order(
    source: StoredObject, source_replica: Replica, destination: Replica, record: FileRecord
) -> CopyOrder:
    """Return the order to copy a file's blob to a replica, and to make the file available there.

    `source_replica` is one whose store has the source, whatever the bucket.
    """
    return CopyOrder(
        source=copy_source(replace(source, content_type=record.content_type), source_replica),
        replica=destination.name,
        bucket=destination.bucket,
        key=record.checksums.blob_key,
        checksums=record.checksums,
        file=record.fqid,
        creator_uid=record.creator_uid,
    )


def copy_source(source: StoredObject, replica: Replica) -> CopySource:
    """Return what an order says of the object to copy; `replica` is one whose store has it."""
    return CopySource(
        replica=replica.name,
        bucket=source.bucket,
        key=source.key,
        size=source.size,
        content_type=source.content_type,
        revision=source.revision,
        md5=source.md5,
        crc32c=source.crc32c,
    )


def request_copy(dss: Dss, order: CopyOrder) -> CopyJob:
    """Return the job that carries out an order, running and durable: a new one, or the one that is at it.

    Safe to repeat; a job that failed begins anew. Raises FileAlreadyExists where other content has the FQID
    by now, and Unavailable.
    """
    existing = dss.catalog.files.get(order.file) if order.file else None
    if existing and not existing.same_content(record_of(order)):
        raise FileAlreadyExists(f"file {order.file} exists with other content, creator or content type")
    return _start(dss, order)


def record_of(order: CopyOrder) -> FileRecord:
    """Return what the file that an order makes available is to be."""
    if order.file is None:
        raise ValueError("this order is about no file")
    return FileRecord(
        fqid=order.file,
        creator_uid=order.creator_uid,
        content_type=order.source.content_type,
        size=order.source.size,
        checksums=order.checksums,
    )


def job_at_work(dss: Dss, order: CopyOrder) -> CopyJob | None:
    """Return the job that is carrying out an order, if there is one; one read, none for what is small.

    Who asks again for something large is then told so, before the cloud has begun to copy it once more.
    """
    if order.source.size <= dss.settings.inline_copy_bytes:
        return None
    job = dss.catalog.jobs.get(order.job_id)
    return job if job and job.state is JobState.RUNNING and job.execution else None


def _start(dss: Dss, order: CopyOrder) -> CopyJob:
    job = dss.catalog.jobs.begin(order)
    if not job.execution:
        # A kill between these lines, or two callers at once, cost a second execution, and no more than
        # that: steps may be done twice.
        execution = dss.workflows.start(COPY, {"job": job.id, "attempt": job.attempt})
        dss.catalog.jobs.started(job, execution)
    return job


def resume_abandoned(dss: Dss) -> list[str]:
    """Start the jobs again that nobody has worked on for an hour, and return their ids. For the sweep."""
    return [_start(dss, job.order).id for job in dss.catalog.jobs.abandoned()]


def failure_of(dss: Dss, uuid: str, version: str | None, replica: str) -> CopyFailed | None:
    """Return why a file version, or any version of it, that was to be made on a replica was not.

    None where no copy has failed, or where one is still running that may succeed. A file that was made, and
    only has not come from another replica yet, is not what this is about: the sweep tries that again.
    """
    jobs = [
        job for job in dss.catalog.jobs.of_file(uuid, version, replica) if job.order.source.replica == replica
    ]
    failed = [job for job in jobs if job.state is JobState.FAILED]
    if not failed or any(job.state is JobState.RUNNING for job in jobs):
        return None
    last = max(failed, key=lambda job: job.touched)
    return CopyFailed(last.code, f"file {last.order.file} could not be copied to {replica}: {last.cause}")
