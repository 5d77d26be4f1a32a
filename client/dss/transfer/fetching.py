"""Fetch one file by signed URL: in parallel ranges that resume, verified before it has a name."""

import hashlib
import stat
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path

import requests
import urllib3

from dss.api.files import SignedUrl
from dss.api.signed_get import SignedAnswer
from dss.api.transport import TRANSIENT, Backoff, Transport, reason_of, retry_after_seconds
from dss.clock import Deadline
from dss.errors import ClientError, Interrupted, Unreachable, WrongContent
from dss.progress import Phase, Progress
from dss.stopping import StoppableClock
from dss.transfer.ranges import ByteRange, PartFile, write_whole

_CHUNK_BYTES = 1024 * 1024
# Files up to so many bytes are fetched by one request, into memory.
SMALL_BYTES = 1024 * 1024
# GCS and S3 answer 400 or 403 once a signed URL or the credentials behind it have expired.
_STALE = frozenset({400, 401, 403})
_RENEWALS_WITHOUT_PROGRESS = 2

Sink = Callable[[int, bytes], None]


@dataclass(frozen=True, kw_only=True)
class Content:
    """Bytes to fetch: from where, how many, and their sha256 in lower-case hex."""

    source: SignedUrl
    size: int
    sha256: str


@dataclass
class _Pass:
    """How far one response got, and what ended it."""

    position: int
    failure: ClientError | None = None
    pause: float | None = None
    stale: bool = False


