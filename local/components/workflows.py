"""Workflows, which take longer than a request."""

import sys
from functools import partial
from pathlib import Path

from local import probes
from local.components.base import Component, Exported
from local.config import StackConfig
from local.issuer.claims import IDENTITY_PATH
from local.source_tree import ROOT
from local.supervisor.ports import HOST

_WORKFLOWS = ROOT / "workflows"
_PREFIX = "dss-"
# The default of DSS_WORKFLOWS_LOCATION.
_LOCATION = "us-east1"
# The function that a workflow calls, and the variable of its URL in the environment of executions.
_CALLED = {
    "administer": "DSS_ADMINISTER_FUNCTION_URL",
    "checkout": "DSS_CHECKOUT_FUNCTION_URL",
    "copy": "DSS_COPY_FUNCTION_URL",
    "importer": "DSS_IMPORTER_FUNCTION_URL",
    "manifest": "DSS_MANIFEST_FUNCTION_URL",
}


def server_command(
    *, port: int, rest_port: int, workflows: Path, prefix: str, data: Path, issuer: str, pace: str = "1"
) -> tuple[str, ...]:
    """Return the command of a workflows server whose OIDC tokens come from `issuer`, the URL of ours."""
    return (
        *(sys.executable, "-m", "workflows_server", "--host", HOST),
        *("--port", str(port), "--rest-port", str(rest_port)),
        *("--workflows", str(workflows), "--prefix", prefix, "--data", str(data)),
        *("--identity-url", f"{issuer}{IDENTITY_PATH}", "--pace", pace),
    )


def workflows(config: StackConfig, exported: Exported) -> Component:
    """Workflows: `workflows-emulator` behind the Executions API."""
    port = config.ports.of("workflows")
    return Component(
        name="workflows",
        command=server_command(
            port=port,
            rest_port=config.ports.of("workflows rest"),
            workflows=_WORKFLOWS,
            prefix=_PREFIX,
            data=config.data / "workflows",
            issuer=config.url("token issuer"),
            pace=config.caller.get("DSS_LOCAL_WORKFLOWS_PACE") or "1",
        ),
        ready=partial(probes.listens, HOST, port),
        environment={**exported, **{name: config.url(called) for called, name in _CALLED.items()}},
        exports={
            "DSS_WORKFLOWS_EMULATOR_HOST": f"{HOST}:{port}",
            "DSS_WORKFLOWS_PREFIX": _PREFIX,
            **_gcloud(config, exported),
        },
    )


def _gcloud(config: StackConfig, exported: Exported) -> dict[str, str]:
    """Return the variables that make `gcloud workflows` call this machine instead of Google Cloud."""
    token = config.data / "keys" / "gcloud-token"
    token.write_text("none")
    return {
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_WORKFLOWEXECUTIONS": f"{config.url('workflows rest')}/",
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token),
        "CLOUDSDK_CORE_PROJECT": exported["GOOGLE_CLOUD_PROJECT"],
        "CLOUDSDK_WORKFLOWS_LOCATION": _LOCATION,
    }
