"""The files that a manifest names, from the DSS to a directory: parallel, resumable, verified."""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import closing
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any

from dss.api.files import FileHead, SignedUrl, get_file
from dss.api.session import Session
from dss.atomic_files import replacing
from dss.errors import Interrupted, InvalidInput, WrongContent
from dss.manifests.entries import BadEntry, Entry, entries, entry_of
from dss.manifests.formats import Form, form_of, rows
from dss.manifests.rows import COLUMNS
from dss.manifests.table import Table
from dss.reports import ManifestReport
from dss.suggestions import suggestion
from dss.transfer.download import DownloadOptions
from dss.transfer.fetching import Content, FetchPhases
from dss.transfer.manifest_plan import Plan, PlannedFile
from dss.transfer.names import is_safe
from dss.transfer.parallel import only_process
from dss.transfer.placement import Rehearsal, longest_step
from dss.transfer.targets import fetch_targets, work_directory

# In the directory: what the manifest says, with the path of each file.
TABLE_NAME = "downloaded.tsv"
_PATH_COLUMN = "file_path"
# So many lines that are wrong, and files that fail, are reported each; more of them have one cause.
_MOST_PROBLEMS = 1_000
_MOST_FAILURES = 10_000
_MOST_PLACED = 1_000
_MOST_NAMES = 10_000


def download_manifest(
    session: Session,
    stream: IO[bytes],
    options: DownloadOptions,
    *,
    name: str,
    catalog: str | None = None,
    rehearsal: Rehearsal | None = None,
) -> ManifestReport:
    """Fetch the files that a manifest names, with the guarantees of `dss.transfer.download.download`.

    The manifest is a stream that can seek, called `name` in the report; a file on disk holds what is in it,
    not the memory. All of it is read before anything is fetched. A file goes to BUNDLE_UUID.VERSION/NAME in
    the directory; to FILE_UUID.VERSION/NAME if the manifest names no bundle, and where the manifest says if
    it does. At the end `downloaded.tsv` in the directory has what the manifest says of each file that is
    there, and its path.

    What a line or entity names that can't be fetched is in the report's `failed`; all other files are done.
    Raises InvalidInput, and nothing was done, if the manifest is of no known form, cut or damaged, lacks
    columns, names nothing, or has more than 1,000 wrong lines; MissingExtra, NoCatalogue, Busy.
    """
    session = session.renewed()
    start = stream.tell()
    form = form_of(stream)
    directory = Path(options.to or _stem(name)).absolute()
    report = ManifestReport(replica=session.replica, directory=str(directory), manifest=name, form=form.name)
    with closing(Plan()) as plan:
        _read(session, rows(stream, form), plan, options, catalog, report)
        report.files = plan.files + len(report.failed)
        report.bytes = plan.size
        directory.mkdir(parents=True, exist_ok=True)
        with only_process(directory, f"{directory}"), work_directory(directory) as work:
            _settle(plan, directory, rehearsal or Rehearsal(work / "names"), report)
            _fetch(session, plan, directory, work, options, report)
            stream.seek(start)
            _write_table(plan, directory, stream, form, report)
    report.close()
    return report


def _stem(name: str) -> str:
    stem = Path(name).name.partition(".")[0]
    return stem if is_safe(stem) else "manifest"


def _read(
    session: Session,
    found: Iterator[Any],
    plan: Plan,
    options: DownloadOptions,
    catalog: str | None,
    report: ManifestReport,
) -> None:
    """Plan what a manifest names, and report what of it can't be fetched."""
    reading = options.progress.phase("read")
    filter_ = _Names(options.names)
    for entry in entries(session, found, catalog):
        session.clock.check()
        reading.advance(items=1)
        try:
            if isinstance(entry, BadEntry):
                raise InvalidInput(entry.why)
            if filter_.wants(entry):
                plan.add(entry)
        except InvalidInput as error:
            report.fail(f"{entry.place}: {entry.name}" if entry.name else entry.place, error)
            if len(report.failed) > _MOST_PROBLEMS:
                first = report.failed[0]
                raise InvalidInput(
                    f"more than {_MOST_PROBLEMS:,} lines of the manifest are wrong, and nothing was fetched; "
                    f"the first: {first.name}: {first.why}"
                ) from error
    reading.expect(items=reading.done.items)
    filter_.check_matched()
    if not plan.files and not report.failed:
        raise InvalidInput("the manifest names no files")


class _Names:
    """The globs of the names that are wanted; all are without globs."""

    def __init__(self, globs: Sequence[str]) -> None:
        self._globs = globs
        self._matched: set[str] = set()
        self._names: list[str] = []

    def wants(self, entry: Entry) -> bool:
        if not self._globs:
            return True
        matching = [glob for glob in self._globs if fnmatchcase(entry.name, glob)]
        self._matched.update(matching)
        if len(self._names) < _MOST_NAMES:
            self._names.append(entry.name)
        return bool(matching)

    def check_matched(self) -> None:
        """Raise InvalidInput, with names that are alike, for globs that no name matches."""
        unmatched = [glob for glob in self._globs if glob not in self._matched]
        if unmatched:
            listed = ", ".join(map(repr, unmatched))
            raise InvalidInput(
                f"no file of the manifest matches {listed}{suggestion(unmatched[0], self._names)}"
            )


