"""Who read and wrote what is kept, in both clouds, for as long as is said, and nobody can shorten that."""

import re
from typing import Any

import pytest

from run.admin.cloud_logging import filter_of
from shared.access.audit_log import LABEL, LABEL_VALUE
from tests.support.terraform_cli import Deployment, Workspace
from tests.terraform.conftest import REQUIRED

BUCKET = "projects/a-project/locations/us-east1/buckets/dss-audit"
# By deployment: days, and whether they are locked.
RETENTION = {"least": (400, True), "most": (3000, False)}


@pytest.mark.parametrize("name", RETENTION)
def test_the_log_is_kept_in_a_bucket_of_its_own_for_as_long_as_is_said(
    deployments: dict[str, Deployment], name: str
) -> None:
    deployment, (days, locked) = deployments[name], RETENTION[name]
    bucket = deployment.one("google_logging_project_bucket_config.audit")
    lock = deployment.one("module.aws.aws_s3_bucket_object_lock_configuration.audit_log")
    [rule] = lock["rule"]
    [kept] = rule["default_retention"]

    assert (bucket["location"], bucket["bucket_id"]) == ("us-east1", "dss-audit")
    assert (bucket["retention_days"], bucket["locked"]) == (days, locked)
    assert (kept["days"], kept["mode"]) == (days, "COMPLIANCE" if locked else "GOVERNANCE")
    # Not before the lock ends, but then.
    cycle = deployment.one("module.aws.aws_s3_bucket_lifecycle_configuration.audit_log")
    assert [one["days"] for rule in cycle["rule"] for one in rule["expiration"]] == [days + 1]


def test_the_sink_takes_what_has_the_label_of_the_lines_and_data_access(deployment: Deployment) -> None:
    sink = deployment.one("google_logging_project_sink.audit")

    assert sink["destination"] == f"logging.googleapis.com/{BUCKET}"
    label = f'labels.{LABEL}="{LABEL_VALUE}"'
    assert sink["filter"].split(" OR ") == [
        label,
        'logName="projects/a-project/logs/cloudaudit.googleapis.com%2Fdata_access"',
    ]
    assert filter_of("", "").startswith(label)


def test_what_operators_look_for_is_indexed_and_they_can_find_it(deployment: Deployment) -> None:
    bucket = deployment.one("google_logging_project_bucket_config.audit")
    [api] = deployment.one("google_cloud_run_v2_service.api")["template"][0]["containers"]
    environment = {row["name"]: row["value"] for row in api["env"]}

    indexed = {row["field_path"] for row in bucket["index_configs"]}
    assert indexed == set(re.findall(r"jsonPayload\.\w+", filter_of("", ""))) - {"jsonPayload.operation"}
    assert environment["DSS_AUDIT_LOG_BUCKET"] == BUCKET
    # Lines are printed: Cloud Run has no file that lasts.
    assert "DSS_AUDIT_LOG" not in environment


@pytest.mark.parametrize("days", [0, 3651])
def test_days_that_cloud_logging_refuses_are_refused(workspace: Workspace, days: int) -> None:
    [why] = workspace.refusals(REQUIRED | {"audit_log_days": days})

    assert "1 to 3,650." in why


def test_data_access_beside_the_system_is_logged_and_so_are_signed_urls(deployment: Deployment) -> None:
    configs = deployment.by_key("google_project_iam_audit_config.data_access")
    api = deployment.one("google_service_account.api")["member"]
    own = {api} | {row["member"] for row in deployment.by_key("google_service_account.function").values()}

    assert set(configs) == {
        *("datastore.googleapis.com", "storage.googleapis.com"),
        *("workflowexecutions.googleapis.com", "workflows.googleapis.com"),
    }
    for service, row in configs.items():
        exempt = {one["log_type"]: set(one["exempted_members"]) for one in row["audit_log_config"]}
        assert row["service"] == service
        # Operators are logged; the system itself says for whom it works. URLs that the API has signed are
        # used in its name.
        reads = own - {api} if service == "storage.googleapis.com" else own
        assert exempt == {"DATA_READ": reads, "DATA_WRITE": own}


def test_reads_and_writes_of_the_main_bucket_of_s3_are_logged_and_of_no_other(deployment: Deployment) -> None:
    trail = deployment.one("module.aws.aws_cloudtrail.data_access")
    main = deployment.by_key("module.aws.aws_s3_bucket.dss")["main"]["arn"]
    log = deployment.one("module.aws.aws_s3_bucket.audit_log")
    [selector] = trail["advanced_event_selector"]
    fields = {row["field"]: row["equals"] or row["starts_with"] for row in selector["field_selector"]}

    assert fields == {
        "eventCategory": ["Data"],
        "resources.type": ["AWS::S3::Object"],
        "resources.ARN": [f"{main}/"],
    }
    assert trail["s3_bucket_name"] == log["bucket"]
    assert trail["enable_log_file_validation"] and log["object_lock_enabled"]


def test_only_this_trail_may_write_to_its_bucket(deployment: Deployment) -> None:
    document = deployment.one("module.aws.data.aws_iam_policy_document.audit_log")
    trail = deployment.one("module.aws.aws_cloudtrail.data_access")["name"]
    allowed = [row for row in document["statement"] if row["effect"] != "Deny"]

    assert {action for row in allowed for action in row["actions"]} == {"s3:GetBucketAcl", "s3:PutObject"}
    for row in allowed:
        assert row["principals"] == [{"type": "Service", "identifiers": ["cloudtrail.amazonaws.com"]}]
        source = conditions(row)["aws:SourceArn"]
        assert source.startswith("arn:aws:cloudtrail:") and source.endswith(f":trail/{trail}")


def conditions(statement: dict[str, Any]) -> dict[str, str]:
    return {row["variable"]: row["values"][0] for row in statement["condition"]}
