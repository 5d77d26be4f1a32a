"""`terraform/bootstrap/` lets builds deploy all that `terraform/` describes, and no more than that."""

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import yaml

from tests.support.terraform_cli import ROOT, Deployment
from tests.terraform.conftest import OPTIONAL

BOUNDARY = OPTIONAL["aws_permissions_boundary_arn"]
# What one must hold to make resources of these kinds, the first prefix counts: a role of the account that
# deploys.
MAKERS = {
    "google_cloud_run_": "run.admin",
    "google_cloud_scheduler_": "cloudscheduler.admin",
    "google_compute_managed_ssl_certificate": "compute.securityAdmin",
    "google_compute_security_policy": "compute.securityAdmin",
    "google_compute_ssl_policy": "compute.securityAdmin",
    "google_compute_": "compute.networkAdmin",
    "google_firestore_": "datastore.owner",
    "google_logging_": "logging.configWriter",
    "google_monitoring_alert_policy": "monitoring.alertPolicyEditor",
    "google_monitoring_custom_service": "monitoring.servicesEditor",
    "google_monitoring_dashboard": "monitoring.dashboardEditor",
    "google_monitoring_notification_channel": "monitoring.notificationChannelEditor",
    "google_monitoring_slo": "monitoring.servicesEditor",
    "google_monitoring_uptime_check_config": "monitoring.uptimeCheckConfigEditor",
    "google_project_iam_": "resourcemanager.projectIamAdmin",
    "google_project_service": "serviceusage.serviceUsageAdmin",
    "google_pubsub_": "pubsub.admin",
    "google_secret_manager_": "secretmanager.admin",
    "google_service_networking_": "servicenetworking.networksAdmin",
    "google_service_account": "iam.serviceAccountAdmin",
    "google_sql_": "cloudsql.admin",
    "google_storage_": "storage.admin",
    "google_workflows_": "workflows.admin",
}


def roles(bootstrap: Deployment) -> set[str]:
    rows = bootstrap.by_key("google_project_iam_member.deploy").values()
    return {row["role"].removeprefix("roles/") for row in rows}


def test_the_account_that_deploys_may_make_every_google_resource_and_holds_no_other_role(
    deployments: dict[str, Deployment], bootstrap: dict[str, Deployment]
) -> None:
    # It runs code as the accounts that it makes, writes logs of builds, and makes channels of alerts.
    needed = {"iam.serviceAccountUser", "logging.logWriter", "monitoring.notificationChannelEditor"}
    for name, deployment in deployments.items():
        kinds = {row["type"] for row in deployment.resources.values() if row["type"].startswith("google_")}
        kinds -= {"google_project", "google_storage_project_service_account"}
        makers = {next(role for prefix, role in MAKERS.items() if kind.startswith(prefix)) for kind in kinds}

        assert makers - {"resourcemanager.projectIamAdmin"} | needed == roles(bootstrap[name])


def test_the_account_that_deploys_grants_what_deployments_grant_and_nothing_else(
    deployments: dict[str, Deployment], bootstrap: dict[str, Deployment]
) -> None:
    grant = bootstrap["least"].one("google_project_iam_member.grants")
    [condition] = grant["condition"]
    [listed] = re.findall(r"hasOnly\(\[(.*)\]\)", condition["expression"])
    granted = {
        row["role"]
        for deployment in deployments.values()
        for row in deployment.of_type("google_project_iam_member").values()
    }

    assert grant["role"] == "roles/resourcemanager.projectIamAdmin"
    assert set(listed.replace("'", "").split(",")) == granted
    # IAM: at most ten in such a condition.
    assert len(granted) <= 10
    assert not [role for role in granted if re.search("admin|owner|editor", role, re.IGNORECASE)]


def test_the_default_accounts_of_the_project_are_no_editors(bootstrap: dict[str, Deployment]) -> None:
    assert bootstrap["least"].one("google_project_default_service_accounts.none")["action"] == "DEPRIVILEGE"


def policy_of(bootstrap: dict[str, Deployment]) -> list[dict[str, Any]]:
    """Return the statements of the AWS policy of the role that deploys."""
    statements: list[dict[str, Any]] = json.loads(
        bootstrap["least"].one("aws_iam_role_policy.deploy")["policy"]
    )["Statement"]
    return statements


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


