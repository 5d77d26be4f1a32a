"""What takes effect late is waited for, so that a first apply goes through."""

import re

import pytest

from tests.support.terraform_cli import ROOT

TERRAFORM = ROOT / "terraform"
TEXT = "\n".join(path.read_text() for path in sorted(TERRAFORM.glob("*.tf")))


def waits_of(kind: str, name: str) -> set[str]:
    """Return what a resource waits for by name."""
    [block] = re.findall(rf'^resource "{kind}" "{name}" .*?^}}', TEXT, re.MULTILINE | re.DOTALL)
    found = re.findall(r"depends_on\s+= \[(.*?)\]", block, re.DOTALL)
    return {name for text in found for name in re.findall(r"[\w.]+", text)}


@pytest.mark.parametrize(
    ("kind", "name", "wait"),
    [
        ("google_cloud_run_v2_service", "function", "time_sleep.grants"),
        ("google_cloud_run_v2_service", "api", "time_sleep.grants"),
        ("aws_sns_topic_subscription", "s3_events", "time_sleep.invokers"),
        ("google_monitoring_alert_policy", "dss", "time_sleep.metrics"),
    ],
)
def test_what_needs_something_that_is_late_waits_for_it(kind: str, name: str, wait: str) -> None:
    assert wait in waits_of(kind, name)


def test_the_waits_come_after_every_grant_to_what_runs_our_code() -> None:
    waited = set().union(*(waits_of("time_sleep", name) for name in ("grants", "invokers")))
    granted = {
        f"{kind}.{name}"
        for kind, name in re.findall(r'^resource "(google_\w+_iam_member)" "(\w+)"', TEXT, re.MULTILINE)
    }
    # To people, to Google's own accounts, to what only signs, and in whose names others call or log.
    to_others = {
        name
        for name in granted
        if re.search(r"operators|staging_writer|checkout_reader|\.gcs$|\.pubsub_|signer|workflows_log", name)
    }
    # For signed URLs alone, which nobody asks for in the first minutes.
    later = {"google_service_account_iam_member.api_signs_as_itself"}

    assert granted - to_others - later == waited - {"google_logging_metric.backlog"}
