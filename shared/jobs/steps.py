"""The steps of a run: begin, slices until it is over, finish; or fail, with the reason. Each may run twice.

The slices of a run that is split are those of its shards, side by side; then comes one of the run itself.

The steps share the run's document. A slice is done when its part of the report is written: a step that was
killed before that does the slice again, and one that was killed after it does not.
"""

import contextlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from shared.catalog import AdminRun, JobState
from shared.errors import Conflict, DssError, IllegalArguments, NotFound
from shared.identifiers import version_of
from shared.jobs import sharding
from shared.jobs.argument import checked_id
from shared.jobs.job_types import JOB_TYPES, checked
from shared.jobs.page import Page
from shared.jobs.reports import Reports
from shared.parallel import map_in_threads
from shared.system import Dss

_log = structlog.get_logger()

# Shards that a process without a workflow works on at once.
_THREADS = 4
# Counts that an operator has to act on.
_PROBLEMS = ("findings", "refused", "failed")


def has_problems(counts: Mapping[str, int], result: Mapping[str, Any]) -> bool:
    """Return whether an operator has to act on what a run has counted, and on its result."""
    return any(counts.get(name) for name in _PROBLEMS) or "refused" in result


def begin(dss: Dss, execution: str, argument: Any) -> AdminRun:
    """Return the run of an argument: a new one, with the execution's name as its id, or a resumed one.

    `{"resume": RUN}` resumes; anything else is the argument of a new run. Safe to repeat. Raises
    IllegalArguments, NotFound, Conflict, and the errors of the reports bucket.
    """
    if isinstance(argument, dict) and "resume" in argument:
        if set(argument) != {"resume"} or not isinstance(argument["resume"], str):
            raise IllegalArguments("resume: it must be the id of a run, and the only option")
        Reports(dss).check()
        return dss.catalog.runs.resume(checked_id(argument["resume"]), execution)
    kind, options = checked(dss, argument)
    Reports(dss).check()
    return dss.catalog.runs.begin(checked_id(execution), kind, options, execution)


def work(dss: Dss, run_id: str, attempt: int) -> AdminRun:
    """Do a slice of a run, and return the run; its `over` is true after the last slice."""
    run = running(dss, run_id, attempt)
    if run.over:
        return run
    reports = Reports(dss)
    dss.catalog.runs.touch(run)
    with dss.catalog.runs.noting_errors(run):
        state = reports.state_after(run, run.parts + 1)
        if state is None:
            state = _slice(dss, run)
        return dss.catalog.runs.advance(run, {**state, "parts": run.parts + 1, "code": "", "cause": ""})


def work_on_shard(dss: Dss, run_id: str, attempt: int, number: int) -> AdminRun:
    """Do a slice of a shard of the phase that a run is in, and return the shard; `over` after its last."""
    run = running(dss, run_id, attempt)
    shard = sharding.shard_of(dss, run, number)
    if shard.over:
        return shard
    reports, part = Reports(dss), sharding.part_of(run, number, shard.parts + 1)
    dss.catalog.runs.touch(run)
    with dss.catalog.runs.noting_errors(run):
        state = reports.state_after(run, part)
        if state is None:
            state = _slice_of_shard(dss, run, shard, part)
        return dss.catalog.run_shards.advance(shard, {**state, "parts": shard.parts + 1})


def _slice_of_shard(dss: Dss, run: AdminRun, shard: AdminRun, part: str) -> dict[str, Any]:
    work = JOB_TYPES[run.kind].work_on_shard
    if work is None:
        raise IllegalArguments(f"shard: runs of kind {run.kind} have none")
    page = Page(dss.clock, size=run.options["page"])
    state = _state_after(shard, work(dss, shard, page), page)
    return _written(dss, run, part, page, state)


def work_on_shards(dss: Dss, run: AdminRun) -> None:
    """Do all slices of the phase that a run is in, in threads of this process."""

    def complete(number: int) -> None:
        while not work_on_shard(dss, run.id, run.attempt, number).over:
            pass

    for _ in map_in_threads(complete, range(sharding.open_shards(run)), threads=_THREADS):
        pass


