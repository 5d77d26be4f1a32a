"""Make local files file versions: small ones many in one request, others through the staging bucket.

Each step of each file is recorded when it is done, and may be repeated: so another run does only the rest.
"""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from dss.api import files
from dss.api.files import NewFile, NotServed
from dss.api.session import Session
from dss.checksums import ChecksumCalculator, Checksums
from dss.clock import new_version
from dss.errors import CallFailed, ContentChanged
from dss.progress import Phase, Progress
from dss.reports import UploadReport
from dss.stopping import StoppableClock
from dss.transfer.attempts import Attempts
from dss.transfer.directory import LocalFile
from dss.transfer.media_types import content_type_of
from dss.transfer.small_files import SMALL_BYTES, batches, read_content
from dss.transfer.staging import HashesOnTheWay, Staging
from dss.transfer.upload_state import FileEntry, UploadState

_CHUNK_BYTES = 1024 * 1024


def checksum_file(file: LocalFile, clock: StoppableClock, hashing: Phase | None = None) -> Checksums:
    """Return the four checksums of a file, read once. Raises ContentChanged if it changed meanwhile."""
    hashing = hashing or Progress(quiet=True).phase("hash")
    calculator = ChecksumCalculator(file.size)
    with file.path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            clock.check()
            calculator.update(chunk)
            hashing.advance(size=len(chunk))
    file.check_unchanged()
    hashing.advance(items=1)
    return calculator.result()


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """How to upload files.

    `renames`: files whose content has changed get new UUIDs. `checksum`: read files also if their stamps are
    the same. `copy_seconds` is how long to wait for a file that the DSS copies in the background.
    """

    creator_uid: int
    renames: bool
    checksum: bool
    copy_seconds: float


class UploadPhases:
    """The phases of uploading files: they are hashed, their bytes sent, and made file versions."""

    def __init__(self, progress: Progress, *, items: int, size: int) -> None:
        self.hash = progress.phase("hash", items=items, size=size)
        self.stage = progress.phase("stage", items=items, size=size)
        self.put = progress.phase("put", items=items)


@dataclass(frozen=True, kw_only=True)
class _ReadFile:
    """A small file with its content, and the file version that is made of it."""

    file: LocalFile
    entry: FileEntry
    content: bytes

    def as_new_file(self) -> NewFile:
        return NewFile(
            uuid=self.entry.uuid,
            version=self.entry.version,
            content=self.content,
            content_type=content_type_of(self.file.name),
            sha256=self.entry.checksums.sha256,
        )


