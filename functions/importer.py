"""`importer`: the steps of an import. Only the workflow `import` calls it.

A request is `{step, job, attempt}`, with `shard` for the step `shard` and `cause` for `abort`.
"""

from collections.abc import Callable
from typing import Any

import functions_framework
from flask import Request

from functions.steps import Answer, Body, answer_step
from shared.attempts import Result
from shared.imports.steps import ImportStep
from shared.system import Dss

_STEPS: dict[str, Callable[[ImportStep, dict[str, Any]], Result]] = {
    "list": lambda step, _: step.list(),
    "shard": lambda step, body: step.shard(int(body["shard"])),
    "finish": lambda step, _: step.finish(),
    "abort": lambda step, body: step.abort(str(body["cause"])),
}


@functions_framework.http
def importer(request: Request) -> Answer:
    """Do one step of an import, and answer its result."""
    return answer_step(request, do_step, logged=("step", "job", "attempt", "shard"))


def do_step(dss: Dss, body: Body) -> Result:
    """Do the step that a request names."""
    run = _STEPS[body["step"]]
    return run(ImportStep(dss, str(body["job"]), int(body["attempt"])), body)
