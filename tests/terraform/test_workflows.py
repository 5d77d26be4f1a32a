"""Every file of workflows/ is deployed under the name by which the code starts it."""

import re

from shared.config import Settings
from shared.workflows import COPY
from tests.support.terraform_cli import ROOT, Deployment
from tests.terraform.conftest import ANOTHER_WORKFLOW

FILES = {path.stem: path.read_text() for path in (ROOT / "workflows").glob("*.yaml")}


def settings(deployment: Deployment) -> Settings:
    return Settings.from_environment(deployment.functions["sync"].given)


def test_every_file_is_a_workflow(deployment: Deployment) -> None:
    deployed = deployment.by_key("google_workflows_workflow.dss")
    # Without catalogues there is no function that the workflow `manifest` could call.
    without = {"manifest"} - set(deployment.functions)

    assert {name: row["source_contents"] for name, row in deployed.items()} == {
        **{name: text for name, text in FILES.items() if name not in without},
        "another": ANOTHER_WORKFLOW,
    }


def test_the_code_finds_its_workflows(deployment: Deployment) -> None:
    row = deployment.by_key("google_workflows_workflow.dss")[COPY]

    assert row["name"] == settings(deployment).workflows_prefix + COPY
    assert row["region"] == settings(deployment).workflows_location


def test_workflows_are_given_every_variable_that_they_read(deployment: Deployment) -> None:
    for name, row in deployment.by_key("google_workflows_workflow.dss").items():
        read = set(re.findall(r'sys\.get_env\("(\w+)"', row["source_contents"]))
        # Cloud Workflows itself sets GOOGLE_CLOUD_….
        wanted = {variable for variable in read if not variable.startswith("GOOGLE_CLOUD_")}
        assert wanted <= set(row["user_env_vars"]), name


def test_workflows_call_functions_that_admit_them(deployment: Deployment) -> None:
    account = deployment.one('google_service_account.caller["workflows"]')
    invokers = deployment.by_key("google_cloud_run_v2_service_iam_member.invoker")

    for row in deployment.by_key("google_workflows_workflow.dss").values():
        assert row["service_account"] == account["id"]
        assert row["user_env_vars"] == {
            f"DSS_{name.upper()}_FUNCTION_URL": function.values["uri"]
            for name, function in deployment.functions.items()
            if invokers[name]["member"] == account["member"]
        }
