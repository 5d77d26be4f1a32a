"""The part of the stack that takes longer than a request: workflows, and the functions that they call."""

import sys
from functools import partial

from local import probes
from local.component import Component, Exported
from local.plan import Plan
from local.ports import HOST
from local.source_tree import ROOT

_WORKFLOWS = ROOT / "workflows"
_PREFIX = "dss-"
# As DSS_WORKFLOWS_LOCATION has it where nobody says otherwise.
_LOCATION = "us-east1"
# Variables of the executions' environment: the function that a workflow calls, and its URL's name there.
_CALLED = {
    "administer": "DSS_ADMINISTER_FUNCTION_URL",
    "checkout": "DSS_CHECKOUT_FUNCTION_URL",
    "copy": "DSS_COPY_FUNCTION_URL",
}


def workflows(plan: Plan, exported: Exported) -> Component:
    """Workflows: `workflows-emulator` behind the Executions API."""
    port, rest_port = plan.ports.of("workflows"), plan.ports.of("workflows rest")
    pace = plan.caller.get("DSS_LOCAL_WORKFLOWS_PACE", "")
    return Component(
        name="workflows",
        command=(
            *(sys.executable, "-m", "workflows_server", str(port), str(rest_port)),
            *(str(_WORKFLOWS), str(plan.data / "workflows"), _PREFIX),
        ),
        ready=partial(probes.listens, HOST, port),
        environment={
            **exported,
            **{name: plan.url(called) for called, name in _CALLED.items()},
            "DSS_LOCAL_WORKFLOWS_PACE": pace,
        },
        exports={
            "DSS_WORKFLOWS_EMULATOR_HOST": f"{HOST}:{port}",
            "DSS_WORKFLOWS_PREFIX": _PREFIX,
            **_gcloud(plan, exported),
        },
    )


def _gcloud(plan: Plan, exported: Exported) -> dict[str, str]:
    """Return what makes `gcloud workflows` ask this machine, and no cloud, in whose name whatsoever."""
    token = plan.data / "keys" / "gcloud-token"
    token.write_text("none")
    return {
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_WORKFLOWEXECUTIONS": f"{plan.url('workflows rest')}/",
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token),
        "CLOUDSDK_CORE_PROJECT": exported["GOOGLE_CLOUD_PROJECT"],
        "CLOUDSDK_WORKFLOWS_LOCATION": _LOCATION,
    }
