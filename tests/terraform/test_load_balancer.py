"""The load balancer is an option: nothing of it without; with it, it limits each address, and hides none."""

import ipaddress

import pytest

from shared.config import Settings
from tests.support.terraform_cli import Deployment, Json, Workspace
from tests.terraform.conftest import OPTIONAL, REQUIRED

PREFIX = "module.load_balancer["


def service(deployment: Deployment) -> Json:
    return deployment.one("google_cloud_run_v2_service.api")


def settings(deployment: Deployment) -> Settings:
    rows = service(deployment)["template"][0]["containers"][0]["env"]
    return Settings.from_environment({row["name"]: row["value"] for row in rows if row["value"] is not None})


def watched_host(deployment: Deployment) -> str:
    [check] = deployment.of_type("google_monitoring_uptime_check_config").values()
    return str(check["monitored_resource"][0]["labels"]["host"])


def test_without_it_clients_reach_cloud_run(deployments: dict[str, Deployment]) -> None:
    least = deployments["least"]

    assert not [address for address in least.resources if address.startswith(PREFIX)]
    assert service(least)["ingress"] == "INGRESS_TRAFFIC_ALL"
    assert settings(least).trusted_proxies == ("169.254.0.0/16",)
    assert watched_host(least).endswith(".run.app")
    assert least.outputs["load_balancer_address"] == ""


def test_it_is_the_only_way_to_the_api(deployments: dict[str, Deployment]) -> None:
    most = deployments["most"]
    [group] = most.of_type("google_compute_region_network_endpoint_group").values()
    [backend] = most.of_type("google_compute_backend_service").values()
    [policy] = most.of_type("google_compute_security_policy").values()
    [certificate] = most.of_type("google_compute_managed_ssl_certificate").values()
    [rule] = most.of_type("google_compute_global_forwarding_rule").values()

    assert service(most)["ingress"] == "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
    assert [row["service"] for row in group["cloud_run"]] == [service(most)["name"]]
    assert [row["group"] for row in backend["backend"]] == [group["id"]]
    assert backend["security_policy"] == policy["id"]
    assert f"https://{certificate['managed'][0]['domains'][0]}" == OPTIONAL["public_url"]
    assert rule["port_range"] == "443"
    assert f"https://{watched_host(most)}" == OPTIONAL["public_url"]


def test_the_api_knows_whose_a_request_behind_it_is(deployments: dict[str, Deployment]) -> None:
    most = deployments["most"]
    address = most.outputs["load_balancer_address"]

    assert address
    assert f"{address}/32" in rows(most)["DSS_TRUSTED_PROXIES"].split(",")


def rows(deployment: Deployment) -> dict[str, str]:
    return {row["name"]: row["value"] for row in service(deployment)["template"][0]["containers"][0]["env"]}


def test_each_address_is_limited_and_listed_networks_are_not(deployments: dict[str, Deployment]) -> None:
    [policy] = deployments["most"].of_type("google_compute_security_policy").values()
    ordered = sorted(policy["rule"], key=lambda rule: int(rule["priority"]))
    *unlimited, limit, default = ordered

    listed = [network for rule in unlimited for network in rule["match"][0]["config"][0]["src_ip_ranges"]]
    assert sorted(listed) == sorted(OPTIONAL["unlimited_networks"])
    assert all(rule["action"] == "allow" and not rule["rate_limit_options"] for rule in unlimited)
    # Cloud Armor refuses a rule with more.
    assert all(len(rule["match"][0]["config"][0]["src_ip_ranges"]) <= 10 for rule in unlimited)

    [options] = limit["rate_limit_options"]
    assert (limit["action"], options["enforce_on_key"]) == ("rate_based_ban", "IP")
    assert (options["conform_action"], options["exceed_action"]) == ("allow", "deny(429)")
    assert options["rate_limit_threshold"] == [{"count": 1000, "interval_sec": 60}]
    assert options["ban_threshold"] == [{"count": 2000, "interval_sec": 60}]
    # Cloud Armor: the priority of the default rule.
    assert (int(default["priority"]), default["action"]) == (2_147_483_647, "allow")


def test_figures_of_the_limits_reach_the_code(deployments: dict[str, Deployment]) -> None:
    given = rows(deployments["most"])

    assert (given["DSS_PRINCIPAL_UNITS"], given["DSS_ADDRESS_UNITS"]) == ("700", "0")
    networks = given["DSS_UNLIMITED_NETWORKS"].split(",")
    assert [str(ipaddress.ip_network(network)) for network in networks] == OPTIONAL["unlimited_networks"]
    assert (
        settings(deployments["least"]).principal_units
        == Settings.__dataclass_fields__["principal_units"].default
    )


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"load_balancer": {}}, "With public_url"),
        (
            {"load_balancer": {"requests_per_minute": 0}, "public_url": "https://dss.example.org"},
            "1 to 500,000",
        ),
        ({"principal_units": 0.5, "unlimited_networks": ["everywhere"]}, "A whole number"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(workspace: Workspace, variables: Json, named: str) -> None:
    assert any(named in refusal for refusal in workspace.refusals(REQUIRED | variables))
