"""Exports on a disk: `DIR/UUID.VERSION`, made beside it and renamed when it is complete."""

from pathlib import Path

from dss.api.session import Session
from dss.errors import InvalidInput
from dss.export.contents import Contents, TagFiles
from dss.export.export import ExportOptions
from dss.export.forms import Form
from dss.export.reports import ExportReport
from dss.progress import Progress
from dss.transfer.comparison import compare, content_in, content_of
from dss.transfer.download import DownloadOptions, download
from dss.transfer.download_record import DownloadRecord
from dss.transfer.parallel import only_process
from dss.transfer.placement import longest_step

# Files that an error names.
_LISTED = 3


class DirectoryDestination:
    """A directory, which is made if it does not exist. Raises InvalidInput if it is a file."""

    def __init__(self, session: Session, directory: Path) -> None:
        self._session = session
        self._directory = directory
        if directory.exists() and not directory.is_dir():
            raise InvalidInput(f"--to: {directory} is not a directory")
        self.longest = longest_step(directory.absolute())

    def location_of(self, contents: Contents, form: Form) -> str:
        """See Destination."""
        del form
        return str(self._directory / contents.fqid)

    def has(self, contents: Contents, tag_files: TagFiles, options: ExportOptions) -> bool:
        """See Destination. Reads all of it."""
        target = Path(self.location_of(contents, options.form))
        if not target.exists() and not target.is_symlink():
            return False
        wrong = _differences(target, contents, tag_files, options, self._session)
        if wrong:
            more = f" and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
            raise InvalidInput(
                f"{target} is no such export, or was changed: {', '.join(wrong[:_LISTED])}{more}; "
                "remove it, or give another --to"
            )
        return True

    def write(
        self, contents: Contents, tag_files: TagFiles, options: ExportOptions, report: ExportReport
    ) -> bool:
        """See Destination. What was fetched before an interruption is not fetched again."""
        form, target = options.form, Path(self.location_of(contents, options.form))
        # An export of another form has its files elsewhere.
        part = self._directory / f".dss-export-{form.name}-{contents.fqid}"
        if part.is_symlink():
            raise InvalidInput(f"{part} is a symbolic link; remove it")
        self._directory.mkdir(parents=True, exist_ok=True)
        with only_process(self._directory, f"an export to {self._directory}"):
            payload = part / form.payload
            payload.mkdir(parents=True, exist_ok=True)
            if not form.holey and not self._fetch(contents, payload, options, report):
                return False
            for name, content in tag_files:
                (part / name).write_bytes(content)
            part.rename(target)
        if not form.holey:
            self._note(contents, target / form.payload)
        return True

    def _fetch(self, contents: Contents, payload: Path, options: ExportOptions, report: ExportReport) -> bool:
        fetching = DownloadOptions(to=payload, jobs=options.jobs, progress=options.progress)
        files = contents.files
        done = download(self._session, files.uuid, files.version, fetching)
        report.failed += [
            type(failure)(name=f"{files.fqid}/{failure.name}", why=failure.why) for failure in done.failed
        ]
        report.warnings += [f"{files.fqid}: {warning}" for warning in done.warnings]
        return done.ok

    def _note(self, contents: Contents, directory: Path) -> None:
        """Note which bundle is there, for `dss verify`."""
        files = contents.files
        DownloadRecord(
            directory=str(directory.resolve()),
            url=self._session.url,
            uuid=files.uuid,
            version=files.version,
        ).keep()


def _differences(
    target: Path, contents: Contents, tag_files: TagFiles, options: ExportOptions, session: Session
) -> list[str]:
    """Return what makes a directory another one than the export of a bundle."""
    form = options.form
    payload = target / form.payload
    if target.is_symlink() or not payload.is_dir():
        return [f"it has no directory {form.payload}" if form.payload else "it is not a directory"]
    wrong = [
        f"its {name} is another one, or missing"
        for name, content in tag_files
        if name == form.telling and not _holds(target / name, content)
    ]
    if wrong:
        return wrong
    missing = [name for name, _ in tag_files if not (target / name).is_file()]
    inside = content_in(
        payload, contents.files, jobs=options.jobs, clock=session.clock, progress=Progress(quiet=True)
    )
    for name, _ in tag_files if not form.payload else ():
        inside.pop(name, None)
    found = compare(contents.fqid, content_of(contents.files), str(target), inside)
    # Somebody may have fetched files of a holey bag.
    removed = () if form.holey else found.removed
    return [
        *(f"{name} is missing" for name in [*missing, *removed]),
        *(f"{name} has other content" for name in found.changed),
        *(f"{name} is no part of it" for name in found.added),
    ]


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content
