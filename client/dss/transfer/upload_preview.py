"""What an upload would do: everything is read that it reads first, and nothing is written."""

from pathlib import Path

from dss.api import bundles
from dss.api.session import Session
from dss.reports import UploadReport
from dss.transfer.directory import LocalFile
from dss.transfer.file_uploads import checksum_file
from dss.transfer.parallel import for_each
from dss.transfer.small_files import SMALL_BYTES
from dss.transfer.staging import Staging, staging_for
from dss.transfer.upload import UploadOptions, begin
from dss.transfer.upload_plan import BundleNaming, digest_of, rows_of, was_bundle
from dss.transfer.upload_state import BundleEntry, RecordedUpload, identity_of


def preview(
    session: Session, directory: Path, options: UploadOptions, staging: Staging | None = None
) -> UploadReport:
    """Return the report of an upload as it would end now: `put` is the number of files that are missing.

    Of these, `staged` are too large for the DSS to take their content itself. `uuid` and `version` are of the
    bundle that would be made, or is there already; empty if the upload would make them up. Raises what
    `upload` raises before it does anything.
    """
    session = session.renewed()
    files, report = begin(session, directory, options)
    report.dry_run = True
    if staging is None:
        staging_for(session.replica, options.staging or session.settings.staging_bucket)
    identity = identity_of(directory.resolve(), session.url, session.replica)
    recorded = RecordedUpload(Path(report.state), identity)
    changed = _changed(session, files, recorded, options)
    report.put = len(changed)
    report.staged = sum(file.size > SMALL_BYTES for file in changed)
    _name(session, directory, files, recorded, options, report)
    report.close()
    return report


def _changed(
    session: Session, files: list[LocalFile], recorded: RecordedUpload, options: UploadOptions
) -> list[LocalFile]:
    """Return the files that the DSS does not have, or has with other content."""
    put = {name: entry for name, entry in recorded.files.items() if entry.put}
    before = [file for file in files if file.name in put]
    same = {file.name for file in before if put[file.name].stamp == file.stamp and not options.checksum}
    unclear = [file for file in before if file.name not in same and put[file.name].stamp.size == file.size]
    hashing = options.progress.phase("hash", items=len(unclear), size=sum(file.size for file in unclear))

    def read(file: LocalFile) -> None:
        if checksum_file(file, session.clock, hashing) == put[file.name].checksums:
            same.add(file.name)

    for_each(unclear, read, jobs=options.jobs, clock=session.clock)
    return [file for file in files if file.name not in same]


def _name(
    session: Session,
    directory: Path,
    files: list[LocalFile],
    recorded: RecordedUpload,
    options: UploadOptions,
    report: UploadReport,
) -> None:
    naming, known = options.naming(session.url), recorded.bundle
    bundle = naming.first(known, session.clock)
    if bundle is known and known.done:
        if not report.put and _is_same(known, files, recorded, options.creator_uid):
            report.already_there = bundles.has_bundle(session, known.uuid, known.version)
        if not report.already_there:
            bundle = naming.after_change(known, session.clock)
            if not naming.bundle_uuid and bundle.uuid != known.uuid:
                report.warnings.append(was_bundle(directory, known))
    report.uuid, report.version = _given(bundle, known, naming)


def _is_same(known: BundleEntry, files: list[LocalFile], recorded: RecordedUpload, creator_uid: int) -> bool:
    rows = rows_of([recorded.files[file.name] for file in files])
    return digest_of(rows, creator_uid) == known.digest


def _given(bundle: BundleEntry, known: BundleEntry | None, naming: BundleNaming) -> tuple[str, str]:
    """Return UUID and version of a bundle as far as they are not made up in this run."""
    if bundle is known:
        return bundle.uuid, bundle.version
    is_known = bundle.uuid == naming.bundle_uuid or (known is not None and bundle.uuid == known.uuid)
    return bundle.uuid if is_known else "", naming.version or ""