def _settle(plan: Plan, directory: Path, rehearsal: Rehearsal, report: ManifestReport) -> None:
    for place, path, other in plan.settle(longest_step(directory), rehearsal):
        why = f"is the same file as {other!r} on this file system; make a manifest of each"
        report.fail(f"{place}: {path}", InvalidInput(why))


def _fetch(
    session: Session,
    plan: Plan,
    directory: Path,
    work: Path,
    options: DownloadOptions,
    report: ManifestReport,
) -> None:
    count = plan.files
    phases = FetchPhases(options.progress, items=count, size=plan.size)
    fetch_targets(
        session,
        _targets(session, plan, count, report),
        directory,
        work,
        report,
        phases=phases,
        jobs=options.jobs,
        range_bytes=options.range_bytes,
        on_done=lambda file: file.note(plan, report),
    )


def _targets(session: Session, plan: Plan, count: int, report: ManifestReport) -> Iterator["_Target"]:
    """Yield what is planned; after too many failures, or a hopeless one, one failure stands for the rest."""
    for number, file in enumerate(plan.planned()):
        rest = f"{count - number:,} more files"
        try:
            session.clock.check()
        except Interrupted as error:
            report.fail(rest, error)
            return
        if len(report.failed) > _MOST_FAILURES:
            report.fail(rest, InvalidInput(f"not tried after {_MOST_FAILURES:,} failures"))
            return
        yield _Target(session, file)


class _Target:
    """A file of a plan, and what is asked of the DSS about it, once it is needed."""

    def __init__(self, session: Session, file: PlannedFile) -> None:
        self._session = session
        self._file = file
        self._content: Content | None = None
        self._version = file.version

    @property
    def name(self) -> str:
        return f"{self._file.place}: {self._file.wanted}"

    @property
    def path(self) -> str:
        return self._file.path

    @property
    def label(self) -> str:
        return f"{self._file.wanted}\n{self._file.uuid}.{self._file.version}"

    def content(self) -> Content:
        """Return what is to be there, as the manifest says, or the DSS if that says too little."""
        file = self._file
        if file.version is None or file.size is None or file.sha256 is None:
            head, source = self._ask()
            self._version = head.version
            self._content = Content(source=source, size=head.size, sha256=head.checksums["sha256"])
        else:
            source = SignedUrl("", lambda: self._ask()[1].url)
            self._content = Content(source=source, size=file.size, sha256=file.sha256)
        return self._content

    def _ask(self) -> tuple[FileHead, SignedUrl]:
        """Return what the DSS says of the file. Raises WrongContent if the manifest says something else."""
        file = self._file
        head, source = get_file(self._session, file.uuid, file.version)
        for what, expected, found in (
            ("size", file.size, head.size),
            ("sha256", file.sha256, head.checksums["sha256"]),
        ):
            if expected not in (None, found):
                raise WrongContent(
                    f"{what}: the manifest says {expected}, the DSS {found}; the manifest is damaged, or of "
                    "another DSS; get it again"
                )
        return head, source

    def note(self, plan: Plan, report: ManifestReport) -> None:
        """Note that the file is there, and where, if a directory can't hold its name."""
        file, content = self._file, self._content
        if content and self._version:
            plan.done(file, version=self._version, size=content.size, sha256=content.sha256)
        if file.path != file.wanted and len(report.placed) < _MOST_PLACED:
            report.placed[file.wanted] = file.path
            report.warnings.append(f"{file.wanted!r} is at {file.path!r}: a directory can't hold its name")


def _write_table(plan: Plan, directory: Path, stream: IO[bytes], form: Form, report: ManifestReport) -> None:
    """Write what the manifest says of files, with the path of each that is there, to the directory."""
    path = directory / TABLE_NAME
    if plan.takes(TABLE_NAME):
        report.warnings.append(
            f"there is no table of the files: the manifest has one of them at {TABLE_NAME!r}"
        )
        return
    lines = _lines_of_table(stream, plan) if form.is_table else _lines_of_plan(plan)
    try:
        with replacing(path) as binary:
            text = io.TextIOWrapper(binary, encoding="utf-8", newline="")
            csv.writer(text, dialect="excel-tab").writerows(lines)
            text.flush()
            text.detach()
    except OSError as error:
        report.warnings.append(f"there is no table of the files: {path}: {error.strerror}")
        return
    report.table = str(path)


def _lines_of_plan(plan: Plan) -> Iterator[Sequence[Any]]:
    yield (*COLUMNS, _PATH_COLUMN)
    yield from plan.fetched()


def _lines_of_table(stream: IO[bytes], plan: Plan) -> Iterator[Sequence[Any]]:
    """Yield all lines of a table, with the path of the file of each; an old path is replaced."""
    table = Table(stream)
    try:
        if not table.has_a_line_for_each_file:
            yield from _lines_of_plan(plan)
            return
        kept = [at for at, column in enumerate(table.columns) if column != _PATH_COLUMN]
        yield [*(table.columns[at] for at in kept), _PATH_COLUMN]
        for place, cells in table.records():
            if len(cells) == len(table.columns):
                paths = [
                    plan.path_of(entry)
                    for entry in map(entry_of, table.rows_of(place, cells))
                    if isinstance(entry, Entry)
                ]
                yield [*(cells[at] for at in kept), "".join(paths)]
    finally:
        table.close()