def test_the_account_that_deploys_may_make_every_aws_role(
    deployments: dict[str, Deployment], bootstrap: dict[str, Deployment]
) -> None:
    deploy = policy_of(bootstrap)
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
    itself = "arn:aws:iam::111122223333:role/dss-deploy-a-project"
    for action in ("PutRolePolicy", "UpdateAssumeRolePolicy", "DeleteRolePolicy", "DeleteRole"):
        assert not is_allowed(deploy, f"iam:{action}", itself, BOUNDARY)


def test_the_account_that_deploys_may_make_every_bucket_topic_and_queue_in_aws(
    deployment: Deployment, bootstrap: dict[str, Deployment]
) -> None:
    deploy = policy_of(bootstrap)

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
    for queue in deployment.of_type("aws_sqs_queue").values():
        assert is_allowed(deploy, "sqs:CreateQueue", f"arn:aws:sqs:us-east-1:111122223333:{queue['name']}")


def test_the_bound_allows_what_the_roles_need_and_nothing_beyond_objects(
    bootstrap: dict[str, Deployment],
) -> None:
    bound = json.loads(bootstrap["least"].one("aws_iam_policy.boundary")["policy"])["Statement"]
    needed = set(re.findall(r'"(s3:\w+)"', (ROOT / "terraform" / "aws" / "roles.tf").read_text()))

    assert {action for row in bound for action in row["Action"]} == needed


def test_only_builds_of_the_project_assume_the_aws_role(bootstrap: dict[str, Deployment]) -> None:
    [statement] = json.loads(bootstrap["least"].one("aws_iam_role.deploy")["assume_role_policy"])["Statement"]
    account = bootstrap["least"].one("google_service_account.deploy")

    assert statement["Principal"] == {"Federated": "accounts.google.com"}
    assert statement["Condition"]["StringEquals"] == {
        "accounts.google.com:sub": account["unique_id"],
        "accounts.google.com:aud": [account["unique_id"], account["email"]],
        "accounts.google.com:oaud": "sts.amazonaws.com",
    }


def test_deployments_know_the_bound(bootstrap: dict[str, Deployment]) -> None:
    given = bootstrap["least"].one("google_storage_bucket_object.variables")
    build = (ROOT / "cloudbuild.yaml").read_text()

    assert given["bucket"] == bootstrap["least"].outputs["state_bucket"]
    assert json.loads(given["content"]) == {
        "aws_permissions_boundary_arn": bootstrap["least"].one("aws_iam_policy.boundary")["arn"]
    }
    assert f"${{_STATE_BUCKET}}/{given['name']}" in build


def test_a_build_gets_the_substitutions_that_it_declares(bootstrap: dict[str, Deployment]) -> None:
    declared = yaml.safe_load((ROOT / "cloudbuild.yaml").read_text())["substitutions"]

    given = dict(pair.split("=", 1) for pair in bootstrap["least"].outputs["substitutions"].split(","))
    [trigger] = bootstrap["most"].of_type("google_cloudbuild_trigger").values()
    assert {*given, "_COMMIT"} == set(trigger["substitutions"]) <= set(declared)
    assert (ROOT / trigger["filename"]).is_file()
    assert not bootstrap["least"].of_type("google_cloudbuild_trigger")


def test_the_state_is_kept_and_nobody_outside_reads_it(bootstrap: dict[str, Deployment]) -> None:
    state = bootstrap["least"].one("google_storage_bucket.state")

    assert state["versioning"] == [{"enabled": True}]
    assert state["public_access_prevention"] == "enforced" and state["uniform_bucket_level_access"]
    assert state["force_destroy"] is False


def test_google_makes_the_accounts_that_deployments_grant_rights(
    deployments: dict[str, Deployment], bootstrap: dict[str, Deployment]
) -> None:
    made = {
        key.partition(".")[0] for key in bootstrap["least"].by_key("google_project_service_identity.agent")
    }
    members = [str(row["values"].get("member")) for row in deployments["most"].resources.values()]
    named = {match[1] for member in members if (match := re.search(r"@gcp-sa-(\w+)\.", member))}

    assert named and named <= made
