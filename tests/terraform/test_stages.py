"""Two stages share a project and an AWS account: nothing of one has the name of something of the other's."""

import pytest

from shared.config import Settings
from tests.support.terraform_cli import Deployment, Json, Workspace
from tests.terraform.conftest import OPTIONAL, REQUIRED

# What tells resources of a kind apart within a project or an account, or everywhere.
NAMES = ("account_id", "bucket", "bucket_id", "display_name", "name", "repository_id", "secret_id")
# These are parts of something that has a name of its own, or of the project.
PARTS = (
    "aws_iam_role_policy", "aws_s3_bucket_", "google_firestore_backup_schedule", "google_firestore_field",
    "google_firestore_index", "google_project_", "google_sql_database", "google_sql_user",
    "google_storage_bucket_object", "google_storage_notification", "_iam_member", "_iam_audit_config",
    "google_monitoring_notification_channel", "aws_iam_policy_document", "aws_region", "aws_caller_identity",
    "google_storage_project_service_account",
)  # fmt: skip
STAGE: Json = {"stage": "dev", "private": True, "audits_project": False}


@pytest.fixture(scope="module")
def staged(workspace: Workspace) -> Deployment:
    """All that can be deployed, as the stage `dev`."""
    beside = {"load_balancer", "public_url", "bucket_prefix", "firestore_database"}
    options = {name: value for name, value in OPTIONAL.items() if name not in beside}
    return workspace.apply({"staged": REQUIRED | options | STAGE})["staged"]


def test_nothing_of_a_stage_has_the_name_of_what_is_deployed_without_one(
    staged: Deployment, deployments: dict[str, Deployment]
) -> None:
    def named(deployment: Deployment) -> set[tuple[str, str, str]]:
        return {
            (row["type"], attribute, row["values"][attribute])
            for row in deployment.resources.values()
            if row["type"] == "google_sql_database_instance" or not any(part in row["type"] for part in PARTS)
            for attribute in NAMES
            if row["values"].get(attribute)
        }

    assert len(named(staged)) > 60
    assert named(staged) & (named(deployments["least"]) | named(deployments["most"])) == set()


def test_a_stage_is_in_every_name_that_it_chooses(staged: Deployment) -> None:
    chosen = {
        "google_service_account": "account_id", "google_secret_manager_secret": "secret_id",
        "google_workflows_workflow": "name",
        "google_pubsub_topic": "name", "google_pubsub_subscription": "name",
        "google_cloud_run_v2_service": "name", "google_cloud_scheduler_job": "name",
        "google_firestore_database": "name", "google_logging_metric": "name",
        "aws_iam_role": "name", "aws_sns_topic": "name", "aws_sqs_queue": "name", "aws_cloudtrail": "name",
    }  # fmt: skip
    for kind, attribute in chosen.items():
        rows = staged.of_type(kind).values()
        assert rows, kind
        for row in rows:
            assert row[attribute].startswith("dss-dev"), (kind, row[attribute])
    # IAM: an account's id is 6 to 30 characters; the longest stage has ten.
    longest = max(len(row["account_id"]) for row in staged.of_type("google_service_account").values())
    assert longest + 10 - len("dev") <= 30
    for bucket in [*staged.of_type("google_storage_bucket").values()]:
        assert bucket["name"].startswith("a-project-dss-dev-")


def test_the_code_finds_the_topics_workflows_and_catalog_of_its_stage(staged: Deployment) -> None:
    workflows = {row["name"] for row in staged.of_type("google_workflows_workflow").values()}
    topics = staged.by_key("google_pubsub_topic.dss")
    for row in staged.functions.values():
        settings = Settings.from_environment(row.given)
        assert {f"{settings.pubsub_prefix}{key}": row["name"] for key, row in topics.items()} == {
            row["name"]: row["name"] for row in topics.values()
        }
        assert f"{settings.workflows_prefix}copy" in workflows
        assert settings.firestore_database == staged.one("google_firestore_database.catalog")["name"]


def test_a_private_api_answers_nobody_outside_and_nobody_outside_watches_it(staged: Deployment) -> None:
    assert staged.one("google_cloud_run_v2_service.api")["ingress"] == "INGRESS_TRAFFIC_INTERNAL_ONLY"
    assert not staged.of_type("google_monitoring_uptime_check_config")
    assert "api_down" not in staged.by_key("google_monitoring_alert_policy.dss")


def test_one_stage_of_a_project_switches_on_its_logs_of_data_access(
    staged: Deployment, deployments: dict[str, Deployment]
) -> None:
    assert not staged.of_type("google_project_iam_audit_config")
    assert deployments["least"].of_type("google_project_iam_audit_config")


def test_a_stage_that_makes_no_sense_is_refused(workspace: Workspace) -> None:
    bad = {"stage": "Production-2", "private": True, "load_balancer": {}, "public_url": "https://a.example"}

    refused = "\n".join(workspace.refusals(REQUIRED | bad))

    assert "At most 10 lower-case letters" in refused
    assert "that one is for callers from outside" in refused
