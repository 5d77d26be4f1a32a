"""The same work on many things in threads, ended by Ctrl-C; and one process at a time."""

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from dss.errors import Refused
from dss.stopping import StoppableClock

T = TypeVar("T")


@contextlib.contextmanager
def threads(jobs: int, clock: StoppableClock) -> Iterator[ThreadPoolExecutor]:
    """Give an executor of `jobs` threads, idle again at the end.

    An exception (Ctrl-C too) stops the clock, drops what has not begun and goes up at once, while the
    threads end by themselves.
    """
    executor = ThreadPoolExecutor(jobs)
    try:
        yield executor
    except BaseException:
        clock.stop()
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    executor.shutdown()


def for_each(things: Iterable[T], work: Callable[[T], None], *, jobs: int, clock: StoppableClock) -> None:
    """Do `work` on each thing, `jobs` at once; the first exception of one ends all of them."""
    with threads(jobs, clock) as executor:
        for future in [executor.submit(work, thing) for thing in things]:
            future.result()


@contextlib.contextmanager
def only_process(path: Path, what: str) -> Iterator[None]:
    """Hold `path`, an existing directory or a file to be made, so that no other process does the same.

    Raises Refused where another one holds it. On systems and file systems without locks nothing is held.
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
                raise Refused(f"another process is busy with {what}") from error
        yield
    finally:
        # Closing lets go of the lock; so does the death of this process.
        os.close(descriptor)
