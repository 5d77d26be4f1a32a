"""Start, watch and show runs, for `dss admin runs` and every command with `--remote`."""

import contextlib
import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from dss.commands.context import Context
from dss.errors import InvalidInput, OperationFailed
from dss.progress import Progress
from run.admin.operator import operator_settings
from run.admin.report import SHOWN, table
from shared.catalog import AdminRun, JobState, may_begin_again
from shared.errors import DssError
from shared.jobs import steps
from shared.jobs.dry_run import dry_run
from shared.system import Dss
from shared.wiring import open_system
from shared.workflows import ADMINISTER, Outcome

# Seconds between two reads of a run: at first, and at last.
_FIRST_POLL_SECONDS, _POLL_SECONDS = 0.1, 1.0
# Reads, in 10 seconds, of a run that a workflow was just started for, and has not entered into the catalog.
_READS_OF_NEW_RUN = 13
# Counts that an operator has to act on: they make the exit code 1.
_PROBLEMS = ("findings", "refused", "failed")


def show_dry_run(context: Context, argument: Mapping[str, Any], *, remote: bool) -> int:
    """Show what a run would do. Return 1 if it would have problems, else 0."""
    if remote:
        raise InvalidInput("--dry-run: not with --remote: this process looks at what would be done")
    with operator_settings() as settings:
        found = dry_run(open_system(settings), argument)
    result = {"kind": found.kind, "options": found.options, "dry_run": True}
    result |= {"counts": dict(found.counts), "result": found.result, "first": found.lines}
    lines = [f"dry run of {found.kind}: nothing was written. A run would report:"]
    lines += [f"  {name}: {number:,}" for name, number in sorted(found.counts.items())]
    lines += [f"  {name}: {value}" for name, value in found.result.items()]
    lines += [f"  {json.dumps(line, ensure_ascii=False)}" for line in found.lines[:SHOWN]]
    if len(found.lines) > SHOWN:
        lines.append("  … and more (--json lists 1,000)")
    context.show(result, "\n".join(lines))
    return int(steps.has_problems(found.counts, found.result))


def show_resumption(context: Context, run_id: str) -> int:
    """Show a run that would be resumed. Return 0. Raises InvalidInput if it can't be."""
    with operator_settings() as settings:
        dss = open_system(settings)
        run = _run(dss, run_id, reads=1)
        if run.state is JobState.SUCCEEDED or not may_begin_again(run, dss.clock.now()):
            raise InvalidInput(f"run {run_id} is {run.state.value}: it cannot be resumed")
        text = f"run {run_id} ({run.kind}) would be resumed after {run.parts:,} slices; nothing was written"
        context.show({**steps.summary(dss, run), "dry_run": True}, text)
    return 0


def run_argument(context: Context, argument: Mapping[str, Any], *, remote: bool, wait: bool) -> int:
    """Start or resume a run, here or by the workflow. Return 1 if it failed or has problems, else 0.

    A run of the workflow that is not waited for is only started.
    """
    if wait and not remote:
        raise InvalidInput("--wait: only with --remote; without it this process does the work, and waits")
    with operator_settings() as settings, _progress(context) as progress:
        dss = open_system(settings)
        if not remote:
            return _show(context, dss, _carried_out(dss, argument, progress))
        execution = dss.workflows.start(ADMINISTER, argument)
        run_id = str(argument.get("resume") or execution.rpartition("/")[2])
        if wait:
            return _show(context, dss, _waited(dss, run_id, progress, execution))
    text = f"run {run_id}\ndss admin runs show {run_id} --wait"
    context.show({"run": run_id, "execution": execution}, text)
    return 0


def _progress(context: Context) -> Progress:
    return context.progress("run", unit="slices")


