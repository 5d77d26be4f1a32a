"""One deadline for all calls that a request makes to back ends.

The clients of back ends apply it where they send requests: those of shared/stores, shared/catalog/client.py,
shared/postgresql/connections.py, shared/pubsub.py and shared/executions.py. Without a deadline their own time
limits apply.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TypeVar

from shared.errors import Unavailable

_T = TypeVar("_T")

# A moment of time.monotonic().
_ends: ContextVar[float | None] = ContextVar("ends", default=None)


@contextmanager
def deadline(ends: float | None) -> Iterator[None]:
    """End calls to back ends within the block at `ends`, a moment of `time.monotonic()`; None means never."""
    token = _ends.set(ends)
    try:
        yield
    finally:
        _ends.reset(token)


def limited(seconds: float) -> float:
    """Return the time limit for a call that begins now: `seconds`, or less if the deadline is earlier.

    Raise Unavailable if the deadline has passed.
    """
    ends = _ends.get()
    if ends is None:
        return seconds
    left = ends - time.monotonic()
    if left <= 0:
        raise Unavailable("the request took too long: a back end does not answer; try again")
    return min(seconds, left)


def inherited(work: Callable[..., _T]) -> Callable[..., _T]:
    """Return `work` as a function that other threads run with the deadline and the trace of this one."""
    context = copy_context()

    def run(*arguments: object) -> _T:
        # A context is entered by one thread at a time.
        return context.copy().run(work, *arguments)

    return run
