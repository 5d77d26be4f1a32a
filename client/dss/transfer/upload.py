"""A directory becomes a bundle: stage, PUT files, PUT the bundle; taken up again where it broke off.

The state file (dss.transfer.upload_state) is written after each step of each file, and every step may be
repeated, so a run that was killed anywhere is finished by running it again.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dss.api.client import ApiClient
from dss.checksums import ChecksumCalculator, Checksums
from dss.clock import new_version
from dss.errors import CallFailed, CliError, Refused
from dss.identifiers import check_uuid, check_version
from dss.progress import Meter
from dss.reports import UploadReport
from dss.stopping import StoppableClock
from dss.transfer.directory import LocalFile, scan
from dss.transfer.names import content_type_of, is_indexed
from dss.transfer.parallel import for_each
from dss.transfer.staging import Staging, staging_for
from dss.transfer.upload_state import BundleEntry, FileEntry, UploadState, default_path, open_journal

_CHUNK_BYTES = 1024 * 1024
# How often files that the DSS took and then does not have are uploaded again, before that is its trouble.
_MAX_REPAIRS = 2


@dataclass(kw_only=True)
class UploadOptions:
    """How to upload.

    `bundle_uuid` and `version` name the bundle version, made up where not given; `staging` is
    `gs://bucket/prefix` or `s3://bucket/prefix`, else the environment's; `exclude` are globs of names;
    `state` is the journal's path; `copy_seconds` is how long to wait for a file that the DSS copies in the
    background.
    """

    bundle_uuid: str | None = None
    version: str | None = None
    staging: str | None = None
    creator_uid: int = 0
    jobs: int = 8
    exclude: Sequence[str] = ()
    state: Path | None = None
    keep_staged: bool = False
    copy_seconds: float = 6 * 3600.0
    meter: Meter = field(default_factory=Meter)

    def __post_init__(self) -> None:
        if self.bundle_uuid:
            self.bundle_uuid = check_uuid(self.bundle_uuid, "bundle UUID")
        if self.version:
            check_version(self.version)


def upload(
    client: ApiClient, directory: Path, options: UploadOptions, staging: Staging | None = None
) -> UploadReport:
    """Make a directory a bundle version on the client's replica, and remove what was staged for it.

    Run again, it does only what is missing: after an interruption the rest of the same bundle version;
    after success nothing while the directory is unchanged, else a new version of the same bundle, in which
    files that changed are new versions too. Files that fail are in the report's `failed`; all others are
    done all the same, but the bundle is not PUT then.

    Raises Refused before anything is done: for names that a bundle can't hold, without a token or staging
    bucket, while another process uploads the same directory. Raises CallFailed where the bundle is refused.
    `staging` takes the place of the bucket that options or environment name.
    """
    if not client.token:
        raise Refused("an upload needs a token: --token or DSS_TOKEN")
    client = client.renewed()
    files = scan(directory, options.exclude)
    staging = staging or staging_for(client.replica, options.staging)
    state = options.state or default_path(directory, client.url, client.replica)
    report = UploadReport(replica=client.replica, state=str(state), files=len(files))
    report.bytes = sum(file.size for file in files)
    place = directory.resolve()
    with open_journal(state, directory=place, url=client.url, replica=client.replica) as journal:
        _Upload(client, files, staging, journal, options, report).run()
    report.close()
    return report


def checksum_file(file: LocalFile, clock: StoppableClock) -> Checksums:
    """Return the four checksums of a file, read once. Raises Refused where it changed meanwhile."""
    calculator = ChecksumCalculator(file.size)
    with file.path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            clock.check()
            calculator.update(chunk)
    file.check_unchanged()
    return calculator.result()


class _Upload:
    def __init__(
        self,
        client: ApiClient,
        files: Sequence[LocalFile],
        staging: Staging,
        journal: UploadState,
        options: UploadOptions,
        report: UploadReport,
    ) -> None:
        self._client = client
        self._files = files
        self._staging = staging
        self._journal = journal
        self._options = options
        self._report = report
        self._meter = options.meter
        self._repairs = 0

    def run(self) -> None:
        self._name_bundle()
        while True:
            self._meter.expect(self._report.files, self._report.bytes)
            self._for_each(self._files, self._file, lambda file: file.name)
            if self._report.failed or self._bundle():
                break
        if self._report.ok and not self._options.keep_staged:
            self._remove_staged()

    def _for_each(
        self, things: Sequence[Any], work: Callable[[Any], None], name: Callable[[Any], str]
    ) -> None:
        def guarded(thing: Any) -> None:
            try:
                self._client.clock.check()
                work(thing)
            except (CliError, OSError) as error:
                self._report.fail(name(thing), error)
                if isinstance(error, CallFailed) and error.hopeless:
                    self._client.clock.stop(f"not tried, because of {error.status} {error.code} before")

        for_each(things, guarded, jobs=self._options.jobs, clock=self._client.clock)

    # One file

    def _file(self, file: LocalFile) -> None:
        entry = self._entry_of(file)
        if entry.put or entry.staged:
            self._meter.advance(file.size)
        if not entry.put:
            self._put(file, entry if entry.staged else self._stage(file, entry))
        self._meter.file_done()

    def _entry_of(self, file: LocalFile) -> FileEntry:
        known = self._journal.files.get(file.name)
        if known and (known.size, known.mtime_ns) == (file.size, file.mtime_ns):
            return known
        checksums = checksum_file(file, self._client.clock)
        if known and (known.size, known.checksums) == (file.size, checksums):
            return self._journal.record_file(replace(known, mtime_ns=file.mtime_ns))
        if known and known.staged:
            self._staging.delete(known.staged)
        return self._journal.record_file(
            FileEntry(
                name=file.name,
                uuid=known.uuid if known else str(uuid.uuid4()),
                version=new_version(self._client.clock),
                size=file.size,
                mtime_ns=file.mtime_ns,
                checksums=checksums,
            )
        )

    def _stage(self, file: LocalFile, entry: FileEntry) -> FileEntry:
        def on_bytes(count: int) -> None:
            self._client.clock.check()
            self._meter.advance(count)

        file.check_unchanged()
        key = f"{entry.uuid}.{entry.version}"
        url = self._staging.put(file.path, key, entry.checksums, content_type_of(file.name), on_bytes)
        file.check_unchanged()
        self._report.count(staged=1)
        return self._journal.record_file(replace(entry, staged=url))

    def _put(self, file: LocalFile, entry: FileEntry) -> None:
        try:
            there = self._put_staged(entry)
        except CallFailed as error:
            if error.status != 404:
                raise
            # Staging buckets empty themselves after a while; an earlier run's object may be gone.
            self._meter.advance(-file.size)
            entry = self._stage(file, replace(entry, staged=None))
            there = self._put_staged(entry)
        if not there:
            self._client.wait_for_file(entry.uuid, entry.version, seconds=self._options.copy_seconds)
        self._report.count(put=1)
        self._journal.record_file(replace(entry, put=True))

    def _put_staged(self, entry: FileEntry) -> bool:
        source = str(entry.staged)
        return self._client.put_file(entry.uuid, entry.version, source, creator_uid=self._options.creator_uid)

    # The bundle

    def _name_bundle(self) -> None:
        """Fix the bundle's UUID and version before the first file, so that every run means the same."""
        known = self._journal.bundle
        uuid_wanted, version_wanted = self._options.bundle_uuid, self._options.version
        if known and uuid_wanted in (None, known.uuid) and version_wanted in (None, known.version):
            self._show(known)
            return
        name = uuid_wanted or (known.uuid if known else str(uuid.uuid4()))
        self._new_bundle(name, version_wanted or new_version(self._client.clock))

    def _new_bundle(self, name: str, version: str) -> BundleEntry:
        return self._show(self._journal.record_bundle(BundleEntry(uuid=name, version=version)))

    def _show(self, entry: BundleEntry) -> BundleEntry:
        self._report.uuid, self._report.version = entry.uuid, entry.version
        return entry

    def _bundle(self) -> bool:
        """PUT the bundle; return False where files turned out to be missing and have to be done again."""
        rows = self._rows()
        digest = hashlib.sha256(json.dumps([rows, self._options.creator_uid]).encode()).hexdigest()
        entry = self._journal.bundle
        assert entry is not None, "named before the first file"
        if entry.done and entry.digest == digest:
            if self._client.has_bundle(entry.uuid, entry.version):
                self._report.already_there = True
                return True
            self._meter.note(f"bundle {entry.uuid}.{entry.version} is not there any more; making a new one")
            self._new_bundle(self._options.bundle_uuid or str(uuid.uuid4()), self._fresh_version())
            self._forget_missing()
            return False
        if entry.digest and entry.digest != digest:
            # That version was PUT, or may have been, with other files; a version never changes.
            entry = self._new_bundle(entry.uuid, self._fresh_version())
        entry = self._journal.record_bundle(replace(entry, digest=digest))
        try:
            self._client.put_bundle(entry.uuid, entry.version, rows, creator_uid=self._options.creator_uid)
        except CallFailed as error:
            self._repairs += 1
            if error.code == "file_missing" and self._repairs <= _MAX_REPAIRS and self._forget_missing():
                self._meter.note("some files of an earlier run are not there any more; uploading them again")
                return False
            raise
        self._journal.record_bundle(replace(entry, done=True))
        return True

    def _fresh_version(self) -> str:
        return self._options.version or new_version(self._client.clock)

    def _rows(self) -> list[dict[str, Any]]:
        entries = [self._journal.files[file.name] for file in self._files]
        return [
            {
                "uuid": entry.uuid,
                "version": entry.version,
                "name": entry.name,
                "indexed": is_indexed(entry.name),
            }
            for entry in entries
        ]

    def _forget_missing(self) -> bool:
        """Take back what the journal says of files that the DSS does not have; tell whether there are any."""
        missing: list[str] = []

        def look(file: LocalFile) -> None:
            entry = self._journal.files[file.name]
            if self._client.head_file(entry.uuid, entry.version) is None:
                self._journal.record_file(replace(entry, put=False, staged=None))
                missing.append(entry.name)

        self._for_each(self._files, look, lambda file: file.name)
        return bool(missing)

    def _remove_staged(self) -> None:
        def remove(entry: FileEntry) -> None:
            try:
                self._staging.delete(str(entry.staged))
            except CliError as error:
                self._report.warnings.append(f"left behind in the staging bucket: {error}")
            else:
                self._journal.record_file(replace(entry, staged=None))

        staged = [entry for entry in self._journal.files.values() if entry.staged]
        self._for_each(staged, remove, lambda entry: entry.name)
