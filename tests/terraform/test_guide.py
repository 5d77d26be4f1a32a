"""`docs/deploy.md` names every account and every role that there is."""

import re

from tests.support.terraform_cli import ROOT, Deployment

GUIDE = (ROOT / "docs" / "deploy.md").read_text()


def test_the_guide_says_what_each_account_may(deployment: Deployment) -> None:
    table = GUIDE.split("## Who may do what")[1].split("\n## ")[0]

    for account in deployment.of_type("google_service_account").values():
        assert f"\n| `{account['account_id']}` |" in table, account["account_id"]
    for role in deployment.of_type("aws_iam_role").values():
        assert f"\n| AWS role `{role['name']}` |" in table, role["name"]


def test_the_guide_names_no_output_that_is_not_there(
    deployment: Deployment, bootstrap: dict[str, Deployment]
) -> None:
    of_bootstrap = set(re.findall(r"terraform/bootstrap output -raw (\w+)", GUIDE))
    assert of_bootstrap and of_bootstrap <= set(bootstrap["least"].outputs)

    named = set(re.findall(r"terraform output -raw (\w+)", GUIDE)) | set(
        re.findall(r"output\s+`(\w+)`", GUIDE)
    )

    assert named and named <= set(deployment.outputs)
