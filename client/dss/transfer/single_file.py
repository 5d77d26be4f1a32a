"""One file version from the DSS to a path, or to a pipe."""

import hashlib
import os
from pathlib import Path

from dss.api.client import ApiClient
from dss.errors import WrongContent
from dss.progress import Meter
from dss.reports import DownloadReport
from dss.transfer.download import is_there
from dss.transfer.fetching import Content, FileFetcher, RangeReader
from dss.transfer.names import safe_target
from dss.transfer.parallel import for_each, only_process, threads
from dss.transfer.ranges import ByteRange, PartFile


def fetch_file(
    client: ApiClient,
    uuid: str,
    version: str | None,
    output: Path,
    *,
    jobs: int = 8,
    meter: Meter | None = None,
) -> DownloadReport:
    """Fetch one file version to a path, with the promises of `dss.transfer.download.download`.

    What is unfinished lies beside it as `.dss-*.part` for the next call. Raises what went wrong.
    """
    client, meter = client.renewed(), meter or Meter()
    head, source = client.get_file(uuid, version)
    directory = output.absolute().parent
    report = DownloadReport(
        uuid=uuid,
        version=head.version,
        replica=client.replica,
        files=1,
        bytes=head.size,
        directory=str(directory),
    )
    content = Content(source=source, size=head.size, sha256=head.checksums["sha256"])
    meter.expect(1, head.size)
    target = safe_target(directory, output.name)
    if is_there(target, content, client.clock):
        report.skipped = 1
    else:
        _fetch(client, content, target, jobs, meter, report)
    meter.file_done()
    report.close()
    return report


def _fetch(
    client: ApiClient, content: Content, target: Path, jobs: int, meter: Meter, report: DownloadReport
) -> None:
    label = hashlib.sha256(f"{target.name}\n{report.uuid}.{report.version}".encode()).hexdigest()[:32]
    part = target.with_name(f".dss-{label}.part")
    lock = target.with_name(f".dss-{label}.lock")
    with only_process(lock, str(target)), threads(jobs, client.clock) as ranges:
        fetcher = FileFetcher(client.transport, ranges, meter)

        def fetch(wanted: Content) -> None:
            file = PartFile(part, size=wanted.size, sha256=wanted.sha256)
            report.count(received=fetcher.fetch(wanted, target, file), downloaded=1)

        try:
            # In a thread, so that Ctrl-C finds this one waiting, and stops the others.
            for_each([content], fetch, jobs=1, clock=client.clock)
        finally:
            lock.unlink(missing_ok=True)


def stream_file(client: ApiClient, uuid: str, version: str | None, descriptor: int) -> None:
    """Write one file version to a descriptor (stdout, say) in order, and verify it on the way.

    Raises WrongContent at the end, when it is too late to take anything back, where sha256 is wrong.
    """
    head, source = client.get_file(uuid, version)
    digest = hashlib.sha256()

    def sink(position: int, data: bytes) -> None:
        del position  # a pipe has none; a range is read in order
        digest.update(data)
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    content = Content(source=source, size=head.size, sha256=head.checksums["sha256"])
    RangeReader(client.transport).read(content, ByteRange(0, head.size), sink)
    if digest.hexdigest() != content.sha256:
        raise WrongContent(f"sha256: {digest.hexdigest()} arrived, the DSS promised {content.sha256}")
