"""Copy bundles into a DSS: it takes each file from the blob of the source, inside the cloud."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from dss.api.bundles import bundle, put_bundle
from dss.api.files import put_file, wait_for_file
from dss.api.session import Session
from dss.copying.reports import CopyReport
from dss.copying.sources import Source, SourceBundle, SourceFile, Tagger
from dss.copying.versions import VersionRule, kept
from dss.errors import CallFailed, ClientError, Interrupted, NotFound, OperationFailed
from dss.progress import Progress
from dss.references import Reference
from dss.transfer.attempts import Attempts
from dss.transfer.parallel import threads
from dss.transfer.upload import COPY_SECONDS

# As in Azul's copy_bundles.py: so many workers, and so many attempts, each after a pause a second longer.
WORKERS = 32
ATTEMPTS = 10
# Bundles whose files are under way: so many manifests are in memory.
_BUNDLES_AT_ONCE = 8


@dataclass(kw_only=True)
class CopyOptions:
    """How to copy: `version` gives the versions of copies; `fix_tags` tags blobs of the source that need it.

    `retry_seconds` is by how much each pause is longer than the one before, and `copy_seconds` how long to
    wait for a file that the destination copies in the background.
    """

    version: VersionRule = kept
    fix_tags: bool = False
    jobs: int = WORKERS
    retry_seconds: float = 1.0
    copy_seconds: float = COPY_SECONDS
    dry_run: bool = False
    progress: Progress = field(default_factory=lambda: Progress(quiet=True))


def copy_bundles(
    source: Source, destination: Session, bundles: Sequence[Reference], options: CopyOptions
) -> CopyReport:
    """Copy bundle versions, with their UUIDs, to a DSS, on the replica in whose cloud the source is.

    No content passes through this machine. A bundle is put when all its files are there, and not at all if
    one of them failed; all others are done, and the report's `failed` has what failed. The same call again
    does what is missing. With `dry_run` both sides are only read. `destination` must be of the replica of the
    source.
    """
    session = destination.renewed()
    report = CopyReport(
        replica=source.replica, bundles=len(bundles), destination=session.url, dry_run=options.dry_run
    )
    with threads(options.jobs, session.clock) as executor:
        attempts = Attempts(report, session.clock, jobs=_BUNDLES_AT_ONCE)
        work = _Copy(source, session, executor, attempts, report, options)
        attempts.each(bundles, work.copy, lambda wanted: wanted.fqid)
    report.close()
    return report


class _Copy:
    """The copies of one call."""

    def __init__(
        self,
        source: Source,
        session: Session,
        executor: Executor,
        attempts: Attempts,
        report: CopyReport,
        options: CopyOptions,
    ) -> None:
        self._source = source
        self._session = session
        self._executor = executor
        self._attempts = attempts
        self._report = report
        self._options = options
        self._tagger = Tagger()
        self._counting = threading.Lock()
        self._bundles = options.progress.phase("bundles", items=report.bundles, unit="bundles")
        self._files = options.progress.phase("files", items=0, size=0)

    def copy(self, wanted: Reference) -> None:
        """Copy one bundle. Raises ClientError if that fails for another reason than one of its files."""
        found = self._source.bundle(wanted)
        version = self._options.version(found.version)
        files = {(file.uuid, file.version): file for file in found.files}
        size = sum(file.size for file in files.values())
        with self._counting:
            self._report.count(files=len(files), bytes=size)
            self._files.expect(items=self._report.files, size=self._report.bytes)
        if self._is_there(found, version):
            self._report.count(already_there=1)
            self._files.skip(items=len(files), size=size)
            self._bundles.skip(items=1)
            return
        if self._options.dry_run or self._put(found, version, list(files.values())):
            self._report.count(copied=1)
            self._bundles.advance(items=1)

    def _is_there(self, found: SourceBundle, version: str) -> bool:
        """Return whether the destination has this copy. Raises OperationFailed if it has another one."""
        try:
            there = bundle(self._session, found.uuid, version)
        except NotFound:
            return False
        wanted = {(*self._named(file), file.checksums["sha256"]) for file in found.files}
        if {(*_named(row), row["sha256"]) for row in there["files"]} != wanted:
            raise OperationFailed(
                f"the destination has another bundle {found.uuid}.{version}, of other files; choose another "
                "version with --set-version, --map-version or --new-version"
            )
        return True

    def _named(self, file: SourceFile) -> tuple[str, str, str]:
        return file.name, file.uuid, self._options.version(file.version)

    def _put(self, found: SourceBundle, version: str, files: Sequence[SourceFile]) -> bool:
        """Put the files, then the bundle; return False if a file failed, which is in the report then."""
        if not all(list(self._executor.map(partial(self._put_or_report, found), files))):
            self._session.clock.check()
            return False
        items = []
        for file in found.files:
            name, uuid, file_version = self._named(file)
            items.append({"name": name, "uuid": uuid, "version": file_version, "indexed": file.indexed})
        self._retried(
            lambda: put_bundle(self._session, found.uuid, version, items, creator_uid=0), 400, "file_missing"
        )
        return True

    def _put_or_report(self, found: SourceBundle, file: SourceFile) -> bool:
        """Put a file, and wait until it is there; return False if that failed."""
        try:
            self._session.clock.check()
            self._put_file(file)
        except Interrupted:
            # One line for the bundle will do.
            return False
        except ClientError as error:
            self._attempts.fail(f"{found.fqid}/{file.name}", error)
            return False
        self._files.advance(items=1, size=file.size)
        return True

    def _put_file(self, file: SourceFile) -> None:
        version = self._options.version(file.version)
        put = partial(put_file, self._session, file.uuid, version, file.url)
        try:
            if self._options.fix_tags:
                is_there = self._retried(put, 422, "missing_checksum", partial(self._tagger.tag, file))
            else:
                is_there = put()
        except CallFailed as error:
            if error.code == "missing_checksum" and not self._options.fix_tags:
                raise OperationFailed(f"{error}; --fix-tags tags it, if you may") from error
            raise
        if not is_there:
            wait_for_file(self._session, file.uuid, version, seconds=self._options.copy_seconds)

    def _retried(
        self, work: Callable[[], bool], status: int, code: str, mend: Callable[[], None] = lambda: None
    ) -> bool:
        """Return what `work` does; after this error mend it, pause, and try again, ATTEMPTS times in all."""
        for attempt in range(1, ATTEMPTS):
            try:
                return work()
            except CallFailed as error:
                if (error.status, error.code) != (status, code):
                    raise
            mend()
            self._session.clock.sleep(attempt * self._options.retry_seconds)
        return work()


def _named(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["name"], row["uuid"], row["version"]
