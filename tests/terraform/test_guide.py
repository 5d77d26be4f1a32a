"""`docs/deploy.md` names every account and every role that there is."""

import re

import pytest

from tests.support.terraform_cli import ROOT, Deployment

GUIDE = (ROOT / "docs" / "deploy.md").read_text()
# What one must hold to make resources of these kinds, the first prefix counts: a role of the account that
# deploys, in step 3 of the guide.
MAKERS = {
    "google_artifact_registry_": "artifactregistry.admin",
    "google_cloud_run_": "run.admin",
    "google_cloud_scheduler_": "cloudscheduler.admin",
    "google_cloudfunctions2_": "cloudfunctions.admin",
    "google_compute_": "compute.networkAdmin",
    "google_firestore_": "datastore.owner",
    "google_logging_metric": "logging.configWriter",
    "google_monitoring_alert_policy": "monitoring.alertPolicyEditor",
    "google_monitoring_notification_channel": "monitoring.notificationChannelEditor",
    "google_monitoring_uptime_check_config": "monitoring.uptimeCheckConfigEditor",
    "google_project_iam_member": "resourcemanager.projectIamAdmin",
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


def test_whoever_deploys_may_make_what_there_is_to_make(deployment: Deployment) -> None:
    granted = " ".join(re.findall(r"for role in (.*?); do", GUIDE, re.DOTALL))
    kinds = {row["type"] for row in deployment.resources.values() if row["type"].startswith("google_")}

    for kind in kinds - {"google_project", "google_storage_project_service_account"}:
        [maker] = [role for prefix, role in MAKERS.items() if kind.startswith(prefix)]
        assert maker in granted.split(), f"docs/deploy.md, step 3: {kind}"


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