class RangeReader:
    """Reads ranges, and retries broken connections, 5xx and expired URLs."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._clock: StoppableClock = transport.clock

    def read(self, content: Content, part: ByteRange, sink: Sink) -> None:
        """Pass every byte of a range to `sink`, as (position, bytes), in order and once.

        Raises CallFailed, Unreachable or WrongContent if there was no progress for the transport's patience,
        or if a retry is no use.
        """
        self._repeat(content.source, part, lambda url, rest: self._pass(url, content, rest, sink))

    def size_of(self, source: SignedUrl) -> int:
        """Return how many bytes a URL serves. Raises as `read`."""
        lengths: list[int] = []

        def take(answer: SignedAnswer, step: _Pass) -> _Pass:
            if answer.status != 200:
                return self._refused(answer, step)
            length = answer.headers.get("content-length", "")
            if not length.isdecimal():
                raise answer.failure(" (the store does not say how long it is)")
            lengths.append(int(length))
            return step

        self._repeat(source, ByteRange(0, 1), lambda url, part: self._answered(url, None, part.start, take))
        return lengths[-1]

    def _repeat(
        self, source: SignedUrl, part: ByteRange, attempt: Callable[[str, ByteRange], "_Pass"]
    ) -> None:
        """Attempt a range, and then what is left of it, until nothing is, or patience ends."""
        position = part.start
        deadline, backoff, renewals = self._fresh_patience()
        while position < part.end:
            self._clock.check()
            url = source.url
            step = attempt(url, ByteRange(position, part.end))
            if step.failure is None:
                return
            if step.position > position:
                position = step.position
                deadline, backoff, renewals = self._fresh_patience()
            if step.stale and renewals < _RENEWALS_WITHOUT_PROGRESS:
                renewals += 1
                source.renew(url)
                continue
            pause = backoff.next() if step.pause is None else step.pause
            if step.stale or pause >= deadline.remaining():
                raise step.failure
            self._transport.notify(f"{step.failure}; retrying in {pause:.0f} s")
            self._clock.sleep(pause)

    def _fresh_patience(self) -> tuple[Deadline, Backoff, int]:
        return Deadline(self._clock, self._transport.patience), Backoff(), 0

    def _pass(self, url: str, content: Content, part: ByteRange, sink: Sink) -> _Pass:
        whole = part.size == content.size

        def take(answer: SignedAnswer, step: _Pass) -> _Pass:
            if answer.status != (200 if whole else 206):
                return self._refused(answer, step)
            _check_range(answer, content, part, whole=whole)
            self._take(answer, part, step, sink)
            if step.position < part.end:
                place, got = url.partition("?")[0], step.position - part.start
                step.failure = Unreachable(f"{place}: the answer ended after {got} bytes")
            return step

        return self._answered(url, None if whole else f"{part.start}-{part.end - 1}", part.start, take)

    def _answered(
        self, url: str, byte_range: str | None, start: int, take: Callable[[SignedAnswer, _Pass], _Pass]
    ) -> _Pass:
        """Return what `take` makes of an answer; an error of the network is a failure of the step."""
        step = _Pass(start)
        try:
            with self._transport.open_signed(url, byte_range) as answer:
                return take(answer, step)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            step.failure = Unreachable(f"{url.partition('?')[0]}: {reason_of(error)}")
        return step

    def _take(self, answer: SignedAnswer, part: ByteRange, step: _Pass, sink: Sink) -> None:
        for chunk in answer.stream(_CHUNK_BYTES):
            self._clock.check()
            if step.position + len(chunk) > part.end:
                raise WrongContent(f"more bytes arrived than the {part.size} requested")
            sink(step.position, chunk)
            step.position += len(chunk)

    def _refused(self, answer: SignedAnswer, step: _Pass) -> _Pass:
        if answer.status in (200, 206):
            raise answer.failure(" (the store does not serve the requested range)")
        failure = answer.failure()
        if answer.status in _STALE:
            return _Pass(step.position, failure, stale=True)
        if answer.status in TRANSIENT:
            asked = retry_after_seconds(answer.headers.get("retry-after"), self._clock.now())
            return _Pass(step.position, failure, pause=asked)
        raise failure


def _check_range(answer: SignedAnswer, content: Content, part: ByteRange, *, whole: bool) -> None:
    if whole:
        length = answer.headers.get("content-length")
        if length is not None and length.isdecimal() and int(length) != content.size:
            raise WrongContent(f"size: the store has {length} bytes, the DSS promised {content.size}")
        return
    served = answer.headers.get("content-range", "")
    if served.replace(" ", "") != f"bytes{part.start}-{part.end - 1}/{content.size}":
        raise WrongContent(f"the store has other bytes than asked for: {served!r} of {content.size}")


class FetchPhases:
    """The phases of fetching files: their bytes arrive, and then they are verified."""

    def __init__(self, progress: Progress, *, items: int, size: int) -> None:
        self.fetch = progress.phase("fetch", items=items, size=size)
        self.verify = progress.phase("verify", items=items, size=size)


class FileFetcher:
    """Fetches contents into files, each in parallel ranges on an executor that fetches nothing else."""

    def __init__(self, transport: Transport, executor: Executor, phases: FetchPhases) -> None:
        self._reader = RangeReader(transport)
        self._clock = transport.clock
        self._executor = executor
        self._phases = phases

    def fetch(self, content: Content, target: Path, part: PartFile) -> int:
        """Write a file, complete and verified, to `target`; return how many bytes were fetched.

        Raises WrongContent, and leaves nothing behind, if size or sha256 differ from what was promised; any
        other error keeps the complete ranges for the next call.
        """
        try:
            self._phases.fetch.skip(size=part.done_bytes)
            fetched = self._fetch_missing(content, part)
        except WrongContent:
            part.discard()
            raise
        finally:
            part.close()
        part.finish(target)
        return fetched

    def fetch_small(self, content: Content, target: Path, part: Path) -> int:
        """Write a file of SMALL_BYTES at most, as `fetch` does, by way of the path `part`.

        It is in memory until it is verified, so there is nothing to resume.
        """
        received = bytearray()
        self._reader.read(content, ByteRange(0, content.size), lambda _, data: received.extend(data))
        self._phases.fetch.advance(items=1, size=len(received))
        found = hashlib.sha256(received).hexdigest()
        if found != content.sha256:
            raise _other_sha256(found, content)
        self._phases.verify.advance(items=1, size=len(received))
        write_whole(part, received)
        part.replace(target)
        return len(received)

    def _fetch_missing(self, content: Content, part: PartFile) -> int:
        broken = threading.Event()

        def sink(position: int, data: bytes) -> None:
            part.write(position, data)
            self._phases.fetch.advance(size=len(data))

        def fetch(index: int, wanted: ByteRange) -> int:
            if broken.is_set():
                raise Interrupted("another part of the file failed")
            try:
                self._reader.read(content, wanted, sink)
                part.complete(index)
            except BaseException:
                # An error of one range would repeat for the thousands behind it.
                broken.set()
                raise
            return wanted.size

        missing = part.missing()
        futures = {index: self._executor.submit(fetch, index, wanted) for index, wanted in missing}
        try:
            found = self._sha256_in_order(part, futures)
        finally:
            # All ranges end before the file is closed, even if one fails.
            wait(futures.values())
        errors = [error for future in futures.values() if (error := future.exception())]
        for error in sorted(errors, key=lambda error: isinstance(error, Interrupted)):
            raise error
        if found != content.sha256:
            raise _other_sha256(found, content)
        self._phases.fetch.advance(items=1)
        self._phases.verify.advance(items=1)
        return sum(future.result() for future in futures.values())

    def _sha256_in_order(self, part: PartFile, fetched: "Mapping[int, Future[int]]") -> str:
        """Return the sha256 of a file that is being fetched: each range is read once it is there.

        It is empty if a range failed.
        """
        digest = hashlib.sha256()
        for index, wanted in enumerate(part.ranges):
            if index in fetched and fetched[index].exception():
                return ""
            for data in part.read(wanted, _CHUNK_BYTES):
                self._clock.check()
                digest.update(data)
                self._phases.verify.advance(size=len(data))
        return digest.hexdigest()


def is_there(target: Path, content: Content, clock: StoppableClock, phases: FetchPhases) -> bool:
    """Return whether a file has this size and sha256; then it counts as fetched and verified."""
    try:
        status = target.stat()
    except OSError:
        return False
    if not stat.S_ISREG(status.st_mode) or status.st_size != content.size:
        return False
    try:
        verify(target, content, clock, phases.verify)
    except WrongContent:
        phases.verify.advance(size=-content.size)
        return False
    phases.fetch.skip(items=1, size=content.size)
    return True


def sha256_of(path: Path, clock: StoppableClock, reading: Phase) -> str:
    """Return the sha256 of a file in lower-case hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            clock.check()
            digest.update(chunk)
            reading.advance(size=len(chunk))
    return digest.hexdigest()


def verify(path: Path, content: Content, clock: StoppableClock, verifying: Phase) -> None:
    """Raise WrongContent unless a file has the size and sha256 of a content."""
    size = path.stat().st_size
    if size != content.size:
        raise WrongContent(f"size: {size} bytes arrived, the DSS promised {content.size}")
    found = sha256_of(path, clock, verifying)
    if found != content.sha256:
        raise _other_sha256(found, content)
    verifying.advance(items=1)


def _other_sha256(found: str, content: Content) -> WrongContent:
    return WrongContent(f"sha256: {found} arrived, the DSS promised {content.sha256}")
