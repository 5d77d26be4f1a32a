"""The dependencies and the log that all functions of a process share."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from flask import Request

from shared.process import begin
from shared.system import Dss
from shared.tracing import Work
from shared.wiring import open_system

# How long the answer to an event waits for the export of its span.
_EXPORT_SECONDS = 2.0


@cache
def system() -> Dss:
    """Return the dependencies of this process; the first call connects them."""
    # Not every function reads objects.
    return open_system(begin(), late_stores=True)


@contextmanager
def traced(
    dss: Dss, request: Request, name: str, *, caller: str = "", adopts: bool = False
) -> Iterator[Work]:
    """Do the block as a unit of work, whose caller has the traceparent `caller`, or sent the request.

    After its answer an instance has no CPU: so the span is exported first, for _EXPORT_SECONDS at most.
    `adopts` is that of `Tracer.work`.
    """
    work = None
    try:
        with dss.tracer.work(name, caller, environ=request.environ, adopts=adopts) as work:
            yield work
    finally:
        if work and work.exported:
            dss.tracer.flush(seconds=_EXPORT_SECONDS)