def _carried_out(dss: Dss, argument: Mapping[str, Any], progress: Progress) -> AdminRun:
    execution = str(uuid.uuid4())
    try:
        run = steps.begin(dss, execution, dict(argument))
        return _to_its_end(dss, run, progress)
    except DssError:
        raise
    except BaseException:
        # Interrupted: it can be resumed at once. It may have begun before anything was returned here.
        with contextlib.suppress(DssError):
            run = steps.begin(dss, execution, dict(argument))
            steps.fail(dss, run.id, run.attempt, "it was interrupted")
            progress.note(f"dss: to continue: dss admin runs resume {run.id}")
        raise


def _to_its_end(dss: Dss, run: AdminRun, progress: Progress) -> AdminRun:
    try:
        while not run.over:
            run = steps.work(dss, run.id, run.attempt)
            steps.work_on_shards(dss, run)
            progress.reach(run.parts, _counts(run))
        return steps.finish(dss, run.id, run.attempt)
    except DssError as error:
        return steps.fail(dss, run.id, run.attempt, error.title)


def _waited(dss: Dss, run_id: str, progress: Progress, execution: str = "") -> AdminRun:
    """Return a run when it has ended. Raises OperationFailed if its execution ended without it."""
    pauses = _pauses()
    while True:
        # In this order: a run ends before its execution does.
        outcome = dss.workflows.look(execution) if execution else None
        run = dss.catalog.runs.get(run_id)
        if outcome and outcome.is_over:
            return _ended(run_id, run, outcome)
        if run is None and outcome is None:
            raise InvalidInput(f"run: {run_id[:80]!r} does not exist")
        if run and run.state is not JobState.RUNNING and outcome is None:
            return run
        if run:
            progress.reach(run.parts, _counts(steps.with_open_shards(dss, run)))
        dss.clock.sleep(next(pauses))


def _pauses() -> Iterator[float]:
    """Yield the seconds between two reads for ever: most runs are over in less than one."""
    seconds = _FIRST_POLL_SECONDS
    while True:
        yield seconds
        seconds = min(2 * seconds, _POLL_SECONDS)


def _ended(run_id: str, run: AdminRun | None, outcome: Outcome) -> AdminRun:
    ended = run and run.state is not JobState.RUNNING
    if run and ended and (outcome.state == JobState.SUCCEEDED or run.cause == outcome.error):
        return run
    # The execution was refused, cancelled or taken over, which the run does not record.
    raise OperationFailed(f"run {run_id}: {outcome.error or outcome.state.lower()}")


def show_run(context: Context, run_id: str, *, wait: bool) -> int:
    """Show a run. Return 1 if it failed or has problems, else 0."""
    with operator_settings() as settings, _progress(context) as progress:
        dss = open_system(settings)
        run = _run(dss, run_id, reads=_READS_OF_NEW_RUN if wait else 1)
        run = _waited(dss, run_id, progress) if wait else steps.with_open_shards(dss, run)
        return _show(context, dss, run)


def _run(dss: Dss, run_id: str, *, reads: int) -> AdminRun:
    for left, pause in zip(range(reads, 0, -1), _pauses(), strict=False):
        if run := dss.catalog.runs.get(run_id):
            return run
        if left > 1:
            dss.clock.sleep(pause)
    raise InvalidInput(f"run: {run_id[:80]!r} does not exist")


def show_runs(context: Context, at_most: int) -> int:
    """List runs, the newest first. Return 0."""
    with operator_settings() as settings:
        dss = open_system(settings)
        newest = dss.catalog.runs.newest(at_most)
        summaries = [steps.summary(dss, run) for run in newest]
    rows = [["run", "kind", "state", "attempt", "begun", "touched"]]
    rows += [
        [run.id, run.kind, run.state.value, str(run.attempt), *(f"{at:%Y-%m-%d %H:%M:%S}" for at in times)]
        for run in newest
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
    return int(run.state is JobState.FAILED or steps.has_problems(run.counts, run.result))


def _counts(run: AdminRun) -> str:
    counts = ", ".join(f"{number:,} {name}" for name, number in sorted(run.counts.items()))
    return f"{run.kind}: {counts or 'nothing counted yet'}"
