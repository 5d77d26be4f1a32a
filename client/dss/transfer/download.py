"""A bundle from the DSS to a directory: parallel, resumable, verified."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from dss.api import bundles, files
from dss.api.session import Session
from dss.errors import ClientError, InvalidInput
from dss.progress import Progress
from dss.reports import DownloadReport
from dss.stopping import StoppableClock
from dss.transfer.fetching import Content, FileFetcher, sha256_of
from dss.transfer.names import WORK_DIRECTORY, safe_target
from dss.transfer.parallel import for_each, only_process, threads
from dss.transfer.ranges import RANGE_BYTES, PartFile


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
    uuid: str
    version: str
    content: Content


def download(session: Session, uuid: str, version: str | None, options: DownloadOptions) -> DownloadReport:
    """Fetch the files of a bundle version (default: the newest) into a directory.

    A file gets its name only once its size and sha256 are verified. A file that is there and verified is not
    fetched again; one with other content is replaced. The next call continues what was interrupted. Files
    that fail are in the report's `failed`; all others are done.

    Raises CallFailed if the bundle can't be read, and Busy if another process works on the directory.
    """
    session = session.renewed()
    bundle = bundles.bundle(session, uuid, version, presigned=True)
    directory = Path(options.to or f"{bundle['uuid']}.{bundle['version']}").absolute()
    report = DownloadReport(
        uuid=bundle["uuid"], version=bundle["version"], replica=session.replica, directory=str(directory)
    )
    targets = _choose(session, bundle["files"], options.names, report)
    report.files = len(targets) + len(report.failed)
    report.bytes = sum(file.content.size for file in targets)
    options.progress.expect(report.bytes, files=len(targets))
    directory.mkdir(parents=True, exist_ok=True)
    with only_process(directory, f"{directory}"), _work_directory(directory) as work:
        _fetch_all(session, targets, directory, work, options, report)
    report.close()
    return report


def _choose(
    session: Session, rows: Sequence[dict[str, Any]], globs: Sequence[str], report: DownloadReport
) -> list[_Target]:
    chosen: dict[str, _Target] = {}
    for row in rows:
        name = str(row.get("name"))
        if globs and not any(fnmatchcase(name, glob) for glob in globs):
            continue
        try:
            if name in chosen:
                raise InvalidInput("the bundle has another file of this name")
            source = files.signed_url(session, row["uuid"], row["version"], row["url"])
            content = Content(source=source, size=int(row["size"]), sha256=row["sha256"].lower())
            chosen[name] = _Target(name=name, uuid=row["uuid"], version=row["version"], content=content)
        except KeyError as error:
            report.fail(name, InvalidInput(f"the bundle lacks this file's {error}"))
        except InvalidInput as error:
            report.fail(name, error)
    return list(chosen.values())


@contextlib.contextmanager
def _work_directory(directory: Path) -> Iterator[Path]:
    work = directory / WORK_DIRECTORY
    if work.is_symlink():
        raise InvalidInput(f"{work} is a symbolic link")
    work.mkdir(exist_ok=True)
    try:
        yield work
    finally:
        # Unfinished files stay for the next call.
        with contextlib.suppress(OSError):
            work.rmdir()


def _fetch_all(
    session: Session,
    targets: Sequence[_Target],
    directory: Path,
    work: Path,
    options: DownloadOptions,
    report: DownloadReport,
) -> None:
    # Two pools: files wait for ranges and ranges wait for nothing, so all of them end.
    with threads(options.jobs, session.clock) as ranges:
        fetcher = FileFetcher(session.transport, ranges, options.progress)

        def fetch(file: _Target) -> None:
            try:
                target = safe_target(directory, file.name)
                if is_there(target, file.content, session.clock):
                    report.count(skipped=1)
                    options.progress.advance(file.content.size)
                else:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    part = _part_of(work, file, options.range_bytes)
                    received = fetcher.fetch(file.content, target, part)
                    report.count(downloaded=1, received=received)
                options.progress.file_done()
            except (ClientError, OSError) as error:
                report.fail(file.name, error)

        for_each(targets, fetch, jobs=options.jobs, clock=session.clock)


def is_there(target: Path, content: Content, clock: StoppableClock) -> bool:
    """Return whether a file has this size and sha256."""
    if not target.is_file() or target.stat().st_size != content.size:
        return False
    return sha256_of(target, clock) == content.sha256


def _part_of(work: Path, file: _Target, range_bytes: int) -> PartFile:
    # A bundle may hold one file under two names, and a name may be longer than a file name may be.
    label = hashlib.sha256(f"{file.name}\n{file.uuid}.{file.version}".encode()).hexdigest()[:32]
    path = work / f"{label}.part"
    return PartFile(path, size=file.content.size, sha256=file.content.sha256, range_bytes=range_bytes)
