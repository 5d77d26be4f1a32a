"""`administer`: the steps of an operator's run. Only the workflow `administer` calls it.

A request is `{step, run, attempt}`, with `cause` for the step `fail`, and `shard`, a number, for the step
`work` of a shard; to begin, it is `{step: "begin", execution, argument}`.
"""

from collections.abc import Callable
from typing import Any

import functions_framework
from flask import Request

from functions.steps import Answer, Body, answer_step
from shared.catalog import AdminRun
from shared.errors import IllegalArguments
from shared.jobs import steps
from shared.system import Dss

_STEPS: dict[str, Callable[[Dss, str, int, Body], AdminRun]] = {
    "work": lambda dss, run, attempt, _: steps.work(dss, run, attempt),
    "finish": lambda dss, run, attempt, _: steps.finish(dss, run, attempt),
    "fail": lambda dss, run, attempt, body: steps.fail(dss, run, attempt, str(body.get("cause"))),
}


@functions_framework.http
def administer(request: Request) -> Answer:
    """Do one step of a run, and answer the summary of the run."""
    return answer_step(request, do_step, logged=("step", "run", "attempt", "execution"))


def do_step(dss: Dss, body: Body) -> dict[str, Any]:
    """Do the step that a request names."""
    name = body.get("step")
    if name == "begin" and isinstance(body.get("execution"), str):
        return steps.summary(dss, steps.begin(dss, body["execution"], body.get("argument")))
    run, attempt, shard = body.get("run"), body.get("attempt"), body.get("shard")
    if name == "work" and isinstance(run, str) and isinstance(attempt, int) and isinstance(shard, int):
        done = steps.work_on_shard(dss, run, attempt, shard)
        return {"run": run, "shard": shard, "over": done.over, "parts": done.parts}
    if name not in _STEPS or not isinstance(run, str) or not isinstance(attempt, int):
        raise IllegalArguments("the body must be {step, run, attempt} or {step: begin, execution, argument}")
    return steps.summary(dss, _STEPS[name](dss, run, attempt, body))
