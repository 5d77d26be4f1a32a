"""Make a directory a bundle: stage and PUT its files, then PUT the bundle; resume after an interruption.

The state file (dss.transfer.upload_state) is written after each step of each file, and every step may be
repeated, so running it again finishes a run that was killed anywhere.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dss.api import bundles, files
from dss.api.session import Session
from dss.clock import new_version
from dss.errors import CallFailed, ClientError, NoToken
from dss.identifiers import check_version
from dss.progress import Progress
from dss.references import parse
from dss.reports import UploadReport
from dss.transfer.attempts import Attempts
from dss.transfer.directory import LocalFile, scan
from dss.transfer.file_uploads import FileOptions, FileUploads, UploadPhases
from dss.transfer.staging import Staging, staging_for
from dss.transfer.upload_plan import BundleNaming, digest_of, rows_of, uuid_to_write, was_bundle
from dss.transfer.upload_state import BundleEntry, FileEntry, UploadState, default_path, open_state

# How long to wait for a file that the DSS copies in the background.
COPY_SECONDS = 6 * 3600.0
# How often to upload again what the DSS accepted and then does not have, before giving up.
_MAX_REPAIRS = 2


@dataclass(kw_only=True)
class UploadOptions:
    """How to upload; see Client.upload. Raises InvalidInput for a UUID or version that is none."""

    bundle_uuid: str | None = None
    version: str | None = None
    update: bool = False
    staging: str | None = None
    creator_uid: int = 0
    jobs: int = 8
    exclude: Sequence[str] = ()
    follow_links: bool = False
    state: Path | None = None
    keep_staged: bool = False
    checksum: bool = False
    copy_seconds: float = COPY_SECONDS
    progress: Progress = field(default_factory=lambda: Progress(quiet=True))

    def __post_init__(self) -> None:
        if self.bundle_uuid:
            parse(self.bundle_uuid)
        if self.version:
            check_version(self.version)

    def naming(self, url: str) -> BundleNaming:
        """Return what they say about the bundle's name on the DSS at `url`. Raises InvalidInput."""
        uuid = uuid_to_write(self.bundle_uuid, url) if self.bundle_uuid else None
        return BundleNaming(bundle_uuid=uuid, version=self.version, update=self.update)


def upload(
    session: Session, directory: Path, options: UploadOptions, staging: Staging | None = None
) -> UploadReport:
    """Make a directory a bundle version on the session's replica, and remove what was staged for it.

    The next call does only what is missing: after an interruption the rest of the same bundle version; after
    success nothing if the directory is unchanged, else a new bundle, or with `update` a new version of the
    same one, in which files that changed are new versions too (dss.transfer.upload_plan). Files that fail are
    in the report's `failed`; all others are done, but the bundle is not PUT then.

    Raises InvalidInput, before anything is done, for names that a bundle can't hold, or without a token or
    staging bucket, or without a bundle to update; Busy if another process uploads the same directory;
    CallFailed if the DSS refuses the bundle; NotRecorded if the state can't be written. `staging` replaces
    the bucket that options or environment name.
    """
    session = session.renewed()
    local_files, report = begin(session, directory, options)
    staging = staging or staging_for(session.replica, options.staging or session.settings.staging_bucket)
    identity = {"url": session.url, "replica": session.replica}
    with open_state(Path(report.state), directory=directory.resolve(), **identity) as state:
        if state.unreadable_lines:
            lines = f"{state.unreadable_lines} unreadable lines"
            options.progress.note(f"{state.path}: {lines}; repeating those steps")
        _Upload(session, directory, local_files, staging, state, options, report).run()
    report.close()
    return report


def begin(session: Session, directory: Path, options: UploadOptions) -> tuple[list[LocalFile], UploadReport]:
    """Return the files of a directory, and the report of an upload that has not begun.

    Raises NoToken, and InvalidInput for files that a bundle can't hold.
    """
    if not session.token:
        raise NoToken("an upload needs a token; run `dss login`, give --token or set DSS_TOKEN")
    empty: list[str] = []
    local_files = scan(
        directory, options.exclude, follow_links=options.follow_links, on_empty_directory=empty.append
    )
    path = options.state or default_path(directory, session.url, session.replica)
    report = UploadReport(replica=session.replica, state=str(path), files=len(local_files))
    report.bytes = sum(file.size for file in local_files)
    report.warnings += [f"{name!r} is an empty directory, which a bundle can't hold" for name in empty]
    return local_files, report


