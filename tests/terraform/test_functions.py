"""The functions: which there are, how much they take on at once, and who calls them."""

import json
import re
from typing import Any

import pytest

import functions.main
from shared.checksums import MIB
from shared.copying.blobs import memory_of_copy
from shared.system import COPY_MEMORY_BYTES
from tests.support.terraform_cli import ROOT, SUBSCRIPTIONS, Deployment, Service
from tests.terraform.conftest import REQUIRED

PUSHED = {row["function"]: row for row in json.loads(SUBSCRIPTIONS.read_text())}
# Measured; docs/deploy.md says how.
IDLE_MIB = 110
BESIDE_MIB = 12
# Cloud Run: CpuAllocPerProjectRegion and MemAllocPerProjectRegion of a project that has asked for no more.
QUOTA_VCPU, QUOTA_MIB = 20, 40 * 1024


# Deployed with catalogues alone.
OF_CATALOGUES = {"explore", "manifest"}


def names(deployment: Deployment) -> set[str]:
    """Return the names of the functions that a deployment has."""
    return set(deployment.functions)


def service(deployment: Deployment, name: str) -> Service:
    return deployment.functions[name]


def test_every_entry_point_is_deployed_and_no_other(deployments: dict[str, Deployment]) -> None:
    found = {name: names(deployment) for name, deployment in deployments.items()}
    everything = set(functions.main.ENTRY_POINTS)

    assert found == {"least": everything - OF_CATALOGUES, "most": everything}, "terraform/functions.tf"


def test_functions_are_entry_points_of_their_names(deployment: Deployment) -> None:
    for name, row in deployment.functions.items():
        assert row.container["command"] == ["functions-framework", f"--target={name}"]
    assert deployment.outputs["function_urls"].keys() == deployment.functions.keys()


def test_functions_and_the_api_run_one_image(deployment: Deployment) -> None:
    images = {row.container["image"] for row in (deployment.api, *deployment.functions.values())}

    assert images == {REQUIRED["image"]}
    # It has what the command needs to find the entry points.
    assert deployment.api.container["command"] in (None, [])


def test_a_function_serves_when_it_listens_and_an_apply_moves_no_request(deployment: Deployment) -> None:
    text = (ROOT / "terraform" / "functions.tf").read_text()
    [block] = re.findall(r'^resource "google_cloud_run_v2_service" .*?^}', text, re.MULTILINE | re.DOTALL)

    for row in deployment.functions.values():
        [probe] = row.container["startup_probe"]
        [port] = row.container["ports"]
        assert [each["port"] for each in probe["tcp_socket"]] == [port["container_port"]]
        assert row.values["traffic"][0]["percent"] == 100, "those of the first apply"
    assert "ignore_changes = [traffic]" in block


def test_what_is_replicated_at_once_fits_into_memory(deployment: Deployment) -> None:
    sync = service(deployment, "sync")
    # Each event also has a stack, connections, and a manifest of the largest bundle at worst.
    assert IDLE_MIB + COPY_MEMORY_BYTES // MIB + sync.concurrency * BESIDE_MIB <= mebibytes(
        sync.limits["memory"]
    )
    # Several objects go side by side, of whatever size.
    assert 3 * memory_of_copy(10**12) <= COPY_MEMORY_BYTES
    # A step of `copy` copies as an event of `sync` does, without a budget.
    copy = service(deployment, "copy")
    assert IDLE_MIB + copy.concurrency * memory_of_copy(10**12) // MIB < mebibytes(copy.limits["memory"])


def test_a_function_has_as_many_threads_as_requests(deployment: Deployment) -> None:
    for name in names(deployment):
        config = service(deployment, name)
        assert int(config.given["THREADS"]) == config.concurrency, name
        # Cloud Run: more than one request at once needs a whole CPU.
        assert config.limits["cpu"] == "1", name


def test_a_push_ends_before_pub_sub_gives_it_up(deployment: Deployment) -> None:
    for name, row in PUSHED.items():
        if name in OF_CATALOGUES - names(deployment):
            continue
        # Pub/Sub: 600 s at most.
        assert service(deployment, name).timeout_seconds < row["ack_deadline_seconds"] <= 600


