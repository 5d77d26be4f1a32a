"""`docs/deploy.md` names every account and every role that there is."""

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.support.terraform_cli import ROOT, Deployment

BOUNDARY = "arn:aws:iam::111122223333:policy/dss-boundary"
GUIDE = (ROOT / "docs" / "deploy.md").read_text()
# What one must hold to make resources of these kinds, the first prefix counts: a role of the account that
# deploys, in step 3 of the guide.
MAKERS = {
    "google_artifact_registry_": "artifactregistry.admin",
    "google_cloud_run_": "run.admin",
    "google_cloud_scheduler_": "cloudscheduler.admin",
    "google_cloudfunctions2_": "cloudfunctions.admin",
    "google_compute_managed_ssl_certificate": "compute.securityAdmin",
    "google_compute_security_policy": "compute.securityAdmin",
    "google_compute_ssl_policy": "compute.securityAdmin",
    "google_compute_": "compute.networkAdmin",
    "google_firestore_": "datastore.owner",
    "google_logging_": "logging.configWriter",
    "google_monitoring_alert_policy": "monitoring.alertPolicyEditor",
    "google_monitoring_notification_channel": "monitoring.notificationChannelEditor",
    "google_monitoring_uptime_check_config": "monitoring.uptimeCheckConfigEditor",
    "google_project_iam_": "resourcemanager.projectIamAdmin",
    "google_project_service": "serviceusage.serviceUsageAdmin",
    "google_pubsub_": "pubsub.admin",
    "google_secret_manager_": "secretmanager.admin",
    "google_service_networking_": "servicenetworking.networksAdmin",
    "google_service_account": "iam.serviceAccountAdmin",
    "google_sql_": "cloudsql.admin",
    "google_storage_": "storage.admin",
    "google_vpc_access_": "vpcaccess.admin",
    "google_workflows_": "workflows.admin",
}


def test_the_account_that_deploys_may_make_every_google_resource(deployment: Deployment) -> None:
    granted = " ".join(re.findall(r"for role in (.*?); do", GUIDE, re.DOTALL))
    kinds = {row["type"] for row in deployment.resources.values() if row["type"].startswith("google_")}

    for kind in kinds - {"google_project", "google_storage_project_service_account"}:
        maker = next(role for prefix, role in MAKERS.items() if kind.startswith(prefix))
        assert maker in granted.split(), f"docs/deploy.md, step 3: {kind}"


def policy_in_the_guide(name: str) -> list[dict[str, Any]]:
    """Return the statements of a policy that step 4 of the guide makes in AWS, its actions as lists."""
    text = GUIDE.split(f"--policy-name {name} ")[1].split("--policy-document '")[1].split("\n}'")[0] + "\n}"
    for variable, value in (("PREFIX", "a-project-dss"), ("BOUNDARY", BOUNDARY)):
        text = text.replace(f"'\"${variable}\"'", value)
    statements: list[dict[str, Any]] = json.loads(text)["Statement"]
    return [
        {**row, "Action": [row["Action"]] if isinstance(row["Action"], str) else row["Action"]}
        for row in statements
    ]


def is_allowed(statements: list[dict[str, Any]], action: str, resource: str, boundary: str = "") -> bool:
    """Return whether IAM allows an action: some statement allows it, and none denies it."""
    effects = {
        row["Effect"]
        for row in statements
        if any(fnmatchcase(action, pattern) for pattern in row["Action"])
        and fnmatchcase(resource, row["Resource"])
        and row.get("Condition", {}) in ({}, {"StringEquals": {"iam:PermissionsBoundary": boundary}})
    }
    return effects == {"Allow"}


def test_the_account_that_deploys_may_make_every_aws_role(deployments: dict[str, Deployment]) -> None:
    deploy = policy_in_the_guide("deploy")
    roles = deployments["most"].of_type("aws_iam_role").values()

    assert len(roles) >= 9
    for role in roles:
        arn = f"arn:aws:iam::111122223333:role/{role['name']}"
        assert role["permissions_boundary"] == BOUNDARY
        for action in ("CreateRole", "PutRolePolicy", "DeleteRolePolicy"):
            assert is_allowed(deploy, f"iam:{action}", arn, BOUNDARY), role["name"]
            # Not without the bound: with it, no role can do more than the bound.
            assert not is_allowed(deploy, f"iam:{action}", arn), role["name"]
        for action in ("GetRole", "GetRolePolicy", "ListRolePolicies", "UpdateAssumeRolePolicy"):
            assert is_allowed(deploy, f"iam:{action}", arn), role["name"]
    itself = "arn:aws:iam::111122223333:role/dss-deploy"
    for action in ("PutRolePolicy", "UpdateAssumeRolePolicy", "DeleteRolePolicy", "DeleteRole"):
        assert not is_allowed(deploy, f"iam:{action}", itself, BOUNDARY)


def test_the_account_that_deploys_may_make_every_bucket_and_topic_in_aws(deployment: Deployment) -> None:
    deploy = policy_in_the_guide("deploy")

    for bucket in deployment.outputs["s3_buckets"].values():
        name = bucket.replace(deployment.outputs["s3_buckets"]["main"].removesuffix("-main"), "a-project-dss")
        assert is_allowed(deploy, "s3:CreateBucket", f"arn:aws:s3:::{name}")
    log = deployment.one("module.aws.aws_s3_bucket.audit_log")["bucket"]
    assert log.removesuffix("-audit-log") == deployment.outputs["s3_buckets"]["main"].removesuffix("-main")
    assert is_allowed(deploy, "s3:CreateBucket", "arn:aws:s3:::a-project-dss-audit-log")
    for trail in deployment.of_type("aws_cloudtrail").values():
        arn = f"arn:aws:cloudtrail:us-east-1:111122223333:trail/{trail['name']}"
        assert is_allowed(deploy, "cloudtrail:CreateTrail", arn)
    for topic in deployment.of_type("aws_sns_topic").values():
        assert is_allowed(deploy, "sns:CreateTopic", f"arn:aws:sns:us-east-1:111122223333:{topic['name']}")


def test_the_bound_allows_what_the_roles_need_and_nothing_beyond_objects() -> None:
    bound = policy_in_the_guide("dss-boundary")
    needed = set(re.findall(r'"(s3:\w+)"', (ROOT / "terraform" / "aws" / "roles.tf").read_text()))

    assert {action for row in bound for action in row["Action"]} == needed


def test_the_guide_says_what_each_account_may(deployment: Deployment) -> None:
    table = GUIDE.split("## Who may do what")[1].split("\n## ")[0]

    for account in deployment.of_type("google_service_account").values():
        assert f"\n| `{account['account_id']}` |" in table, account["account_id"]
    for role in deployment.of_type("aws_iam_role").values():
        assert f"\n| AWS role `{role['name']}` |" in table, role["name"]


def test_the_guide_names_no_output_that_is_not_there(deployment: Deployment) -> None:
    named = set(re.findall(r"output -raw (\w+)", GUIDE)) | set(re.findall(r"output\s+`(\w+)`", GUIDE))

    assert named and named <= set(deployment.outputs)


@pytest.mark.parametrize("service", ["cloudbuild", "storage", "pubsub"])
def test_the_guide_enables_what_must_be_on_before_terraform(service: str) -> None:
    [enabled] = re.findall(r"gcloud services enable (.*?)\n```", GUIDE, re.DOTALL)

    assert f"{service}.googleapis.com" in enabled
