"""The index in PostgreSQL is an option: nothing of it without; with it, who searches or indexes has it."""

from ipaddress import ip_network

import pytest

from shared.config import Settings
from shared.explore.plugins import open_plugin
from shared.postgresql.connections import POOL_SIZE
from tests.support.terraform_cli import Deployment, Json, Service, Workspace
from tests.terraform.conftest import GENERIC, REQUIRED

DATABASE = {"postgresql_tier": "db-custom-2-7680", "postgresql_password_version": "1"}
KINDS = (
    "google_compute_network",
    "google_compute_subnetwork",
    "google_service_networking_connection",
    "google_sql_database_instance",
    "google_sql_user",
)
# With catalogues, which are in the same database.
USERS = {"administer", "explore", "index", "manifest", "sweep"}


def services(deployment: Deployment) -> dict[str, Service]:
    return {"api": deployment.api, **deployment.functions}


def environments(deployment: Deployment) -> dict[str, dict[str, str | None]]:
    return {name: row.environment for name, row in services(deployment).items()}


def test_without_a_tier_no_postgresql_is_deployed(deployments: dict[str, Deployment]) -> None:
    least = deployments["least"]

    assert not [address for kind in KINDS for address in least.of_type(kind)]
    for environment in environments(least).values():
        assert not {"DSS_INDEX", "DSS_POSTGRESQL_DSN", "PGPASSWORD"} & set(environment)
    for name, service in services(least).items():
        assert service.template["vpc_access"] == [], name


def test_components_that_search_or_index_connect_to_postgresql(deployments: dict[str, Deployment]) -> None:
    most = deployments["most"]
    [instance] = most.of_type("google_sql_database_instance").values()

    for component, environment in environments(most).items():
        uses = component in USERS | {"api"}
        assert ("DSS_POSTGRESQL_DSN" in environment) == uses, component
        if uses:
            given = {name: value for name, value in environment.items() if value is not None}
            settings = Settings.from_environment(given)
            assert settings.index == "postgresql"
            address = instance["private_ip_address"]
            assert settings.postgresql_dsn == f"postgresql://dss@{address}/dss?sslmode=require"
    for name, service in services(most).items():
        secrets = [row for row in service.secrets if row[0] == "PGPASSWORD"]
        wanted = [("PGPASSWORD", "dss-postgresql-password", "3")] if name in USERS | {"api"} else []
        assert secrets == wanted, name


def test_who_uses_postgresql_has_an_interface_in_its_network_and_nobody_else(
    deployments: dict[str, Deployment],
) -> None:
    most = deployments["most"]
    [network] = most.of_type("google_compute_network").values()
    [subnetwork] = most.of_type("google_compute_subnetwork").values()
    [instance] = most.of_type("google_sql_database_instance").values()

    assert subnetwork["network"] == network["id"]
    assert instance["settings"][0]["ip_configuration"][0]["private_network"] == network["id"]
    for name, service in services(most).items():
        found = [
            (access["egress"], access["connector"], interface["network"], interface["subnetwork"])
            for access in service.template["vpc_access"]
            for interface in access["network_interfaces"]
        ]
        # What goes to Google's APIs and to AWS does not go through the network, which has no way out.
        interface = ("PRIVATE_RANGES_ONLY", None, network["id"], subnetwork["id"])
        assert found == ([interface] if name in USERS | {"api"} else []), name


def test_the_network_has_addresses_for_all_instances_of_two_deployments(
    deployments: dict[str, Deployment],
) -> None:
    [subnetwork] = deployments["most"].of_type("google_compute_subnetwork").values()
    users = [row for name, row in services(deployments["most"]).items() if name in USERS | {"api"}]

    # Cloud Run: two for each instance, in blocks of 16; Compute Engine has four of each range for itself.
    needed = 2 * sum(2 * service.max_instances + 16 for service in users) + 4
    assert ip_network(subnetwork["ip_cidr_range"]).num_addresses >= needed


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


def test_postgresql_is_restored_to_a_moment_of_the_last_week(deployments: dict[str, Deployment]) -> None:
    [instance] = deployments["most"].of_type("google_sql_database_instance").values()
    [backup] = instance["settings"][0]["backup_configuration"]

    # Cloud SQL makes a second machine (REGIONAL) with both only.
    assert backup["enabled"] and backup["point_in_time_recovery_enabled"]
    assert backup["transaction_log_retention_days"] == 7


def test_postgresql_is_deleted_only_if_a_variable_says_so(
    workspace: Workspace, deployments: dict[str, Deployment]
) -> None:
    allowed = workspace.apply({"gone": REQUIRED | DATABASE | {"postgresql_deletion_protection": False}})

    for deployment, protected in ((deployments["most"], True), (allowed["gone"], False)):
        [instance] = deployment.of_type("google_sql_database_instance").values()
        assert instance["deletion_protection"] is protected
        # A person with gcloud is kept from it, too.
        assert instance["settings"][0]["deletion_protection_enabled"] is protected


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
