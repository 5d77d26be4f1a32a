"""A bundle from the DSS to a directory: parallel, resumable, verified."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from dss.api.client import ApiClient
from dss.errors import CliError, Refused
from dss.progress import Meter
from dss.reports import DownloadReport
from dss.stopping import StoppableClock
from dss.transfer.fetching import Content, FileFetcher, sha256_of
from dss.transfer.names import WORK_DIRECTORY, safe_target
from dss.transfer.parallel import for_each, only_process, threads
from dss.transfer.ranges import RANGE_BYTES, PartFile


@dataclass(kw_only=True)
class DownloadOptions:
    """Where to (`{uuid}.{version}` in the working directory, unless given), which names, how parallel."""

    to: str | Path | None = None
    names: Sequence[str] = ()
    jobs: int = 8
    range_bytes: int = RANGE_BYTES
    meter: Meter = field(default_factory=Meter)


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    name: str
    uuid: str
    version: str
    content: Content


def download(client: ApiClient, uuid: str, version: str | None, options: DownloadOptions) -> DownloadReport:
    """Fetch the files of a bundle version (the newest, unless given) into a directory.

    A file has its name there only once its size and sha256 are verified; one that is there and verified is
    not fetched again, one with other content is replaced. What was interrupted is taken up by the next
    call. Files that fail are in the report's `failed`, all others are done all the same.

    Raises CallFailed for a bundle that can't be read, Refused where another process is busy there.
    """
    client = client.renewed()
    bundle = client.bundle(uuid, version, presigned=True)
    directory = Path(options.to or f"{bundle['uuid']}.{bundle['version']}").absolute()
    report = DownloadReport(
        uuid=bundle["uuid"], version=bundle["version"], replica=client.replica, directory=str(directory)
    )
    wanted = _choose(client, bundle["files"], options.names, report)
    report.files = len(wanted) + len(report.failed)
    report.bytes = sum(file.content.size for file in wanted)
    options.meter.expect(len(wanted), report.bytes)
    directory.mkdir(parents=True, exist_ok=True)
    with only_process(directory, f"{directory}"), _work_directory(directory) as work:
        _fetch_all(client, wanted, directory, work, options, report)
    report.close()
    return report


def _choose(
    client: ApiClient, rows: Sequence[dict[str, Any]], globs: Sequence[str], report: DownloadReport
) -> list[_Wanted]:
    chosen: dict[str, _Wanted] = {}
    for row in rows:
        name = str(row.get("name"))
        if globs and not any(fnmatchcase(name, glob) for glob in globs):
            continue
        try:
            if name in chosen:
                raise Refused("the bundle has another file of this name")
            source = client.signed_url(row["uuid"], row["version"], row["url"])
            content = Content(source=source, size=int(row["size"]), sha256=row["sha256"].lower())
            chosen[name] = _Wanted(name=name, uuid=row["uuid"], version=row["version"], content=content)
        except KeyError as error:
            report.fail(name, Refused(f"the bundle does not tell this file's {error}"))
        except Refused as error:
            report.fail(name, error)
    return list(chosen.values())


@contextlib.contextmanager
def _work_directory(directory: Path) -> Iterator[Path]:
    work = directory / WORK_DIRECTORY
    if work.is_symlink():
        raise Refused(f"{work} is a symbolic link")
    work.mkdir(exist_ok=True)
    try:
        yield work
    finally:
        # What is left in it is for the next call.
        with contextlib.suppress(OSError):
            work.rmdir()


def _fetch_all(
    client: ApiClient,
    wanted: Sequence[_Wanted],
    directory: Path,
    work: Path,
    options: DownloadOptions,
    report: DownloadReport,
) -> None:
    # Two pools: files wait for ranges, and ranges wait for nobody, so all of them come to an end.
    with threads(options.jobs, client.clock) as ranges:
        fetcher = FileFetcher(client.transport, ranges, options.meter)

        def fetch(file: _Wanted) -> None:
            try:
                target = safe_target(directory, file.name)
                if is_there(target, file.content, client.clock):
                    report.count(skipped=1)
                    options.meter.advance(file.content.size)
                else:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    part = _part_of(work, file, options.range_bytes)
                    received = fetcher.fetch(file.content, target, part)
                    report.count(downloaded=1, received=received)
                options.meter.file_done()
            except (CliError, OSError) as error:
                report.fail(file.name, error)

        for_each(wanted, fetch, jobs=options.jobs, clock=client.clock)


def is_there(target: Path, content: Content, clock: StoppableClock) -> bool:
    """Tell whether a file holds a content, by size and sha256."""
    if not target.is_file() or target.stat().st_size != content.size:
        return False
    return sha256_of(target, clock) == content.sha256


def _part_of(work: Path, file: _Wanted, range_bytes: int) -> PartFile:
    # A bundle may hold one file under two names, and a name may be longer than a file name may be.
    label = hashlib.sha256(f"{file.name}\n{file.uuid}.{file.version}".encode()).hexdigest()[:32]
    path = work / f"{label}.part"
    return PartFile(path, size=file.content.size, sha256=file.content.sha256, range_bytes=range_bytes)
