"""One object becomes a file: its checksums are computed as it is read once, and its cloud copies it.

Of a large object the state of the hashes is kept after each part, so that another call goes on from there.
What is read goes at once to the replicas to which it would have to be sent again otherwise.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

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
from shared.copying.blobs import hand_on, put_parts
from shared.copying.large import copy_order, request_copy
from shared.copying.plan import all_parts
from shared.copying.reading import chunks_of
from shared.copying.relays import relaying
from shared.copying.verification import READERS, read_whole, verify_part
from shared.errors import (
    AccessDenied,
    CopyTakesLonger,
    DssError,
    FileAlreadyExists,
    InvalidChecksum,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
)
from shared.imports.places import Place
from shared.imports.rows import Row
from shared.replicas import Replica
from shared.sources import claims_of
from shared.stores.base import StoredObject, Upload
from shared.system import Dss
from shared.visibility import make_visible

_log = structlog.get_logger()

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
    dss: Dss, job: ImportJob, row: Row, place: Place, binding: CurrentBinding | None, deadline: Deadline
) -> FileOutcome | None:
    """Make a file version of an object, or begin to; None if the deadline has passed before it was read.

    `binding` is the last read of the file's UUID's. Safe to repeat after a kill at any point, and then goes
    on where it was. Raises ObjectChanged if the object is another one than was listed, or gone; AccessDenied
    if it can't be read; InvalidChecksum if its owner claims other checksums; FileAlreadyExists if the name
    has other content; and the errors of the stores.
    """
    found = _found(place, row)
    work = _Import(dss, job, row, place, found)
    if row.size <= dss.settings.inline_verify_bytes or (part_count(row.size) == 1 and not place.is_near):
        checksums = work.take_whole()
    elif part_count(row.size) == 1:
        checksums = work.take_single_part()
    else:
        hashed = work.take_parts(deadline)
        if hashed is None:
            return None
        checksums = hashed
    record = work.record(checksums)
    if place.is_near:
        try:
            work.copy(checksums)
        except CopyTakesLonger:
            order = copy_order(work.typed, place.replica, place.replica, record)
            return FileOutcome(job_id=request_copy(dss, order).id)
    return FileOutcome(new=_visible(dss, record, place.replica, binding))


def _found(place: Place, row: Row) -> StoredObject:
    try:
        found = place.stat()
    except ObjectNotFound as error:
        raise ObjectChanged(f"{row.url}: it was deleted after it was listed") from error
    except AccessDenied as error:
        raise AccessDenied(f"{row.url}: this system may not read it") from error
    if found.revision != row.revision:
        raise ObjectChanged(f"{row.url}: it was replaced after it was listed; import it again")
    return found


class _Import:
    """The import of one object, as it was described just now."""

    def __init__(self, dss: Dss, job: ImportJob, row: Row, place: Place, found: StoredObject) -> None:
        self._dss = dss
        self._job = job
        self._row = row
        self._place = place
        self._found = found
        self._name = str(row.fqid(job.order))
        # With the content type of the file.
        self.typed = replace(found, content_type=row.file_type(found))

    def record(self, checksums: Checksums) -> FileRecord:
        """Return the record of the file that the object becomes."""
        return FileRecord(
            fqid=self._row.fqid(self._job.order),
            creator_uid=self._job.order.creator_uid,
            content_type=self.typed.content_type,
            size=self.typed.size,
            checksums=checksums,
        )

    def take_whole(self) -> Checksums:
        """Read an object into memory, and return its checksums; make a blob of one that no cloud copies."""
        dss, replica = self._dss, self._place.replica
        deadline = Deadline(dss.clock, _READ_SECONDS)
        data = read_whole(self._found, self._place.store, deadline)
        dss.faults.reach("import: object read")
        checksums = self._checked(checksums_of(data))
        primary = dss.replicas.primary
        if self._place.is_near:
            if primary.store is not replica.store:
                hand_on(primary, self.typed.content_type, data, checksums)
            return checksums
        # The name of an object that exists is its content, which was computed before it was written.
        with contextlib.suppress(ObjectExists):
            replica.store.create(replica.bucket, checksums.blob_key, data, self.typed.content_type)
        return checksums

    def take_single_part(self) -> Checksums:
        """Read an object of a single part, a few chunks in memory, and return its checksums."""
        patience = Deadline(self._dss.clock, _READ_SECONDS)
        whole = ChecksumCalculator(self._row.size)
        store = self._place.store
        for chunk in chunks_of(self._found, store, 0, self._row.size, patience, readers=READERS):
            whole.update(chunk)
        return self._checked(whole.result())

    def take_parts(self, deadline: Deadline) -> Checksums | None:
        """Read an object part by part, from where it was left; return its checksums at the end.

        None if the deadline has passed before. Parts go to other replicas as they are read.
        """
        dss, catalog, size = self._dss, self._dss.catalog.imports, self._row.size
        patience = Deadline(dss.clock, deadline.remaining() + _READ_SECONDS)
        state, names = catalog.hashed(self._job, self._name)
        calculator = ResumableCalculator(state)
        uploads = self._uploads(names)
        with relaying(*((replica.store, upload) for replica, upload in uploads.items())) as relays:
            for part in all_parts(size)[calculator.parts :]:
                verify_part(calculator, self._found, self._place.store, part, relays, patience)
                if calculator.parts < part_count(size):
                    catalog.note_hashed(self._job, self._name, calculator.state(), _ids(uploads))
                dss.faults.reach("import: part hashed")
                if deadline.passed:
                    break
        if calculator.parts < part_count(size):
            return None
        checksums = self._checked(calculator.result())
        self._finish(uploads, checksums, patience)
        catalog.note_hashed(self._job, self._name, calculator.state(), {})
        return checksums

    def _uploads(self, names: Mapping[str, str] | None) -> Mapping[Replica, Upload]:
        """Return the uploads to which parts go: those of these ids, or new ones if none are noted yet."""
        if names is None:
            return {replica: self._begin(replica) for replica in self._takers()}
        return {self._dss.replicas.named(name): self._upload(name, upload) for name, upload in names.items()}

    def _takers(self) -> Sequence[Replica]:
        """Return the replicas to which parts go: if the object's cloud can't copy it there.

        Only stores that keep parts aside: to others one would have to say the blob's name first.
        """
        if not self._place.is_near:
            return [self._place.replica]
        primary = self._dss.replicas.primary
        is_far = primary.store is not self._place.replica.store
        return [primary] if is_far and primary.store.parts_prefix else []

    def _begin(self, replica: Replica) -> Upload:
        return replica.store.begin_upload(
            replica.bucket, self._name, size=self._row.size, content_type=self.typed.content_type
        )

    def _upload(self, name: str, upload_id: str) -> Upload:
        return Upload(
            bucket=self._dss.replicas.named(name).bucket,
            key=self._name,
            size=self._row.size,
            content_type=self.typed.content_type,
            id=upload_id,
        )

    def _finish(self, uploads: Mapping[Replica, Upload], checksums: Checksums, deadline: Deadline) -> None:
        """Make blobs of what was sent; what fails on another replica than this one is left to replication."""
        for replica, upload in uploads.items():
            try:
                self._finish_one(replica, replace(upload, key=checksums.blob_key), checksums, deadline)
            except DssError as error:
                if replica is self._place.replica:
                    raise
                _log.warning(
                    "blob not relayed", key=checksums.blob_key, replica=replica.name, reason=error.title
                )
                with contextlib.suppress(DssError):
                    replica.store.abort_upload(upload)

    def _finish_one(self, replica: Replica, upload: Upload, checksums: Checksums, deadline: Deadline) -> None:
        store = replica.store
        present = store.parts(upload)
        missing = [part for part in all_parts(upload.size) if present.get(part.number) != part.size]
        put_parts(self._found, self._place.store, upload, store, missing, deadline=deadline)
        try:
            store.finish_upload(upload, checksums)
        except ObjectExists:
            # The name of an object that exists is its content.
            store.abort_upload(upload)

    def copy(self, checksums: Checksums) -> None:
        """Have the object's cloud copy it to its blob. Raises CopyTakesLonger, ObjectChanged."""
        replica = self._place.replica
        replica.store.copy(
            self.typed,
            replica.bucket,
            checksums.blob_key,
            checksums=checksums,
            deadline=Deadline(self._dss.clock, _COPY_SECONDS),
        )
        self._dss.faults.reach("import: object copied")

    def _checked(self, checksums: Checksums) -> Checksums:
        """Return checksums that were computed. Raises InvalidChecksum if the object's owner claims others."""
        self._found.check(checksums)
        for name, claim in claims_of(self._found.metadata).items():
            value = getattr(checksums, name) if name in CHECKSUM_NAMES else claim
            if claim.lower() != value:
                raise InvalidChecksum(
                    f"{self._row.url}: its metadata claim {name} {claim[:80]!r}, its content has {value!r}"
                )
        return checksums


def _ids(uploads: Mapping[Replica, Upload]) -> dict[str, str]:
    return {replica.name: upload.id for replica, upload in uploads.items()}


def _visible(dss: Dss, record: FileRecord, replica: Replica, binding: CurrentBinding | None) -> bool:
    try:
        return make_visible(dss, record, replica.name, binding)
    except FileAlreadyExists:
        # Another row of the same object, or an import by somebody else, may have another type or creator.
        existing = dss.catalog.files.get(record.fqid)
        if existing and existing.checksums == record.checksums:
            return make_visible(dss, existing, replica.name, binding)
        raise
