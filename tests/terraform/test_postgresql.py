"""The index in PostgreSQL is an option: nothing of it without; with it, who searches or indexes has it."""

import pytest

from shared.config import Settings
from shared.explore.plugins import open_plugin
from shared.postgresql.connections import POOL_SIZE
from tests.support.terraform_cli import Deployment, Json, Workspace
from tests.terraform.conftest import GENERIC, REQUIRED

DATABASE = {"postgresql_tier": "db-custom-2-7680", "postgresql_password_version": "1"}
KINDS = (
    "google_compute_network",
    "google_service_networking_connection",
    "google_sql_database_instance",
    "google_sql_user",
    "google_vpc_access_connector",
)
# With catalogues, which are in the same database.
USERS = {"administer", "explore", "index", "manifest", "sweep"}


def api(deployment: Deployment) -> Json:
    return deployment.api.template


def environments(deployment: Deployment) -> dict[str, dict[str, str | None]]:
    services = {"api": deployment.api, **deployment.functions}
    return {name: row.environment for name, row in services.items()}


def test_without_a_tier_no_postgresql_is_deployed(deployments: dict[str, Deployment]) -> None:
    least = deployments["least"]

    assert not [address for kind in KINDS for address in least.of_type(kind)]
    for environment in environments(least).values():
        assert not {"DSS_INDEX", "DSS_POSTGRESQL_DSN", "PGPASSWORD"} & set(environment)
    assert api(least)["vpc_access"] == []


def test_components_that_search_or_index_connect_to_postgresql(deployments: dict[str, Deployment]) -> None:
    most = deployments["most"]
    [instance] = most.of_type("google_sql_database_instance").values()
    [connector] = most.of_type("google_vpc_access_connector").values()

    for component, environment in environments(most).items():
        uses = component in USERS | {"api"}
        assert ("DSS_POSTGRESQL_DSN" in environment) == uses, component
        if uses:
            given = {name: value for name, value in environment.items() if value is not None}
            settings = Settings.from_environment(given)
            assert settings.index == "postgresql"
            address = instance["private_ip_address"]
            assert settings.postgresql_dsn == f"postgresql://dss@{address}/dss?sslmode=require"
    assert api(most)["vpc_access"][0]["connector"] == connector["id"]
    for name, row in most.by_key("google_cloudfunctions2_function.dss").items():
        config = row["service_config"][0]
        assert (config["vpc_connector"] == connector["id"]) == (name in USERS), name
        secrets = [
            (one["key"], one["secret"], one["version"])
            for one in config["secret_environment_variables"]
            if one["key"] == "PGPASSWORD"
        ]
        assert secrets == ([("PGPASSWORD", "dss-postgresql-password", "3")] if name in USERS else []), name


def test_components_that_fill_catalogues_or_tell_of_changes_know_them(
    deployments: dict[str, Deployment],
) -> None:
    for name, wanted in (("least", set()), ("most", {"api", *USERS, "importer", "sync"})):
        found = {
            component: Settings.from_environment({key: value for key, value in given.items() if value})
            for component, given in environments(deployments[name]).items()
            if "DSS_CATALOGUES" in given
        }
        assert set(found) == wanted
        # What is indexed has DRS ids with the host of the API, in each function that indexes it.
        assert {settings.public_url for settings in found.values()} <= {"https://dss.example.org"}
        assert {
            tuple((row.name, row.plugin, row.replica, row.prefix) for row in settings.catalogues)
            for settings in found.values()
        } <= {(("hca", "hca", "gcp", ""), ("part", "generic", "gcp", "0a"))}
        for settings in found.values():
            assert [row.options for row in settings.catalogues] == [{}, GENERIC]
            for row in settings.catalogues:
                open_plugin(row.plugin, host="dss.example.org", **row.options)


def test_the_database_has_connections_for_all_instances(deployments: dict[str, Deployment]) -> None:
    most = deployments["most"]
    [instance] = most.of_type("google_sql_database_instance").values()
    [flag] = instance["settings"][0]["database_flags"]
    largest = sum(most.functions[name].max_instances for name in ("explore", "index"))
    # One pool for the search index, and one for catalogues.
    of_the_api = 2 * most.api.max_instances

    assert flag["name"] == "max_connections"
    assert int(flag["value"]) >= POOL_SIZE * (of_the_api + largest) + 30


def test_postgresql_has_no_public_address_and_requires_tls(deployments: dict[str, Deployment]) -> None:
    [instance] = deployments["most"].of_type("google_sql_database_instance").values()
    [address] = instance["settings"][0]["ip_configuration"]

    assert (address["ipv4_enabled"], address["ssl_mode"]) == (False, "ENCRYPTED_ONLY")
    assert instance["settings"][0]["availability_type"] == "REGIONAL"
    [user] = deployments["most"].of_type("google_sql_user").values()
    assert not user["password"]


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"postgresql_tier": "large"}, "machine type"),
        ({"postgresql_password_version": "1"}, "with postgresql_tier"),
        ({"catalogues": [{"name": "hca", "plugin": "hca"}]}, "they are in PostgreSQL"),
        (DATABASE | {"catalogues": [{"name": "HCA", "plugin": "hca"}]}, "A name is lower-case"),
        (DATABASE | {"catalogues": [{"name": "a", "plugin": "hca"}] * 2}, "have the same name"),
        (DATABASE | {"catalogues": [{"name": "a", "plugin": "hca", "options": "[]"}]}, "are a JSON object"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(workspace: Workspace, variables: Json, named: str) -> None:
    assert any(named in refusal for refusal in workspace.refusals(REQUIRED | variables))
