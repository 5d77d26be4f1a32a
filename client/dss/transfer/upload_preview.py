"""What an upload would do: everything is read that it reads first, and nothing is written."""

from pathlib import Path

from dss.api import bundles
from dss.api.session import Session
from dss.errors import NoToken
from dss.reports import UploadReport
from dss.stopping import StoppableClock
from dss.transfer.directory import LocalFile
from dss.transfer.file_uploads import checksum_file
from dss.transfer.staging import Staging, staging_for
from dss.transfer.upload import UploadOptions, begin
from dss.transfer.upload_plan import BundleNaming, digest_of, rows_of, was_bundle
from dss.transfer.upload_state import BundleEntry, RecordedUpload, identity_of


def preview(
    session: Session, directory: Path, options: UploadOptions, staging: Staging | None = None
) -> UploadReport:
    """Return the report of an upload as it would end now: `put` is the number of files that are missing.

    `uuid` and `version` are of the bundle that would be made, or is there already; empty if the upload would
    make them up. Raises what `upload` raises before it does anything.
    """
    if not session.token:
        raise NoToken("an upload needs a token; run `dss login`, give --token or set DSS_TOKEN")
    files, report = begin(session, directory, options)
    report.dry_run = True
    if staging is None:
        staging_for(session.replica, options.staging or session.settings.staging_bucket)
    identity = identity_of(directory.resolve(), session.url, session.replica)
    recorded = RecordedUpload(Path(report.state), identity)
    changed = [file for file in files if not _is_done(file, recorded, options, session.clock)]
    report.put = report.staged = len(changed)
    _name(session, directory, files, recorded, options, report)
    report.close()
    return report


def _is_done(
    file: LocalFile, recorded: RecordedUpload, options: UploadOptions, clock: StoppableClock
) -> bool:
    known = recorded.files.get(file.name)
    if known is None or not known.put:
        return False
    if known.stamp == file.stamp and not options.checksum:
        return True
    return known.stamp.size == file.size and known.checksums == checksum_file(file, clock)


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
