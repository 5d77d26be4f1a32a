"""Runs, as `dss admin` begins, watches and reports them."""

import uuid
from collections.abc import Mapping
from typing import Any

from dss.commands.context import Context
from dss.errors import OperationFailed, Refused
from run.admin.operating import Progress, operated, table
from shared.catalog import AdminRun, JobState
from shared.errors import DssError
from shared.jobs import steps
from shared.system import Dss
from shared.wiring import open_system
from shared.workflows import ADMINISTER, Outcome

# Seconds between two looks at a run.
_POLL_SECONDS = 1.0
# Looks at the catalog for a run that a workflow was just begun for, and is yet to enter.
_TO_APPEAR = 10
# What an operator has to see to.
_TO_SEE_TO = ("findings", "refused", "failed")


def run_argument(context: Context, argument: Mapping[str, Any], *, remote: bool, wait: bool) -> int:
    """Have a run made, here or by the workflow; show it, and return the exit code.

    A run that is not waited for is begun, and no more than that.
    """
    if wait and not remote:
        raise Refused("--wait: only with --remote; without it this process does the work, and waits")
    with operated() as settings:
        dss = open_system(settings)
        if not remote:
            return _show(context, dss, _carried_out(dss, argument, Progress(context)))
        execution = dss.workflows.start(ADMINISTER, argument)
        run_id = str(argument.get("resume") or execution.rpartition("/")[2])
        if wait:
            return _show(context, dss, _waited(dss, run_id, Progress(context), execution))
    context.show(
        {"run": run_id, "execution": execution}, f"run {run_id}\ndss admin runs show {run_id} --wait"
    )
    return 0


def _carried_out(dss: Dss, argument: Mapping[str, Any], progress: Progress) -> AdminRun:
    run = steps.begin(dss, str(uuid.uuid4()), dict(argument))
    try:
        while not run.over:
            run = steps.work(dss, run.id, run.attempt)
            progress.say(_counted(run))
        return steps.finish(dss, run.id, run.attempt)
    except DssError as error:
        return steps.fail(dss, run.id, run.attempt, error.title)


def _waited(dss: Dss, run_id: str, progress: Progress, execution: str = "") -> AdminRun:
    """Return a run when it has ended. Raises OperationFailed where its execution did without it."""
    while True:
        # In this order: a run ends before its execution does.
        outcome = dss.workflows.look(execution) if execution else None
        run = dss.catalog.runs.get(run_id)
        if outcome and outcome.is_over:
            return _ended(run_id, run, outcome)
        if run is None and outcome is None:
            raise Refused(f"there is no run {run_id}")
        if run and run.state is not JobState.RUNNING and outcome is None:
            return run
        if run:
            progress.say(_counted(run))
        dss.clock.sleep(_POLL_SECONDS)


def _ended(run_id: str, run: AdminRun | None, outcome: Outcome) -> AdminRun:
    ended = run and run.state is not JobState.RUNNING
    if run and ended and (outcome.state == JobState.SUCCEEDED or run.cause == outcome.error):
        return run
    # It was refused, cancelled, or taken over: the run does not say so.
    raise OperationFailed(f"run {run_id}: {outcome.error or outcome.state.lower()}")


def show_run(context: Context, run_id: str, *, wait: bool) -> int:
    """Show a run, and return the exit code."""
    with operated() as settings:
        dss = open_system(settings)
        run = _found(dss, run_id, looks=_TO_APPEAR if wait else 1)
        return _show(context, dss, _waited(dss, run_id, Progress(context)) if wait else run)


def _found(dss: Dss, run_id: str, *, looks: int) -> AdminRun:
    for left in range(looks, 0, -1):
        if run := dss.catalog.runs.get(run_id):
            return run
        if left > 1:
            dss.clock.sleep(_POLL_SECONDS)
    raise Refused(f"there is no run {run_id}")


def show_runs(context: Context, at_most: int) -> int:
    """List runs, the newest first."""
    with operated() as settings:
        dss = open_system(settings)
        found = dss.catalog.runs.newest(at_most)
        summaries = [steps.summary(dss, run) for run in found]
    rows = [["run", "kind", "state", "attempt", "begun", "touched"]]
    rows += [
        [run.id, run.kind, run.state.value, str(run.attempt), *(f"{at:%Y-%m-%d %H:%M:%S}" for at in times)]
        for run in found
        if (times := (run.created, run.touched))
    ]
    context.show({"runs": summaries}, "\n".join(table(rows)))
    return 0


def _show(context: Context, dss: Dss, run: AdminRun) -> int:
    lines = [f"run {run.id} ({run.kind}): {run.state.value}{f': {run.cause}' if run.cause else ''}"]
    lines += [f"  {name}: {number:,}" for name, number in sorted(run.counts.items())]
    lines += [f"  {name}: {value}" for name, value in run.result.items()]
    summary = steps.summary(dss, run)
    context.show(summary, "\n".join([*lines, f"  report: {summary['report']}"]))
    if run.state is JobState.RUNNING:
        return 0
    to_see_to = any(run.counts.get(name) for name in _TO_SEE_TO) or "refused" in run.result
    return int(run.state is JobState.FAILED or to_see_to)


def _counted(run: AdminRun) -> str:
    counts = ", ".join(f"{number:,} {name}" for name, number in sorted(run.counts.items()))
    return f"{run.kind}: {run.parts} slices done; {counts or 'nothing counted yet'}"
