"""Copies that take longer than a request: ordered here, done by the copy workflow, in `steps`."""

from dataclasses import dataclass, replace

from shared.catalog import CopyJob, CopyOrder, CopySource, FileRecord, JobState
from shared.errors import CopyFailed, FileAlreadyExists
from shared.replicas import Replica
from shared.stores.base import StoredObject
from shared.system import Dss
from shared.workflows import COPY


def copy_order(
    source: StoredObject,
    source_replica: Replica,
    destination: Replica,
    record: FileRecord,
    *,
    verify: bool = False,
) -> CopyOrder:
    """Return the order to copy a file's blob to a replica, and to make the file available there.

    `source_replica` is any replica of the source's store. With `verify`, the source is not a blob, and its
    checksums are to be computed first.
    """
    return CopyOrder(
        source=copy_source(replace(source, content_type=record.content_type), source_replica),
        replica=destination.name,
        bucket=destination.bucket,
        key=record.checksums.blob_key,
        checksums=record.checksums,
        file=record.fqid,
        creator_uid=record.creator_uid,
        verify=verify,
    )


def copy_source(source: StoredObject, replica: Replica) -> CopySource:
    """Return the source of an order; `replica` is any replica of its store."""
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
    """Return the job of an order, running and durable: a new one, or the running one.

    Safe to repeat; a job that failed begins again. Raises FileAlreadyExists if the FQID has other content,
    and Unavailable.
    """
    existing = dss.catalog.files.get(order.file) if order.file else None
    if existing and not existing.same_content(record_of(order)):
        raise FileAlreadyExists(f"file {order.file} exists with other content, creator or content type")
    return _start(dss, order)


def record_of(order: CopyOrder) -> FileRecord:
    """Return the record of the file that an order makes available."""
    if order.file is None:
        raise ValueError("this order makes no file available")
    return FileRecord(
        fqid=order.file,
        creator_uid=order.creator_uid,
        content_type=order.source.content_type,
        size=order.source.size,
        checksums=order.checksums,
    )


def job_at_work(dss: Dss, order: CopyOrder) -> CopyJob | None:
    """Return the running job of an order, if any; one read, none for a small object.

    Then a repeated request for a large file returns the job, and does not make the cloud copy it once more.
    """
    if order.source.size <= dss.settings.inline_verify_bytes:
        return None
    job = dss.catalog.jobs.get(order.job_id)
    return job if job and job.state is JobState.RUNNING and job.execution else None


def _start(dss: Dss, order: CopyOrder) -> CopyJob:
    job = dss.catalog.jobs.begin(order)
    if not job.execution:
        # A kill between these lines, or two callers at once, cost no more than a second execution: steps may
        # run twice.
        execution = dss.workflows.start(COPY, {"job": job.id, "attempt": job.attempt})
        dss.catalog.jobs.started(job, execution)
    return job


def resume_abandoned(dss: Dss) -> list[str]:
    """Start again the jobs that no step has worked on for an hour, and return their ids. For the sweep."""
    return [
        _start(dss, job.order).id
        for job in dss.catalog.jobs.abandoned(unstarted_seconds=dss.settings.unstarted_seconds)
    ]


@dataclass(frozen=True)
class FileProgress:
    """What became of a file version that PUTs were to make on a replica, as far as jobs do so."""

    under_way: bool
    failure: CopyFailed | None


def progress_of_file(dss: Dss, uuid: str, version: str | None, replica: str) -> FileProgress:
    """Return the progress of a file version, or of any version; one query.

    Ignores copies from other replicas: the sweep tries those again.
    """
    jobs = [
        job for job in dss.catalog.jobs.of_file(uuid, version, replica) if job.order.source.replica == replica
    ]
    if any(job.state is JobState.RUNNING for job in jobs):
        return FileProgress(under_way=True, failure=None)
    failed = [job for job in jobs if job.state is JobState.FAILED]
    if not failed:
        return FileProgress(under_way=False, failure=None)
    last = max(failed, key=lambda job: job.touched)
    title = f"file {last.order.file} could not be copied to {replica}: {last.cause}"
    return FileProgress(under_way=False, failure=CopyFailed(last.code, title))
