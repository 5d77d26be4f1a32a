"""One object becomes a file: its checksums are computed as it is read once, and its cloud copies it.

Of a large object the state of the hashes is kept after each part, so that another call goes on from there.
"""

from dataclasses import dataclass, replace

from shared.catalog import CurrentBinding, FileRecord, ImportJob
from shared.checksums import (
    CHECKSUM_NAMES,
    ChecksumCalculator,
    Checksums,
    ResumableCalculator,
    checksums_of,
    part_count,
)
from shared.clock import Deadline
from shared.copying.large import copy_order, request_copy
from shared.copying.plan import all_parts
from shared.copying.verification import chunks_of, read_whole, verify_part
from shared.errors import (
    AccessDenied,
    CopyTakesLonger,
    FileAlreadyExists,
    InvalidChecksum,
    ObjectChanged,
    ObjectNotFound,
)
from shared.files import file_record, store_blob
from shared.imports.rows import Row
from shared.sources import Source, SourceLocation, claims_of, source_at
from shared.stores.base import StoredObject
from shared.system import Dss
from shared.visibility import make_visible

# Seconds for a copy within a cloud, after which the copy workflow does it.
_COPY_SECONDS = 60
# Seconds in which the part that is being read when a call's time is up has to be complete.
_READ_SECONDS = 900


@dataclass(frozen=True, kw_only=True)
class FileOutcome:
    """What became of an object: a file, new or not, or one that a job is copying, by the job's id."""

    new: bool = False
    job_id: str = ""


def import_object(
    dss: Dss, job: ImportJob, row: Row, binding: CurrentBinding | None, deadline: Deadline
) -> FileOutcome | None:
    """Make a file version of an object, or begin to; None if the deadline has passed before it was read.

    `binding` is the last read of the file's UUID's. Safe to repeat after a kill at any point, and then goes
    on where it was. Raises ObjectChanged if the object is another one than was listed, or gone; Forbidden if
    it can't be read; InvalidChecksum if its owner claims other checksums; FileAlreadyExists if the name has
    other content; and the errors of the stores.
    """
    where = source_at(dss.replicas, row.url)
    found = _found(where, row)
    checksums = None
    if row.size <= dss.settings.inline_verify_bytes:
        source = _small(dss, row, where, found)
    else:
        checksums = _hashed(dss, job, row, where, found, deadline)
        if checksums is None:
            return None
        source = _source(row, where, found, checksums)
        try:
            _copy(dss, source)
        except CopyTakesLonger:
            return FileOutcome(job_id=_ordered(dss, job, row, source))
    return FileOutcome(new=_visible(dss, job, row, source, binding))


def _found(where: SourceLocation, row: Row) -> StoredObject:
    try:
        found = where.replica.store.stat(where.bucket, where.key)
    except ObjectNotFound as error:
        raise ObjectChanged(f"{row.url}: it was deleted after it was listed") from error
    except AccessDenied as error:
        raise AccessDenied(f"{row.url}: this system may not read it") from error
    if found.revision != row.revision:
        raise ObjectChanged(f"{row.url}: it was replaced after it was listed; import it again")
    return found


def _small(dss: Dss, row: Row, where: SourceLocation, found: StoredObject) -> Source:
    """Read a small object, and make a blob of it."""
    deadline = Deadline(dss.clock, _READ_SECONDS)
    data = read_whole(found, where.replica.store, deadline)
    dss.faults.reach("import: object read")
    source = _source(row, where, found, checksums_of(data))
    store_blob(dss, source, data, deadline)
    return source


def _source(row: Row, where: SourceLocation, found: StoredObject, checksums: Checksums) -> Source:
    """Return a source whose checksums were computed. Raises InvalidChecksum if others are claimed."""
    found.check(checksums)
    for name, claim in claims_of(found.metadata).items():
        if name in CHECKSUM_NAMES and claim.lower() != getattr(checksums, name):
            value = getattr(checksums, name)
            raise InvalidChecksum(f"{row.url}: its metadata claim {name} {claim[:80]!r}, it has {value!r}")
    typed = replace(found, content_type=row.file_type(found))
    return Source(replica=where.replica, object=typed, checksums=checksums)


def _hashed(
    dss: Dss, job: ImportJob, row: Row, where: SourceLocation, found: StoredObject, deadline: Deadline
) -> Checksums | None:
    """Return the checksums of a large object; None if the deadline has passed before it was read."""
    patience = Deadline(dss.clock, deadline.remaining() + _READ_SECONDS)
    store = where.replica.store
    if part_count(row.size) == 1:
        whole = ChecksumCalculator(row.size)
        for chunk in chunks_of(found, store, 0, row.size, patience):
            whole.update(chunk)
        return whole.result()
    catalog, name = dss.catalog.imports, str(row.fqid(job.order))
    calculator = ResumableCalculator(catalog.hashed(job, name))
    for part in all_parts(row.size)[calculator.parts :]:
        verify_part(calculator, found, store, part, [], patience)
        catalog.note_hashed(job, name, calculator.state())
        dss.faults.reach("import: part hashed")
        if deadline.passed:
            break
    return calculator.result() if calculator.parts == part_count(row.size) else None


def _copy(dss: Dss, source: Source) -> None:
    source.replica.store.copy(
        source.object,
        source.replica.bucket,
        source.checksums.blob_key,
        checksums=source.checksums,
        deadline=Deadline(dss.clock, _COPY_SECONDS),
    )
    dss.faults.reach("import: large object copied")


def _record(job: ImportJob, row: Row, source: Source) -> FileRecord:
    return file_record(row.fqid(job.order), job.order.creator_uid, source)


def _ordered(dss: Dss, job: ImportJob, row: Row, source: Source) -> str:
    """Return the id of the job that copies a large object, which was verified here."""
    order = copy_order(source.object, source.replica, source.replica, _record(job, row, source))
    return request_copy(dss, order).id


def _visible(dss: Dss, job: ImportJob, row: Row, source: Source, binding: CurrentBinding | None) -> bool:
    record = _record(job, row, source)
    try:
        return make_visible(dss, record, source.replica.name, binding)
    except FileAlreadyExists:
        # Another row of the same object, or an import by somebody else, may have another content type or
        # creator.
        existing = dss.catalog.files.get(record.fqid)
        if existing and existing.checksums == record.checksums:
            return make_visible(dss, existing, source.replica.name, binding)
        raise
