"""`checkout`: the steps of a checkout. Only the checkout workflow calls it.

A request is `{step, job, attempt}`, with `page` for the step `page` and `cause` for `abort`.
"""

from collections.abc import Callable
from typing import Any

import functions_framework
from flask import Request

from functions.steps import Answer, Body, answer_step
from shared.attempts import Result
from shared.checkouts.steps import CheckoutStep
from shared.system import Dss

_STEPS: dict[str, Callable[[CheckoutStep, dict[str, Any]], Result]] = {
    "plan": lambda step, _: step.plan(),
    "page": lambda step, body: step.page(int(body["page"])),
    "wait": lambda step, _: step.wait(),
    "finish": lambda step, _: step.finish(),
    "mail": lambda step, _: step.mail(),
    "abort": lambda step, body: step.abort(str(body["cause"])),
}


@functions_framework.http
def checkout(request: Request) -> Answer:
    """Do one step of a checkout, and answer its result."""
    return answer_step(request, do_step, logged=("step", "job", "attempt", "page"))


def do_step(dss: Dss, body: Body) -> Result:
    """Do the step that a request names."""
    run = _STEPS[body["step"]]
    return run(CheckoutStep(dss, str(body["job"]), int(body["attempt"])), body)
