"""The part of the stack that takes longer than a request: workflows, and the functions that they call."""

import sys
from functools import partial
from pathlib import Path

import run
from run.local import probes
from run.local.component import Component, Exported
from run.local.plan import Plan
from run.local.ports import HOST

_WORKFLOWS = Path(run.__path__[0]).parent / "workflows"
_PREFIX = "dss-"
# Variables of the executions' environment: the function that a workflow calls, and its URL's name there.
_CALLED = {
    "administer": "DSS_ADMINISTER_FUNCTION_URL",
    "checkout": "DSS_CHECKOUT_FUNCTION_URL",
    "copy": "DSS_COPY_FUNCTION_URL",
}


def workflows(plan: Plan, exported: Exported) -> Component:
    """Workflows: `workflows-emulator` behind the Executions API."""
    port = plan.ports.of("workflows")
    pace = plan.caller.get("DSS_LOCAL_WORKFLOWS_PACE", "")
    return Component(
        name="workflows",
        command=(
            *(sys.executable, "-m", "run.local.workflows", str(port), str(_WORKFLOWS)),
            *(str(plan.data / "workflows"), _PREFIX),
        ),
        ready=partial(probes.listens, HOST, port),
        environment={
            **exported,
            **{name: plan.url(called) for called, name in _CALLED.items()},
            "DSS_LOCAL_WORKFLOWS_PACE": pace,
        },
        exports={"DSS_WORKFLOWS_EMULATOR_HOST": f"{HOST}:{port}", "DSS_WORKFLOWS_PREFIX": _PREFIX},
    )
