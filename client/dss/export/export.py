"""Export bundles to a directory or a bucket."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dss.api.bundles import bundle
from dss.api.session import Session
from dss.errors import Busy, ClientError, Interrupted, MissingExtra
from dss.export.contents import Contents, TagFiles
from dss.export.forms import Form
from dss.export.reports import ExportReport
from dss.progress import Progress
from dss.references import Reference


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """How to export; see `dss export --help`."""

    form: Form
    jobs: int = 8
    dry_run: bool = False
    progress: Progress = field(default_factory=lambda: Progress(quiet=True))


class Destination(Protocol):
    """Where exports go."""

    # The longest step that a path may have there, in bytes.
    longest: int

    def location_of(self, contents: Contents, form: Form) -> str:
        """Return where the export of a bundle is, or will be."""
        ...

    def has(self, contents: Contents, tag_files: TagFiles, options: ExportOptions) -> bool:
        """Return whether the export is there, complete. Raises InvalidInput if something else is."""
        ...

    def write(
        self, contents: Contents, tag_files: TagFiles, options: ExportOptions, report: ExportReport
    ) -> bool:
        """Write an export, which is there as a whole or not at all.

        Return False if files failed, which are in the report then.
        """
        ...


def export(
    session: Session, bundles: Sequence[Reference], destination: Destination, options: ExportOptions
) -> ExportReport:
    """Export bundle versions, one after the other; each is there as a whole or not at all.

    The same call again does what is missing. The report's `failed` has the bundles and files that failed; the
    others are done. Raises MissingExtra, and Busy if another process exports to the same place.
    """
    report = ExportReport(
        replica=session.replica, form=options.form.name, bundles=len(bundles), dry_run=options.dry_run
    )
    options.form.require()
    phase = options.progress.phase("export", items=len(bundles), unit="bundles")
    for wanted in bundles:
        try:
            _export(session, wanted, destination, options, report)
        except (MissingExtra, Busy, Interrupted):
            # It would be the same for every other bundle.
            raise
        except (ClientError, OSError) as error:
            report.fail(wanted.fqid, error)
        phase.advance(items=1)
    report.close()
    return report


def _export(
    session: Session,
    wanted: Reference,
    destination: Destination,
    options: ExportOptions,
    report: ExportReport,
) -> None:
    listed = bundle(session, wanted.uuid, wanted.version)
    contents = Contents.of(listed, session, longest=destination.longest)
    report.count(files=len(contents.files), bytes=contents.files.size)
    # What can't be exported is found before anything is fetched.
    tag_files = options.form.tag_files(contents)
    if destination.has(contents, tag_files, options):
        report.count(already_there=1)
    elif options.dry_run or destination.write(contents, tag_files, options, report):
        report.count(exported=1)
    else:
        return
    report.locations.append(destination.location_of(contents, options.form))
