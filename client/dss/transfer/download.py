"""A bundle from the DSS to a directory: parallel, resumable, verified."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Any

from dss.api import bundles, files
from dss.api.session import Session
from dss.errors import InvalidInput
from dss.progress import Phase, Progress
from dss.reports import DownloadReport
from dss.suggestions import suggestion
from dss.transfer.download_record import DownloadRecord
from dss.transfer.fetching import Content, FetchPhases
from dss.transfer.names import is_safe
from dss.transfer.parallel import only_process, threads
from dss.transfer.placement import Rehearsal, longest_step, place
from dss.transfer.ranges import RANGE_BYTES
from dss.transfer.signed_pages import FIRST_FILES, SignedPages
from dss.transfer.targets import fetch_targets, work_directory

_ADVICE = "fetch one of them with --name, or download to a file system that tells them apart"


@dataclass(kw_only=True)
class DownloadOptions:
    """How to download; see Client.download."""

    to: str | Path | None = None
    names: Sequence[str] = ()
    jobs: int = 8
    range_bytes: int = RANGE_BYTES
    progress: Progress = field(default_factory=lambda: Progress(quiet=True))


@dataclass(frozen=True, kw_only=True)
class _Target:
    name: str
    path: str
    uuid: str
    version: str
    found: Content

    @property
    def label(self) -> str:
        # A bundle may hold one file under two names.
        return f"{self.name}\n{self.uuid}.{self.version}"

    def content(self) -> Content:
        return self.found


def download(
    session: Session,
    uuid: str,
    version: str | None,
    options: DownloadOptions,
    rehearsal: Rehearsal | None = None,
) -> DownloadReport:
    """Fetch the files of a bundle version (default: the newest) into a directory.

    A file gets its name only once its size and sha256 are verified. A file that is there and verified is not
    fetched again; one with other content is replaced. The next call continues what was interrupted. Files
    that fail are in the report's `failed`; all others are done. Names that are one file on this file system
    fail before anything is fetched; `rehearsal` finds them. The report's `placed` has the path of each file
    whose name a directory can't hold.

    Raises CallFailed if the bundle can't be read, InvalidInput if one of `names` matches no file, and Busy if
    another process works on the directory.
    """
    session = session.renewed()
    bundle = _listed(session, uuid, version, options.progress.phase("list"))
    directory = Path(options.to or f"{bundle['uuid']}.{bundle['version']}").absolute()
    report = DownloadReport(
        uuid=bundle["uuid"], version=bundle["version"], replica=session.replica, directory=str(directory)
    )
    rows = _named(bundle["files"], options.names)
    paths = place([str(row.get("name")) for row in bundle["files"]], longest=longest_step(directory))
    with threads(1, session.clock) as signing:
        pages = SignedPages(
            session,
            report.uuid,
            report.version,
            files=len(bundle["files"]),
            first=bundle["signed"],
            executor=signing,
        )
        targets = _choose(session, rows, paths, pages, report)
        report.files = len(targets) + len(report.failed)
        report.bytes = sum(file.found.size for file in targets)
        _download(session, directory, targets, options, rehearsal, report)
    report.close()
    return report


def _download(
    session: Session,
    directory: Path,
    targets: Sequence[_Target],
    options: DownloadOptions,
    rehearsal: Rehearsal | None,
    report: DownloadReport,
) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with only_process(directory, f"{directory}"), work_directory(directory) as work:
        DownloadRecord.of(report, session.url, options.names).keep()
        placed = _without_collisions(targets, rehearsal or Rehearsal(work / "names"), report)
        size = sum(file.found.size for file in placed)
        fetch_targets(
            session,
            placed,
            directory,
            work,
            report,
            phases=FetchPhases(options.progress, items=len(placed), size=size),
            jobs=options.jobs,
            range_bytes=options.range_bytes,
        )


def _listed(session: Session, uuid: str, version: str | None, listing: Phase) -> dict[str, Any]:
    """Return a bundle version with all its `files`, and with `signed`: the first of them, with their URLs."""
    first, has_more = bundles.signed_page(session, uuid, version, start=0, count=FIRST_FILES)
    rows: list[dict[str, Any]] = [*first["files"]]
    listing.advance(items=len(rows))
    if has_more:
        pinned, start = first["version"], len(rows)
        for page in bundles.bundle_pages(session, uuid, pinned, presigned=False, direct=False, start=start):
            rows += page["files"]
            listing.advance(items=len(page["files"]))
    listing.expect(items=len(rows))
    return {**first, "files": rows, "signed": first["files"]}


def _named(rows: Sequence[dict[str, Any]], globs: Sequence[str]) -> list[tuple[int, dict[str, Any]]]:
    """Return the rows of files whose names match a glob, all without globs; each with its position."""
    names = [str(row.get("name")) for row in rows]
    unmatched = [glob for glob in globs if not any(fnmatchcase(name, glob) for name in names)]
    if unmatched:
        listed = ", ".join(map(repr, unmatched))
        raise InvalidInput(f"no file of the bundle matches {listed}{suggestion(unmatched[0], names)}")
    matched = [not globs or any(fnmatchcase(name, glob) for glob in globs) for name in names]
    return list(compress(enumerate(rows), matched))


def _without_collisions(
    targets: Sequence[_Target], rehearsal: Rehearsal, report: DownloadReport
) -> list[_Target]:
    """Return the files that are files of their own on this file system; note those at another path."""
    pairs = rehearsal.collisions([file.path for file in targets if is_safe(file.path)])
    placed = []
    for file in targets:
        if file.path in pairs:
            other = _distinct(pairs[file.path], file.path)
            report.fail(
                file.name, InvalidInput(f"is the same file as {other} on this file system; {_ADVICE}")
            )
            continue
        placed.append(file)
        if file.path != file.name:
            report.placed[file.name] = file.path
            report.warnings.append(f"{file.name!r} is at {file.path!r}: a directory can't hold its name")
    return placed


def _distinct(name: str, other: str) -> str:
    """Return a name in quotes, with escapes if it looks like the other one."""
    same = unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", other)
    return ascii(name) if same else repr(name)


def _choose(
    session: Session,
    rows: Sequence[tuple[int, dict[str, Any]]],
    paths: Mapping[str, str],
    pages: SignedPages,
    report: DownloadReport,
) -> list[_Target]:
    chosen: dict[str, _Target] = {}
    for position, row in rows:
        name = str(row.get("name"))
        try:
            if name in chosen:
                raise InvalidInput("the bundle has another file of this name")
            find = partial(pages.url, position, row["uuid"], row["version"])
            source = files.signed_url(session, row["uuid"], row["version"], "", find)
            content = Content(source=source, size=int(row["size"]), sha256=row["sha256"].lower())
            chosen[name] = _Target(
                name=name, path=paths[name], uuid=row["uuid"], version=row["version"], found=content
            )
        except KeyError as error:
            report.fail(name, InvalidInput(f"the bundle lacks this file's {error}"))
        except InvalidInput as error:
            report.fail(name, error)
    return list(chosen.values())