def test_by_default_every_service_fits_into_the_quota_of_a_new_project(
    deployments: dict[str, Deployment],
) -> None:
    least = deployments["least"]
    for name, row in {"api": least.api, **least.functions}.items():
        assert row.max_instances * int(row.limits["cpu"]) <= QUOTA_VCPU, name
        assert row.max_instances * mebibytes(row.limits["memory"]) < QUOTA_MIB, name


def mebibytes(size: str) -> int:
    """Return a size of Kubernetes' form, `512Mi` or `2Gi`, in MiB."""
    return int(size[:-2]) * {"Mi": 1, "Gi": 1024}[size[-2:]]


def test_limits_are_the_variables(deployments: dict[str, Deployment]) -> None:
    most = deployments["most"]

    assert service(most, "sync").max_instances == 5
    assert service(most, "copy").max_instances == 6
    assert service(most, "importer").max_instances == 4
    assert service(most, "index").max_instances == 7
    assert service(most, "explore").max_instances == 3
    assert service(most, "checkout").max_instances == 8
    assert service(most, "notify").max_instances == 9
    for name in ("deliver", "redeliver"):
        assert service(most, name).max_instances == 10
        networks = service(most, name).given["DSS_CALLBACK_NETWORKS"]
        assert networks == "10.1.0.0/16,fd00::/8"


@pytest.fixture(params=["compact", "sweep"])
def scheduled(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_a_scheduled_function_has_one_instance_and_takes_one_call_at_a_time(
    deployment: Deployment, scheduled: str
) -> None:
    config = service(deployment, scheduled)

    assert (config.max_instances, config.concurrency) == (1, 1)


def test_cloud_scheduler_calls_every_five_minutes_with_an_identity(
    deployment: Deployment, scheduled: str
) -> None:
    job = deployment.one(f'google_cloud_scheduler_job.dss["{scheduled}"]')
    [target] = job["http_target"]
    [token] = target["oidc_token"]
    config = service(deployment, scheduled)

    assert (job["schedule"], job["time_zone"]) == ("*/5 * * * *", "Etc/UTC")
    assert job["attempt_deadline"] == f"{config.timeout_seconds}s"
    assert target["uri"] == token["audience"] == config.values["uri"]
    assert token["service_account_email"] == caller(deployment, "scheduler")["email"]


def test_each_function_is_called_by_one_identity_and_from_inside(deployment: Deployment) -> None:
    expected = {
        "sync": caller(deployment, "pubsub")["member"],
        "index": caller(deployment, "pubsub")["member"],
        **{name: caller(deployment, "pubsub")["member"] for name in ("notify", "deliver", "redeliver")},
        "sweep": caller(deployment, "scheduler")["member"],
        "compact": caller(deployment, "scheduler")["member"],
        "administer": caller(deployment, "workflows")["member"],
        "copy": caller(deployment, "workflows")["member"],
        "checkout": caller(deployment, "workflows")["member"],
        "importer": caller(deployment, "workflows")["member"],
        # SNS has no Google identity; the function verifies its signatures.
        "s3_events": "allUsers",
    }
    if "explore" in names(deployment):
        expected["explore"] = caller(deployment, "pubsub")["member"]
        expected["manifest"] = caller(deployment, "workflows")["member"]
    invokers = deployment.by_key("google_cloud_run_v2_service_iam_member.invoker")
    deployed = deployment.functions

    assert {name: row["member"] for name, row in invokers.items()} == expected
    assert {row["role"] for row in invokers.values()} == {"roles/run.invoker"}
    assert {name: row["name"] for name, row in invokers.items()} == {
        name: row.values["name"] for name, row in deployed.items()
    }
    assert {
        name for name, row in deployed.items() if row.values["ingress"] != "INGRESS_TRAFFIC_INTERNAL_ONLY"
    } == {"s3_events"}


def caller(deployment: Deployment, name: str) -> dict[str, Any]:
    return deployment.by_key("google_service_account.caller")[name]


def test_each_function_runs_as_an_account_of_its_own(deployment: Deployment) -> None:
    accounts = deployment.by_key("google_service_account.function")

    for name in names(deployment):
        assert service(deployment, name).template["service_account"] == accounts[name]["email"]
    assert len({row["account_id"] for row in accounts.values()}) == len(names(deployment))
