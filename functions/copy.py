"""`copy`: the steps of a large copy. Only the copy workflow calls it.

A request is `{step, job, attempt}`, with `batch` for the step `batch` and `cause` for `abort`.
"""

from collections.abc import Callable
from typing import Any

import functions_framework
from flask import Request

from functions.steps import Answer, Body, answer_step
from shared.attempts import Result
from shared.checkouts.sharing import check_large_copy
from shared.copying.steps import CopyStep
from shared.system import Dss

_STEPS: dict[str, Callable[[CopyStep, dict[str, Any]], Result]] = {
    "plan": lambda step, _: step.plan(),
    "verify": lambda step, _: step.verify(),
    "batch": lambda step, body: step.batch(int(body["batch"])),
    "finish": lambda step, _: step.finish(),
    "abort": lambda step, body: step.abort(str(body["cause"])),
}


@functions_framework.http
def copy(request: Request) -> Answer:
    """Do one step of a copy job, and answer its result."""
    return answer_step(request, do_step, logged=("step", "job", "attempt", "batch"))


def do_step(dss: Dss, body: Body) -> Result:
    """Do the step that a request names."""
    run = _STEPS[body["step"]]
    return run(CopyStep(dss, str(body["job"]), int(body["attempt"]), check_large_copy), body)
