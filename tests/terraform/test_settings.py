"""Everything that runs our code gets settings that it knows, all that it must have, none that weakens it."""

import json
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from run.admin.deployed import read_plan
from shared.config import Settings
from tests.support.terraform_cli import Deployment

SETTINGS = {row.metadata["name"]: row for row in fields(Settings)}
# Read by boto3, by functions-framework, and by libpq.
READ_BY_LIBRARIES = {"AWS_DEFAULT_REGION", "THREADS", "PGPASSWORD"}
# They take something away that only emulators and tests can do without.
FOR_EMULATORS_ONLY = {
    "DSS_SNS_SIGNATURES", "DSS_FAULT_POINT", "DSS_DEBUG", "DSS_WORKFLOWS_EMULATOR_HOST",
    "DSS_PUSH_EMULATOR_HOST", "DSS_SERVICE_ACCOUNT_JWKS_URL",
}  # fmt: skip


@pytest.fixture
def environments(deployment: Deployment) -> dict[str, dict[str, str | None]]:
    """The environment of each component; a secret's value is None."""
    services = {"api": deployment.api, **deployment.functions}
    return {name: row.environment for name, row in services.items()}


def test_components_get_no_variable_that_is_not_a_setting(
    environments: dict[str, dict[str, str | None]],
) -> None:
    for component, environment in environments.items():
        assert set(environment) - READ_BY_LIBRARIES <= set(SETTINGS), component


def test_every_setting_without_a_default_is_given(environments: dict[str, dict[str, str | None]]) -> None:
    required = {
        name for name, row in SETTINGS.items() if row.default is MISSING and row.default_factory is MISSING
    }

    for component, environment in environments.items():
        assert required <= set(environment), component


def test_components_get_no_setting_for_emulators(environments: dict[str, dict[str, str | None]]) -> None:
    assert set(SETTINGS) >= FOR_EMULATORS_ONLY
    for component, environment in environments.items():
        assert not FOR_EMULATORS_ONLY & set(environment), component


def test_all_components_use_the_same_buckets_and_workflows(
    environments: dict[str, dict[str, str | None]], deployment: Deployment
) -> None:
    gcs, s3 = deployment.outputs["gcs_buckets"], deployment.outputs["s3_buckets"]

    for component, environment in environments.items():
        given = {name: value for name, value in environment.items() if value is not None}
        settings = Settings.from_environment(given)

        assert settings.project == "a-project", component
        catalog = deployment.one("google_firestore_database.catalog")
        assert settings.firestore_database == catalog["name"], component
        assert (settings.gs_bucket, settings.gs_checkout_bucket) == (gcs["main"], gcs["checkout"]), component
        assert (settings.s3_bucket, settings.s3_checkout_bucket) == (s3["main"], s3["checkout"]), component
        assert settings.workflows_location == "us-east1", component
        assert settings.traces == "cloud", component
        assert settings.sns_signatures and not settings.fault_point, component


def test_the_settings_of_a_plan_are_found(
    deployment: Deployment, environments: dict[str, dict[str, str | None]], tmp_path: Path
) -> None:
    file = tmp_path / "plan.json"
    module = {"resources": list(deployment.resources.values())}
    file.write_text(json.dumps({"planned_values": {"root_module": module}}))

    found = read_plan(file)

    assert {name.removeprefix("dss-").replace("-", "_") for name in found} == set(environments)
    for component, environment in environments.items():
        assert set(environment) <= set(found[f"dss-{component.replace('_', '-')}"]), component


def test_a_deployment_exports_the_share_of_traces_that_it_is_told(deployments: dict[str, Deployment]) -> None:
    for name, percent in (("least", "10"), ("most", "100")):
        rows = deployments[name].functions.values()
        given = {row.given["DSS_TRACE_PERCENT"] for row in rows}
        assert given == {percent}, name
