"""The steps of a run: begin, slices until it is over, finish; or fail, with the reason. Each may run twice.

What the steps share is the run's document. A slice is done when its part of the report is there: who is
killed behind that has done it, who is killed before does it again.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from shared.catalog import AdminRun, JobState
from shared.errors import Conflict, DssError, IllegalArguments, NotFound
from shared.identifiers import version_of
from shared.jobs.argument import checked_id
from shared.jobs.job_types import JOB_TYPES, checked
from shared.jobs.page import Page
from shared.jobs.reports import Reports
from shared.system import Dss


def begin(dss: Dss, execution: str, argument: Any) -> AdminRun:
    """Return the run that an argument asks for: a new one by the name of its execution, or one gone on with.

    `{"resume": RUN}` goes on; anything else is the argument of a new run. Safe to repeat. Raises
    IllegalArguments, NotFound, Conflict, and what the reports bucket raises where it does not answer.
    """
    if isinstance(argument, dict) and "resume" in argument:
        if set(argument) != {"resume"} or not isinstance(argument["resume"], str):
            raise IllegalArguments("resume: the id of a run is wanted, and nothing else beside it")
        Reports(dss).check()
        return dss.catalog.runs.resume(checked_id(argument["resume"]), execution)
    kind, options = checked(dss, argument)
    Reports(dss).check()
    return dss.catalog.runs.begin(checked_id(execution), kind, options, execution)


def work(dss: Dss, run_id: str, attempt: int) -> AdminRun:
    """Do a slice of a run, and return what it has come to; `over` says that there is none left."""
    run = running(dss, run_id, attempt)
    if run.over:
        return run
    reports = Reports(dss)
    dss.catalog.runs.touch(run)
    with _noted(dss, run):
        state = reports.state_behind(run, run.parts + 1)
        if state is None:
            state = _slice(dss, run, reports)
        return dss.catalog.runs.advance(run, {**state, "parts": run.parts + 1, "code": "", "cause": ""})


def _slice(dss: Dss, run: AdminRun, reports: Reports) -> dict[str, Any]:
    page = Page(dss.clock, size=run.options["page"])
    cursor = JOB_TYPES[run.kind].work(dss, run, page)
    counts = Counter(run.counts)
    counts.update(page.counts)
    state = {
        "cursor": cursor or {},
        "over": cursor is None,
        "counts": dict(counts),
        "result": {**run.result, **page.result},
    }
    dss.faults.reach("administration: slice done")
    written = reports.write(run, run.parts + 1, page.lines, state)
    dss.faults.reach("administration: part written")
    return written


def finish(dss: Dss, run_id: str, attempt: int) -> AdminRun:
    """End a run that is over as succeeded, its summary written; return it."""
    run = running(dss, run_id, attempt)
    if not run.over:
        raise Conflict(f"run {run_id} is not over")
    with _noted(dss, run):
        ended = replace(run, state=JobState.SUCCEEDED, cause="")
        Reports(dss).conclude(run, "summary", summary(dss, ended))
    dss.catalog.runs.end(run, JobState.SUCCEEDED)
    return _found(dss, run_id)


def fail(dss: Dss, run_id: str, attempt: int, cause: str) -> AdminRun:
    """End an attempt as failed, for the reason noted last or else for `cause`; return the run.

    The reports bucket is told where it listens: it may be what the run failed of.
    """
    run = _found(dss, run_id)
    if run.state is not JobState.RUNNING or run.attempt != attempt:
        return run
    dss.catalog.runs.end(run, JobState.FAILED, cause=run.cause or cause)
    run = _found(dss, run_id)
    with contextlib.suppress(DssError):
        Reports(dss).conclude(run, f"failed-{run.attempt}", summary(dss, run))
    return run


def end_abandoned(dss: Dss) -> list[str]:
    """End the runs that nobody has worked on for an hour, and return their ids. For the sweep.

    They are not gone on with: who cancelled an execution wanted its end.
    """
    cause = "no execution has worked on it for an hour; it can be resumed from its cursor"
    return [fail(dss, run.id, run.attempt, cause).id for run in dss.catalog.runs.abandoned()]


def summary(dss: Dss, run: AdminRun) -> dict[str, Any]:
    """Return what is to be said of a run, as JSON."""
    cause = {"cause": run.cause} if run.cause else {}
    return {
        "run": run.id,
        "kind": run.kind,
        "options": dict(run.options),
        "state": run.state.value,
        **cause,
        "attempt": run.attempt,
        "over": run.over,
        "counts": dict(run.counts),
        "result": dict(run.result),
        "created": version_of(run.created),
        "touched": version_of(run.touched),
        "parts": run.parts,
        "report": Reports(dss).url(run),
    }


def running(dss: Dss, run_id: str, attempt: int) -> AdminRun:
    """Return a run that this attempt is at work on. Raises NotFound, and Conflict where it is over."""
    run = _found(dss, run_id)
    if run.attempt != attempt:
        raise Conflict(f"run {run_id}: another execution has gone on with it")
    if run.state is JobState.FAILED:
        raise Conflict(f"run {run_id} has ended: {run.cause}")
    return run


def _found(dss: Dss, run_id: str) -> AdminRun:
    run = dss.catalog.runs.get(checked_id(run_id))
    if run is None:
        raise NotFound(f"run: there is no run {run_id[:80]!r}")
    return run


@contextlib.contextmanager
def _noted(dss: Dss, run: AdminRun) -> Iterator[None]:
    try:
        yield
    except DssError as error:
        dss.catalog.runs.note_error(run, error.code, error.title)
        raise