class _Upload:
    def __init__(
        self,
        session: Session,
        directory: Path,
        files: Sequence[LocalFile],
        staging: Staging,
        state: UploadState,
        options: UploadOptions,
        report: UploadReport,
    ) -> None:
        self._session = session
        self._directory = directory
        self._files = files
        self._staging = staging
        self._state = state
        self._options = options
        self._report = report
        self._progress = options.progress
        self._repairs = 0
        self._naming = options.naming(session.url)
        self._attempts = Attempts(report, session.clock, jobs=options.jobs)
        how = FileOptions(
            creator_uid=options.creator_uid,
            renames=not self._naming.updates(state.bundle),
            checksum=options.checksum,
            copy_seconds=options.copy_seconds,
        )
        self._uploads = FileUploads(session, staging, state, report, self._attempts, how)

    def run(self) -> None:
        self._name_bundle()
        while True:
            phases = UploadPhases(self._progress, items=self._report.files, size=self._report.bytes)
            last = self._progress.phase("bundle", items=1, unit="bundles")
            self._uploads.run(self._files, phases)
            if self._report.failed:
                break
            if self._bundle():
                last.advance(items=1)
                break
        if self._report.ok and not self._options.keep_staged:
            self._remove_staged()

    # The bundle

    def _name_bundle(self) -> None:
        """Record the bundle's UUID and version before the first file, so that every run means the same."""
        known = self._state.bundle
        entry = self._naming.first(known, self._session.clock)
        if entry is not known:
            self._new_bundle(entry)
        elif not known.done:
            self._show(known)

    def _new_bundle(self, entry: BundleEntry) -> BundleEntry:
        before = self._state.bundle
        if before and before.done and entry.uuid != before.uuid and not self._naming.bundle_uuid:
            self._report.warnings.append(was_bundle(self._directory, before))
        return self._show(self._state.record_bundle(entry))

    def _show(self, entry: BundleEntry) -> BundleEntry:
        self._report.uuid, self._report.version = entry.uuid, entry.version
        return entry

    def _bundle(self) -> bool:
        """PUT the bundle; return False if the DSS lacks files, which have to be done again."""
        rows = rows_of([self._state.files[file.name] for file in self._files])
        digest = digest_of(rows, self._options.creator_uid)
        entry = self._state.bundle
        assert entry is not None, "named before the first file"
        if entry.done and entry.digest == digest:
            if bundles.has_bundle(self._session, entry.uuid, entry.version):
                self._show(entry)
                self._report.already_there = True
                return True
            self._progress.note(f"bundle {entry.uuid}.{entry.version} no longer exists; making a new one")
            name = self._naming.bundle_uuid or str(uuid.uuid4())
            self._show(self._state.record_bundle(BundleEntry(uuid=name, version=self._fresh_version())))
            self._forget_missing()
            return False
        if entry.digest and entry.digest != digest:
            # That version was PUT, or may have been, with other files; a version never changes.
            entry = self._new_bundle(self._naming.after_change(entry, self._session.clock))
        entry = self._state.record_bundle(replace(entry, digest=digest))
        try:
            bundles.put_bundle(
                self._session, entry.uuid, entry.version, rows, creator_uid=self._options.creator_uid
            )
        except CallFailed as error:
            self._repairs += 1
            if error.code == "file_missing" and self._repairs <= _MAX_REPAIRS and self._forget_missing():
                self._progress.note(
                    "the DSS no longer has some files of an earlier run; uploading them again"
                )
                return False
            raise
        self._state.record_bundle(replace(entry, done=True))
        return True

    def _fresh_version(self) -> str:
        return self._options.version or new_version(self._session.clock)

    def _forget_missing(self) -> bool:
        """Reset the state of files that the DSS does not have; return whether there are any."""
        missing: list[str] = []

        def look(file: LocalFile) -> None:
            entry = self._state.files[file.name]
            if files.head_file(self._session, entry.uuid, entry.version) is None:
                self._state.record_file(replace(entry, put=False, staged=None))
                missing.append(entry.name)

        self._attempts.each(self._files, look, lambda file: file.name)
        return bool(missing)

    def _remove_staged(self) -> None:
        def remove(entry: FileEntry) -> None:
            try:
                self._staging.delete(str(entry.staged))
            except ClientError as error:
                self._report.warnings.append(f"left behind in the staging bucket: {error}")
            else:
                self._state.record_file(replace(entry, staged=None))

        staged = [entry for entry in self._state.files.values() if entry.staged]
        self._attempts.each(staged, remove, lambda entry: entry.name)