def with_open_shards(dss: Dss, run: AdminRun) -> AdminRun:
    """Return a run with the counts of what its shards have done so far, for those who look on."""
    return replace(run, counts=sharding.counts_so_far(dss, run)) if sharding.open_shards(run) else run


def _slice(dss: Dss, run: AdminRun) -> dict[str, Any]:
    page = Page(dss.clock, size=run.options["page"])
    state = _state_after(run, JOB_TYPES[run.kind].work(dss, run, page), page)
    return _written(dss, run, run.parts + 1, page, state)


def _state_after(run: AdminRun, cursor: dict[str, Any] | None, page: Page) -> dict[str, Any]:
    counts = Counter(run.counts)
    counts.update(page.counts)
    return {
        "cursor": cursor or {},
        "over": cursor is None,
        "counts": dict(counts),
        "result": {**run.result, **page.result},
    }


def _written(dss: Dss, run: AdminRun, part: int | str, page: Page, state: dict[str, Any]) -> dict[str, Any]:
    dss.faults.reach("administration: slice done")
    written = Reports(dss).write(run, part, page.lines, state)
    dss.faults.reach("administration: part written")
    return written


def finish(dss: Dss, run_id: str, attempt: int) -> AdminRun:
    """Write the summary of a run that is over, end it as succeeded, and return it."""
    run = running(dss, run_id, attempt)
    if not run.over:
        raise Conflict(f"run {run_id} has slices left; it can be finished only when it is over")
    with dss.catalog.runs.noting_errors(run):
        ended = replace(run, state=JobState.SUCCEEDED, cause="")
        Reports(dss).conclude(run, "summary", summary(dss, ended))
    dss.catalog.runs.end(run, JobState.SUCCEEDED)
    if has_problems(run.counts, run.result):
        # An alert counts these lines (terraform/monitoring.tf).
        _log.warning("run has found problems", run=run_id, kind=run.kind, counts=dict(run.counts))
    return _found(dss, run_id)


def fail(dss: Dss, run_id: str, attempt: int, cause: str) -> AdminRun:
    """End an attempt as failed, with the last noted error or else with `cause`; return the run.

    Writes a summary if the reports bucket answers: it may be the reason why the run failed.
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
    """End the runs that no execution has worked on for an hour, and return their ids. For the sweep.

    Does not resume them: somebody may have cancelled the execution.
    """
    cause = "no execution has worked on it for an hour; it can be resumed from its cursor"
    return [fail(dss, run.id, run.attempt, cause).id for run in dss.catalog.runs.abandoned()]


def summary(dss: Dss, run: AdminRun) -> dict[str, Any]:
    """Return the summary of a run, as JSON."""
    cause = {"cause": run.cause} if run.cause else {}
    return {
        "run": run.id,
        "kind": run.kind,
        "options": dict(run.options),
        "state": run.state.value,
        **cause,
        "attempt": run.attempt,
        "over": run.over,
        "shards": sharding.open_shards(run),
        "counts": dict(run.counts),
        "result": dict(run.result),
        "created": version_of(run.created),
        "touched": version_of(run.touched),
        "parts": run.parts,
        "report": Reports(dss).url(run),
    }


def running(dss: Dss, run_id: str, attempt: int) -> AdminRun:
    """Return the run of a running attempt. Raises NotFound, and Conflict if the attempt is over."""
    run = _found(dss, run_id)
    if run.attempt != attempt:
        raise Conflict(f"run {run_id}: another execution has resumed it")
    if run.state is JobState.FAILED:
        raise Conflict(f"run {run_id} has ended: {run.cause}")
    return run


def _found(dss: Dss, run_id: str) -> AdminRun:
    run = dss.catalog.runs.get(checked_id(run_id))
    if run is None:
        raise NotFound(f"run: {run_id[:80]!r} does not exist")
    return run
