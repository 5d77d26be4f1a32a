"""Fetch one file version to a path, or to a pipe."""

import hashlib
from pathlib import Path
from typing import BinaryIO

from dss.api.files import get_file
from dss.api.session import Session
from dss.progress import Progress
from dss.reading import RemoteFile
from dss.reports import DownloadReport
from dss.transfer.fetching import Content, FetchPhases, FileFetcher, is_there
from dss.transfer.names import safe_target
from dss.transfer.parallel import for_each, only_process, threads
from dss.transfer.ranges import PartFile


def fetch_file(
    session: Session,
    uuid: str,
    version: str | None,
    output: Path,
    *,
    jobs: int = 8,
    progress: Progress | None = None,
) -> DownloadReport:
    """Fetch one file version to a path, verified, with the guarantees of `dss.transfer.download.download`.

    Unfinished content stays beside it as `.dss-*.part` for the next call.
    """
    session, progress = session.renewed(), progress or Progress(quiet=True)
    head, source = get_file(session, uuid, version)
    directory = output.absolute().parent
    report = DownloadReport(
        uuid=uuid,
        version=head.version,
        replica=session.replica,
        files=1,
        bytes=head.size,
        directory=str(directory),
    )
    content = Content(source=source, size=head.size, sha256=head.checksums["sha256"])
    phases = FetchPhases(progress, items=1, size=head.size)
    target = safe_target(directory, output.name)
    if is_there(target, content, session.clock, phases):
        report.skipped = 1
    else:
        _fetch(session, content, target, jobs, phases, report)
    report.close()
    return report


def _fetch(
    session: Session, content: Content, target: Path, jobs: int, phases: FetchPhases, report: DownloadReport
) -> None:
    label = hashlib.sha256(f"{target.name}\n{report.uuid}.{report.version}".encode()).hexdigest()[:32]
    part = target.with_name(f".dss-{label}.part")
    lock = target.with_name(f".dss-{label}.lock")
    with only_process(lock, str(target)), threads(jobs, session.clock) as ranges:
        fetcher = FileFetcher(session.transport, ranges, phases)

        def fetch(content: Content) -> None:
            file = PartFile(part, size=content.size, sha256=content.sha256)
            report.count(received=fetcher.fetch(content, target, file), downloaded=1)

        try:
            # In a thread: Ctrl-C then finds this thread waiting, and stops the others.
            for_each([content], fetch, jobs=1, clock=session.clock)
        finally:
            lock.unlink(missing_ok=True)


def stream_file(session: Session, uuid: str, version: str | None, output: BinaryIO) -> None:
    """Write one file version to a stream, as `write_file` does."""
    head, source = get_file(session, uuid, version)
    row = {"uuid": uuid, "version": head.version, "url": source.url, "size": head.size}
    write_file(RemoteFile(session, {**row, "sha256": head.checksums["sha256"]}), output)


def write_file(file: RemoteFile, output: BinaryIO) -> None:
    """Write a file to a stream (stdout, say) in order, and verify it on the way.

    Raises WrongContent at the end, when most is written, if the sha256 is wrong.
    """

    def write(data: bytes) -> None:
        # A stream without a buffer, as stdout is with `python -u`, may take a part only.
        view = memoryview(data)
        while view:
            view = view[output.write(view) :]

    try:
        file.copy_to(write)
    finally:
        output.flush()
