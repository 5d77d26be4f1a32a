"""The examples can be deployed, and `dss deploy check` has nothing against them."""

import pytest

from run.deploy.configuration import Configuration
from run.deploy.findings import State
from run.deploy.offline import check_instances, check_names, check_variables
from tests.support.terraform_cli import ROOT, Workspace
from tests.terraform.conftest import REQUIRED

STAGES = {"dev": "dev", "prod": ""}


def example(name: str) -> Configuration:
    file = ROOT / "terraform" / "examples" / name / "dss.tfvars"
    return Configuration(ROOT / "terraform", file, "a-project", "us-east1", STAGES[name])


def test_each_example_is_deployed(workspace: Workspace) -> None:
    built = {"project_id": REQUIRED["project_id"], "image": REQUIRED["image"]}

    found = workspace.apply(
        {name: {**example(name).given, **built, "stage": STAGES[name]} for name in STAGES}
    )

    dev, prod = found["dev"], found["prod"]
    assert dev.one("google_cloud_run_v2_service.api")["name"] == "dss-dev-api"
    assert prod.one("google_cloud_run_v2_service.api")["name"] == "dss-api"
    assert {name: sorted(each.outputs["gcs_buckets"].values())[0] for name, each in found.items()} == {
        "dev": "a-project-dss-dev-checkout",
        "prod": "a-project-dss-checkout",
    }
    # Both may be in one project: one of them has its logs of data access.
    configured = [each.of_type("google_project_iam_audit_config") for each in found.values()]
    assert [bool(rows) for rows in configured] == [False, True]


@pytest.mark.parametrize("name", STAGES)
def test_the_check_has_nothing_against_an_example(name: str) -> None:
    configuration = example(name)
    findings = [*check_variables(configuration), *check_names(configuration), *check_instances(configuration)]

    assert {finding.state for finding in findings} == {State.OK}, findings
