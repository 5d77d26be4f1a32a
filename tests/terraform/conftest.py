"""Terraform without a cloud: see `terraform_cli.py`, `google_provider.py` and `aws_provider.py`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.aws_provider import aws_provider
from tests.support.google_provider import StandIn, serving
from tests.support.google_schema import ROOT, SCHEMA_FILE, TIME_SCHEMA_FILE, used_types
from tests.support.terraform_cli import Deployment, Workspace

GENERIC = {
    "facets": {"species": "sample.organism", "age": {"path": "age", "type": "number"}},
    "words": ["task"],
}
REQUIRED = {
    "project_id": "a-project",
    "image": "us-east1-docker.pkg.dev/a-project/dss/dss:1",
    "oidc_issuer": "https://issuer.example",
    "oidc_audiences": ["https://dss.example"],
}
OPTIONAL = {
    "storage_location": "eu",
    "firestore_database": "restored",
    "storage_class": "NEARLINE",
    "bucket_prefix": "cells",
    "staging_ttl_days": 3,
    "checkout_ttl_days": 5,
    "checkout_public_ttl_days": 3,
    "smtp": {"host": "mail.example.org", "sender": "dss@example.org", "user": "dss"},
    "smtp_password_version": "3",
    "checkout_cache_criteria": [{"type": "application/json", "max_size": 1000}],
    "staging_writers": ["group:labs@example.org"],
    "checkout_readers": ["group:readers@example.org"],
    "operators": ["group:operators@example.org"],
    "repair_operators": ["group:on-call@example.org"],
    "audit_log_days": 3000,
    "audit_log_locked": False,
    "aws_staging_writer_arns": ["arn:aws:iam::111122223333:root"],
    "aws_repair_operator_arns": ["arn:aws:iam::111122223333:role/on-call"],
    "aws_checkout_reader_arns": ["arn:aws:iam::111122223333:root"],
    "sources": [
        {"url": "s3://a-lab", "groups": ["lab"]},
        {"url": "s3://b-lab-*/in/", "groups": ["signed-in"]},
        {"url": "gs://a-lab", "groups": ["lab"]},
    ],
    "destinations": [{"url": "gs://a-lab-*", "groups": ["lab"]}],
    "aws_permissions_boundary_arn": "arn:aws:iam::111122223333:policy/dss-boundary",
    "signing_key_version": "1",
    "subscription_key_version": "4",
    "application_secrets_version": "2",
    "sign_in_clients_version": "5",
    "postgresql_tier": "db-custom-2-7680",
    "postgresql_high_availability": True,
    "postgresql_password_version": "3",
    "catalogues": [
        {"name": "hca", "plugin": "hca"},
        {"name": "part", "plugin": "generic", "prefix": "0a", "options": json.dumps(GENERIC)},
    ],
    "explore_max_instances": 3,
    "admin_emails": ["ada@example.org", "bob@example.org"],
    "trusted_projects": ["another-project"],
    "oidc_issuers": [
        {"issuer": "https://accounts.google.com", "audiences": ["an-app"], "group_claims": ["hd"]},
        {"issuer": "https://b.example", "audiences": ["b"], "email_domains": ["b.example"]},
    ],
    "token_info_url": "https://oauth2.googleapis.com/tokeninfo",
    "token_info_clients": ["an-app", "another-app"],
    "trace_percent": 100,
    "secured_operations": ["files.get", "bundles.get"],
    "public_url": "https://dss.example.org",
    "alert_emails": ["operators@example.org"],
    "docs_url": "https://git.example.org/dss/blob/main/docs/",
    "replication_alert_seconds": 900,
    "event_alert_seconds": 1200,
    "sync_max_instances": 5,
    "copy_max_instances": 6,
    "import_max_instances": 4,
    "index_max_instances": 7,
    "checkout_max_instances": 8,
    "notify_max_instances": 9,
    "deliver_max_instances": 10,
    "load_balancer": {"requests_per_minute": 1000},
    "principal_units": 700,
    "address_units": 0,
    "unlimited_networks": [f"192.0.{number}.0/24" for number in range(11)],
    "callback_networks": ["10.1.0.0/16", "fd00::/8"],
}
_REPOSITORY = "projects/a-project/locations/us-east1/connections/github/repositories/dss"
BOOTSTRAP: dict[str, dict[str, Any]] = {
    "least": {"project_id": "a-project"},
    "most": {
        "project_id": "a-project",
        "options": ["load_balancer", "postgresql"],
        "repository": _REPOSITORY,
        "branch": "^release$",
        "bucket_prefix": "cells",
        "billing_account": "012345-6789AB-CDEF01",
        "monthly_budget": 2500,
    },
}
# Beside those of the repository: all files in workflows/ are deployed.
ANOTHER_WORKFLOW = "main:\n  steps:\n    - end:\n        return: 1\n"


@pytest.fixture(scope="package")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which `terraform` asks providers that run already, one of each for the folder."""
    schemas = json.loads(SCHEMA_FILE.read_text()) | {"time": json.loads(TIME_SCHEMA_FILE.read_text())}
    stand_ins = {name: StandIn(schema) for name, schema in schemas.items()}
    directory = tmp_path_factory.mktemp("provider")
    with serving(stand_ins) as environment:
        first = Workspace(directory / "first", environment)
        first.initialize()
    used = set().union(*used_types(ROOT / "terraform", "aws").values())
    with (
        aws_provider(first.program("aws"), used, directory) as aws,
        serving({**stand_ins, "aws": aws}) as found,
    ):
        yield found


@pytest.fixture(scope="package")
def workspace(tmp_path_factory: pytest.TempPathFactory, provider: dict[str, str]) -> Workspace:
    """An initialized copy, with a workflow more than there are, for those who don't change it."""
    workspace = Workspace(tmp_path_factory.mktemp("deployment"), provider)
    (workspace.root / "workflows" / "another.yaml").write_text(ANOTHER_WORKFLOW)
    workspace.initialize()
    return workspace


@pytest.fixture
def another_workspace(tmp_path: Path, provider: dict[str, str], workspace: Workspace) -> Workspace:
    """An initialized copy, to be broken."""
    another = Workspace(tmp_path / "copy", provider)
    for installed in workspace.directory.glob(".terraform*"):
        (another.directory / installed.name).symlink_to(installed)
    return another


@pytest.fixture(scope="package")
def deployments(workspace: Workspace) -> dict[str, Deployment]:
    """What is deployed with no more than the required variables (`least`), and with all (`most`)."""
    runs: dict[str, dict[str, Any]] = {"least": REQUIRED, "most": REQUIRED | OPTIONAL}
    return workspace.apply(runs)


@pytest.fixture(params=["least", "most"])
def deployment(request: pytest.FixtureRequest, deployments: dict[str, Deployment]) -> Deployment:
    """Either of them, one after the other."""
    return deployments[request.param]


@pytest.fixture(scope="package")
def google_schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(SCHEMA_FILE.read_text())["google"]
    return schema


@pytest.fixture(scope="package")
def bootstrap(tmp_path_factory: pytest.TempPathFactory, provider: dict[str, str]) -> dict[str, Deployment]:
    """What a person makes once, with no more than the required variables (`least`), and with all (`most`)."""
    workspace = Workspace(tmp_path_factory.mktemp("bootstrap"), provider, "bootstrap")
    workspace.initialize()
    assert workspace.validate() == []
    return workspace.apply(BOOTSTRAP)
