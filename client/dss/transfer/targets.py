"""Files that a download fetches into a directory, named by a bundle or a manifest."""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from dss.api.session import Session
from dss.errors import InvalidInput
from dss.reports import DownloadReport
from dss.transfer.attempts import Attempts
from dss.transfer.fetching import SMALL_BYTES, Content, FetchPhases, FileFetcher, is_there
from dss.transfer.names import WORK_DIRECTORY, safe_target
from dss.transfer.parallel import threads
from dss.transfer.ranges import PartFile

# Directories that are known to exist; one more costs a system call, and a million a lot of memory.
_MOST_KNOWN = 10_000


class Target(Protocol):
    """A file to fetch: its `name` in the report, and its `path` in the directory.

    `label` is the same whenever the same content is to go to the same path, and no other's.
    """

    @property
    def name(self) -> str:
        """What the report calls it."""
        ...

    @property
    def path(self) -> str:
        """Its path in the directory."""
        ...

    @property
    def label(self) -> str:
        """A text that names content and path."""
        ...

    def content(self) -> Content:
        """Return what is to be there. Raises what asking the DSS for it raises."""
        ...


AnyTarget = TypeVar("AnyTarget", bound=Target)


@contextlib.contextmanager
def work_directory(directory: Path) -> Iterator[Path]:
    """Give a directory in a directory for unfinished files, which stay for the next call."""
    work = directory / WORK_DIRECTORY
    if work.is_symlink():
        raise InvalidInput(f"{work} is a symbolic link")
    work.mkdir(exist_ok=True)
    try:
        yield work
    finally:
        with contextlib.suppress(OSError):
            work.rmdir()


def fetch_targets(
    session: Session,
    targets: Iterable[AnyTarget],
    directory: Path,
    work: Path,
    report: DownloadReport,
    *,
    phases: FetchPhases,
    jobs: int,
    range_bytes: int,
    on_done: Callable[[AnyTarget], None] = lambda _: None,
) -> None:
    """Fetch files into a directory, by way of its work directory; what is there and right is not fetched.

    Files that fail are in the report; `on_done` is called with each of the others. Targets are drawn as they
    are needed.
    """
    # Two pools: files wait for ranges and ranges wait for nothing, so all of them end.
    with threads(jobs, session.clock) as ranges:
        fetcher = FileFetcher(session.transport, ranges, phases)
        made = {directory}

        def fetch(file: AnyTarget) -> None:
            target = safe_target(directory, file.path)
            content = file.content()
            if is_there(target, content, session.clock, phases):
                report.count(skipped=1)
            else:
                if target.parent not in made:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    if len(made) > _MOST_KNOWN:
                        made.clear()
                    made.add(target.parent)
                received = _fetch(fetcher, content, target, _part_of(work, file), range_bytes)
                report.count(downloaded=1, received=received)
            on_done(file)

        Attempts(report, session.clock, jobs=jobs).each(targets, fetch, lambda file: file.name)


def _fetch(fetcher: FileFetcher, content: Content, target: Path, part: Path, range_bytes: int) -> int:
    if content.size <= min(SMALL_BYTES, range_bytes):
        return fetcher.fetch_small(content, target, part)
    # Before anything is written: a file that was removed for good has none.
    _ = content.source.url
    ranges = PartFile(part, size=content.size, sha256=content.sha256, range_bytes=range_bytes)
    return fetcher.fetch(content, target, ranges)


def _part_of(work: Path, file: Target) -> Path:
    # A name may be longer than a file name may be.
    return work / f"{hashlib.sha256(file.label.encode()).hexdigest()[:32]}.part"