class FileUploads:
    """Uploads the files of one directory, with what the state says of earlier runs."""

    def __init__(
        self,
        session: Session,
        staging: Staging,
        state: UploadState,
        report: UploadReport,
        attempts: Attempts,
        options: FileOptions,
    ) -> None:
        self._session = session
        self._staging = staging
        self._state = state
        self._report = report
        self._attempts = attempts
        self._options = options
        self._serves_batches = True

    def run(self, local_files: Sequence[LocalFile], phases: UploadPhases) -> None:
        """Upload all files that are not there yet; errors are in the report."""
        self._phases = phases
        small = [file for file in local_files if file.size <= SMALL_BYTES]
        # The large ones first: each takes longest.
        large = [[file] for file in local_files if file.size > SMALL_BYTES]
        self._attempts.in_threads([*large, *batches(small)], self._some)

    def _some(self, some: Sequence[LocalFile]) -> None:
        if self._serves_batches and some[0].size <= SMALL_BYTES:
            self._batch(some)
        else:
            self._each(some, self._one)

    def _each(self, some: Iterable[LocalFile], work: Callable[[LocalFile], None]) -> None:
        for file in some:
            with self._attempts.reported(file.name):
                self._session.clock.check()
                work(file)

    # Many small files

    def _batch(self, some: Sequence[LocalFile]) -> None:
        read: dict[str, _ReadFile] = {}

        def prepare(file: LocalFile) -> None:
            if found := self._read(file):
                read[file.name] = found

        self._each(some, prepare)
        if not read:
            return
        try:
            with self._attempts.reported(*read):
                self._post(list(read.values()))
        except NotServed as error:
            self._serves_batches = self._serves_batches and not error.at_all
            alone = [one.file for one in read.values()]
            self._each(alone, lambda file: self._go_on(file, read[file.name].entry))

    def _read(self, file: LocalFile) -> _ReadFile | None:
        """Return a file with its content; finish it, and return None, if it is put or staged already."""
        known = self._state.files.get(file.name)
        if known and (known.put or known.staged) and self._is_current(file, known):
            self._one(file)
            return None
        content, checksums = read_content(file)
        self._phases.hash.advance(items=1, size=file.size)
        entry = self._recorded(file, checksums)
        if entry.put or entry.staged:
            self._go_on(file, entry)
            return None
        return _ReadFile(file=file, entry=entry, content=content)

    def _post(self, read: Sequence[_ReadFile]) -> None:
        self._session.clock.check()
        new = [one.as_new_file() for one in read]
        failures = files.put_files(self._session, new, creator_uid=self._options.creator_uid)
        for one, failure in zip(read, failures, strict=True):
            if failure:
                self._attempts.fail(one.file.name, failure)
                continue
            self._state.record_file(replace(one.entry, put=True))
            self._report.count(put=1)
            self._phases.stage.advance(items=1, size=one.file.size)
            self._phases.put.advance(items=1)

    # One file

    def _one(self, file: LocalFile) -> None:
        known = self._state.files.get(file.name)
        if known and self._is_current(file, known):
            self._phases.hash.skip(items=1, size=file.size)
            self._go_on(file, known)
        elif known is None and file.size > SMALL_BYTES and isinstance(self._staging, HashesOnTheWay):
            # Content that may be known already would be sent for nothing.
            self._put(file, self._stage_hashed(file, self._staging))
            self._phases.put.advance(items=1)
        else:
            checksums = checksum_file(file, self._session.clock, self._phases.hash)
            self._go_on(file, self._recorded(file, checksums))

    def _is_current(self, file: LocalFile, known: FileEntry) -> bool:
        return known.stamp == file.stamp and not self._options.checksum

    def _recorded(self, file: LocalFile, checksums: Checksums) -> FileEntry:
        """Return the file version that a file with these checksums is or becomes."""
        known = self._state.files.get(file.name)
        if known and (known.stamp.size, known.checksums) == (file.size, checksums):
            return (
                known
                if known.stamp == file.stamp
                else self._state.record_file(replace(known, stamp=file.stamp))
            )
        if known and known.staged:
            self._staging.delete(known.staged)
        return self._state.record_file(
            FileEntry(
                name=file.name,
                uuid=known.uuid if known and not self._options.renames else str(uuid.uuid4()),
                version=new_version(self._session.clock),
                stamp=file.stamp,
                checksums=checksums,
            )
        )

    def _go_on(self, file: LocalFile, entry: FileEntry) -> None:
        """Take the steps that a file has not taken yet."""
        if entry.put or entry.staged:
            self._phases.stage.skip(items=1, size=file.size)
        if entry.put:
            self._phases.put.skip(items=1)
        else:
            self._put(file, entry if entry.staged else self._stage(file, entry))
            self._phases.put.advance(items=1)

    def _stage(self, file: LocalFile, entry: FileEntry) -> FileEntry:
        def on_bytes(count: int) -> None:
            self._session.clock.check()
            self._phases.stage.advance(size=count)

        file.check_unchanged()
        key = f"{entry.uuid}.{entry.version}"
        url = self._staging.put(file.path, key, entry.checksums, content_type_of(file.name), on_bytes)
        file.check_unchanged()
        self._report.count(staged=1)
        self._phases.stage.advance(items=1)
        return self._state.record_file(replace(entry, staged=url))

    def _stage_hashed(self, file: LocalFile, staging: HashesOnTheWay) -> FileEntry:
        """Stage a file of which nothing is known, and hash it on the way."""

        def on_bytes(count: int) -> None:
            self._session.clock.check()
            self._phases.hash.advance(size=count)
            self._phases.stage.advance(size=count)

        name, version = str(uuid.uuid4()), new_version(self._session.clock)
        url, checksums = staging.put_hashed(
            file.path, f"{name}.{version}", content_type_of(file.name), on_bytes
        )
        try:
            file.check_unchanged()
        except ContentChanged:
            self._staging.delete(url)
            raise
        self._report.count(staged=1)
        self._phases.hash.advance(items=1)
        self._phases.stage.advance(items=1)
        return self._state.record_file(
            FileEntry(
                name=file.name,
                uuid=name,
                version=version,
                stamp=file.stamp,
                checksums=checksums,
                staged=url,
            )
        )

    def _put(self, file: LocalFile, entry: FileEntry) -> None:
        try:
            is_done = self._put_staged(entry)
        except CallFailed as error:
            if error.status != 404:
                raise
            # Staging buckets empty themselves after a while; an earlier run's object may be gone.
            self._phases.stage.skip(items=-1, size=-file.size)
            entry = self._stage(file, replace(entry, staged=None))
            is_done = self._put_staged(entry)
        if not is_done:
            files.wait_for_file(self._session, entry.uuid, entry.version, seconds=self._options.copy_seconds)
        self._report.count(put=1)
        self._state.record_file(replace(entry, put=True))

    def _put_staged(self, entry: FileEntry) -> bool:
        source = str(entry.staged)
        return files.put_file(
            self._session, entry.uuid, entry.version, source, creator_uid=self._options.creator_uid
        )
