"""The real `gcloud workflows` starts administrative runs, and looks at them, on this machine."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from local.config import base_environment
from tests.support.api import new_uuid
from tests.support.clouds import Clouds


class Gcloud:
    """`gcloud workflows` in the shell of somebody who has sourced the environment file."""

    def __init__(self, env: dict[str, str], home: Path) -> None:
        self._environment = {
            **base_environment(dict(os.environ)),
            **env,
            "HOME": str(home),
            "CLOUDSDK_CONFIG": str(home / "gcloud"),
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
        }

    def __call__(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["gcloud", "workflows", *arguments, "--format=json"],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=480,
            check=False,
        )


@pytest.fixture(scope="module")
def gcloud(whole_system: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Gcloud:
    return Gcloud(whole_system, tmp_path_factory.mktemp("home"))


def test_gcloud_runs_lists_describes_and_cancels(gcloud: Gcloud, whole_system: dict[str, str]) -> None:
    clouds, key = Clouds(whole_system), f"lists/{new_uuid()}"
    bucket = whole_system["DSS_REPORTS_BUCKET"]
    url = clouds.stage(
        "gcp", f"files/{new_uuid()}.2026-01-01T000000.000000Z".encode(), bucket=bucket, key=key
    )

    run = gcloud("run", "dss-administer", f"--data={json.dumps({'kind': 'resync', 'list': url})}")
    refused = gcloud("run", "dss-administer", "--data={}")
    assert run.returncode == 0, run.stderr
    execution = json.loads(run.stdout)
    result = json.loads(execution["result"])
    listed = gcloud("executions", "list", "dss-administer", "--filter=state=FAILED", "--limit=1")
    described = gcloud("executions", "describe", execution["name"])
    waited = gcloud("executions", "wait", execution["name"])
    over = gcloud("executions", "cancel", execution["name"])
    unknown = gcloud("run", "dss-nothing")

    assert (execution["state"], result["state"], result["counts"]["keys"]) == ("SUCCEEDED", "SUCCEEDED", 1)
    assert result["report"].startswith(f"gs://{bucket}/runs/")
    assert json.loads(json.loads(refused.stdout)["error"]["payload"]).startswith("kind: it must be a string")
    assert [one["state"] for one in json.loads(listed.stdout)] == ["FAILED"]
    assert (
        json.loads(described.stdout)["result"] == json.loads(waited.stdout)["result"] == execution["result"]
    )
    assert (over.returncode, "has ended" in over.stderr) == (1, True)
    assert (unknown.returncode, "not found" in unknown.stderr) == (1, True)
