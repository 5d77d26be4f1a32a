"""Reads of several back ends at once, each bounded in time: what does not answer is unknown, and why."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from shared.deadlines import deadline, inherited
from shared.errors import DssError

Value = TypeVar("Value")

_log = structlog.get_logger()


@dataclass(frozen=True)
class Unknown:
    """That something could not be read in time, and why."""

    why: str


@dataclass(frozen=True)
class _Asked(Generic[Value]):
    began: float
    future: "Future[Value | Unknown]"


class BoundedReads(Generic[Value]):
    """Reads by name, in at most so many threads; threads may share it.

    All of an `ask` together take `seconds` at most. What was read is kept for `kept` seconds, failures too,
    and a read that goes on is joined rather than begun again: so those who ask often cost no more, and a back
    end that hangs holds one thread for each name.
    """

    def __init__(
        self, threads: int, *, seconds: float, kept: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._threads = threads
        self._seconds = seconds
        self._kept = kept
        self._clock = clock
        self._lock = threading.Lock()
        self._asked: dict[str, _Asked[Value]] = {}
        # Made at first use: a server may fork after this object was made.
        self._pool: ThreadPoolExecutor | None = None

    def ask(self, reads: Mapping[str, Callable[[], Value]]) -> Mapping[str, Value | Unknown]:
        """Return what each read returns, in their order; Unknown for those that fail, or take too long."""
        ends = time.monotonic() + self._seconds
        with deadline(ends), self._lock:
            futures = {name: self._future(name, read) for name, read in reads.items()}
        return {name: self._outcome(future, ends) for name, future in futures.items()}

    def _future(self, name: str, read: Callable[[], Value]) -> "Future[Value | Unknown]":
        last = self._asked.get(name)
        if last and not (last.future.done() and self._clock() - last.began >= self._kept):
            return last.future
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="bounded")
        asked = self._asked[name] = _Asked(
            self._clock(), self._pool.submit(inherited(lambda: _read(name, read)))
        )
        return asked.future

    def _outcome(self, future: "Future[Value | Unknown]", ends: float) -> Value | Unknown:
        try:
            return future.result(timeout=max(0.0, ends - time.monotonic()))
        except TimeoutError:
            return Unknown(f"no answer within {self._seconds:g} seconds")


def _read(name: str, read: Callable[[], Value]) -> Value | Unknown:
    try:
        return read()
    except DssError as error:
        return Unknown(error.title)
    except Exception as error:  # noqa: BLE001 # one that fails must not take the others with it
        _log.exception("a read failed", read=name)
        return Unknown(type(error).__name__)
