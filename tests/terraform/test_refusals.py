"""Settings that make no sense are refused, with a reason, before anything is deployed."""

import pytest

from tests.support.terraform_cli import Json, Workspace
from tests.terraform.conftest import REQUIRED

BAD = {
    "project_id": "A Project",
    "api_image": "an-image-of-no-version",
    "oidc_issuer": "http://issuer.example",
    "oidc_audiences": [],
    "oidc_issuers": [{"issuer": "http://b.example", "audiences": ["b"]}],
    "token_info_url": "http://b.example",
    "public_url": "https://dss.example/",
    "staging_ttl_days": 0.5,
    "main_soft_delete_days": 3,
    "signing_key_version": "newest",
    "bucket_prefix": "Upper",
    "replication_alert_seconds": 600,
    "event_alert_seconds": 600,
    "sync_max_instances": 0,
    "sources": [{"url": "gs://a-lab", "groups": []}],
    "destinations": [{"url": "gs://a-lab/in/", "groups": ["lab"]}],
}
REASONS = (
    "A project id is 6 to 30 lower-case letters",
    "An image with its tag or digest.",
    "Begins with https://.",
    "At least one; without it every token is refused.",
    "Each issuer begins with https://, and has an audience or more.",
    "Empty, or begins with https://.",
    "https:// and a host.",
    "A whole number of days, 1 or more.",
    "0, or 7 to 90.",
    "A number, or latest.",
    "3 to 54 lower-case letters, digits and dashes.",
    "More than 600.",
    "URLs as gs://bucket, gs://bucket/prefix/, s3://bucket or https://host/path/, each with a group.",
    "URLs of whole buckets, as gs://bucket, each with a group.",
    "1 or more.",
)
# Of many settings at once, some of which others depend on.
SECOND: Json = {
    "audit_log_days": 3651,
    "stage": "Production-2",
    "private": True,
    "load_balancer": {},
    "public_url": "https://a.example",
    "principal_units": 0.5,
    "unlimited_networks": ["everywhere"],
    "postgresql_password_version": "1",
    "catalogues": [{"name": "hca", "plugin": "hca"}],
}
THIRD: Json = {
    "load_balancer": {},
    "postgresql_tier": "large",
    "postgresql_password_version": "1",
    "catalogues": [
        {"name": "HCA", "plugin": "hca"},
        {"name": "a", "plugin": "hca"},
        {"name": "a", "plugin": "hca", "options": "[]"},
    ],
}
FOURTH: Json = {"load_balancer": {"requests_per_minute": 0}, "public_url": "https://dss.example.org"}
# The variables, and for each that makes no sense a reason.
REFUSED: dict[str, tuple[Json, tuple[str, ...]]] = {
    "first": (BAD | {"audit_log_days": 0}, (*REASONS, "1 to 3,650.")),
    "second": (
        SECOND,
        (
            "1 to 3,650.",
            "At most 10 lower-case letters",
            "that one is for callers from outside",
            "A whole number",
            "with postgresql_tier",
            "they are in PostgreSQL",
        ),
    ),
    "third": (
        THIRD,
        (
            "With public_url",
            "machine type",
            "A name is lower-case",
            "have the same name",
            "are a JSON object",
        ),
    ),
    "fourth": (FOURTH, ("1 to 500,000",)),
}


@pytest.fixture(scope="module")
def refusals(workspace: Workspace) -> dict[str, list[str]]:
    """The errors for each of them, of one run of terraform."""
    return workspace.refusals({name: REQUIRED | variables for name, (variables, _) in REFUSED.items()})


@pytest.mark.parametrize("name", REFUSED)
def test_settings_that_make_no_sense_are_refused(refusals: dict[str, list[str]], name: str) -> None:
    variables, reasons = REFUSED[name]

    for reason in reasons:
        assert any(reason in refusal for refusal in refusals[name]), (variables, refusals[name])
