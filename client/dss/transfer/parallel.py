"""Work in threads that Ctrl-C ends, and locks that keep other processes out."""

import contextlib
import errno
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TypeVar, cast

from dss.errors import Busy
from dss.stopping import StoppableClock

T = TypeVar("T")
R = TypeVar("R")
_END = object()


@contextlib.contextmanager
def threads(jobs: int, clock: StoppableClock) -> Iterator[ThreadPoolExecutor]:
    """Give an executor of `jobs` threads, and wait for them at the end.

    An exception (Ctrl-C too) stops the clock, drops what has not started and propagates at once; the threads
    end by themselves.
    """
    executor = ThreadPoolExecutor(jobs)
    try:
        yield executor
    except BaseException:
        clock.stop()
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    executor.shutdown()


def for_each(items: Iterable[T], work: Callable[[T], None], *, jobs: int, clock: StoppableClock) -> None:
    """Call `work` for each item, `jobs` at once; the first exception ends all of them.

    Items are drawn as they are needed, by one thread at a time; an exception in that counts as one of `work`.
    """
    source, drawing, ended = iter(items), threading.Lock(), threading.Event()

    def go_on() -> None:
        # A future for each item would cost more than some work does.
        while not ended.is_set():
            with drawing:
                item = next(source, _END)
            if item is _END:
                return
            work(cast(T, item))

    workers_needed = min(jobs, len(items)) if isinstance(items, Sized) else jobs
    with threads(jobs, clock) as executor:
        workers = [executor.submit(go_on) for _ in range(workers_needed)]
        try:
            wait(workers, return_when=FIRST_EXCEPTION)
        finally:
            ended.set()
        for worker in workers:
            if worker.done():
                worker.result()


def in_order(work: Callable[[T], R], items: Iterable[T], *, at_once: int) -> Iterator[R]:
    """Yield what `work` returns for each item, in their order.

    At most `at_once` are under way or wait for their turn, so endless items are fine. The first exception, or
    the end of the one who reads, drops what has not started.
    """
    executor = ThreadPoolExecutor(at_once)
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            if len(waiting) == at_once:
                yield waiting.popleft().result()
            waiting.append(executor.submit(work, item))
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


@contextlib.contextmanager
def only_process(path: Path, what: str) -> Iterator[None]:
    """Lock `path`, an existing directory or a file to create, so that no other process can.

    Raises Busy if another one has it. Systems and file systems without locks are not locked.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN):
                raise Busy(f"another process is busy with {what}; wait for it to end") from error
        yield
    finally:
        # Closing releases the lock; so does the end of this process.
        os.close(descriptor)
