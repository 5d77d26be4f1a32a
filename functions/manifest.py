"""`manifest`: the steps of a manifest of a catalogue's files. Only the workflow `manifest` calls it.

A request is `{step, job, attempt}`, with `cause` for `abort`.
"""

from collections.abc import Callable
from typing import Any

import functions_framework
from flask import Request

from functions.steps import Answer, Body, answer_step
from shared.attempts import Result
from shared.catalogue_manifests.steps import ManifestStep
from shared.system import Dss

_STEPS: dict[str, Callable[[ManifestStep, dict[str, Any]], Result]] = {
    "work": lambda step, _: step.work(),
    "finish": lambda step, _: step.finish(),
    "abort": lambda step, body: step.abort(str(body["cause"])),
}


@functions_framework.http
def manifest(request: Request) -> Answer:
    """Do one step of a manifest, and answer its result."""
    return answer_step(request, do_step, logged=("step", "job", "attempt"))


def do_step(dss: Dss, body: Body) -> Result:
    """Do the step that a request names."""
    run = _STEPS[body["step"]]
    return run(ManifestStep(dss, str(body["job"]), int(body["attempt"])), body)
