"""Limits: by whom a request counts, who is not limited, and what the answers say."""

import dataclasses
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

import dss
from local.api import api_process
from run.api.costs import COSTS, FAILED_SIGN_IN, FILE_OF_MANY
from run.api.limits import Limits
from run.api.request_budgets import BURST_SECONDS
from shared.access import Principal
from shared.config import Settings
from shared.errors import TooManyRequests
from tests.support.api import PROBLEM, Api, new_uuid, now
from tests.support.audit_lines import AuditLines
from tests.support.old_client import RETRIES
from tests.support.operations import ALL_OPERATIONS

SETTINGS = Settings(
    project="p",
    gs_bucket="b",
    s3_bucket="b",
    gs_checkout_bucket="b",
    s3_checkout_bucket="b",
    oidc_issuer="i",
    oidc_audience=("a",),
    principal_units=1200,
    address_units=600,
    unlimited_networks=("192.0.2.0/24", "2001:db8:9::/48"),
    trusted_proxies=("169.254.0.0/16",),
)
PRINCIPAL = Principal(email="ada@example.org")
ADMIN = Principal(email="root@example.org", is_admin=True)


def request_of(address: str, token: str | None = None) -> dict[str, Any]:
    """Return the environment of a request that comes through a proxy."""
    sent = {"HTTP_AUTHORIZATION": f"Bearer {token}"} if token else {}
    return {"REMOTE_ADDR": "169.254.1.1", "HTTP_X_FORWARDED_FOR": f"6.6.6.6, {address}", **sent}


def use_up(limits: Limits, environ: dict[str, Any], operation_id: str = "files.head") -> int:
    """Return how many requests pass at one moment; 10,000 if nothing limits them."""
    for count in range(10_000):
        try:
            limits.spend(environ, operation_id)
        except TooManyRequests:
            return count
    return 10_000


def is_limited(limits: Limits, environ: dict[str, Any]) -> bool:
    """Return whether the next request is refused."""
    try:
        limits.check(environ)
    except TooManyRequests:
        return True
    return False


@pytest.fixture
def held() -> Limits:
    """Limits for which no time passes."""
    return Limits(SETTINGS, clock=lambda: 1000.0)


def test_every_operation_of_the_contract_has_a_cost() -> None:
    assert set(COSTS) == set(ALL_OPERATIONS)
    assert min(COSTS.values()) > 0


def test_the_costs_in_the_guide_are_those_of_the_code() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| (\d+) \| ((?:`\w+\.\w+`(?:, )?)+) \|$", guide, re.MULTILINE)

    assert {name: int(cost) for cost, names in rows for name in re.findall(r"`(.*?)`", names)} == COSTS
    assert f"A sign-in that fails costs {FAILED_SIGN_IN}" in guide
    assert f"Each file of `files.put_many` costs {FILE_OF_MANY} more" in guide


def test_more_expensive_operations_are_fewer(held: Limits) -> None:
    heads = use_up(held, request_of("198.51.100.1"))
    searches = use_up(held, request_of("198.51.100.2"), "search.post")

    burst = 600 / 60 * BURST_SECONDS
    assert heads == pytest.approx(burst, abs=1)
    assert searches == pytest.approx(burst / COSTS["search.post"], abs=1)


@pytest.mark.parametrize(
    ("address", "other", "shared"),
    [
        ("198.51.100.1", "198.51.100.2", False),
        ("198.51.100.1", "::ffff:198.51.100.1", True),
        ("::ffff:198.51.100.1", "::ffff:198.51.100.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::2", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
    ],
)
def test_an_address_or_a_network_of_64_bits_has_one_budget(
    held: Limits, address: str, other: str, shared: bool
) -> None:
    use_up(held, request_of(address))

    assert is_limited(held, request_of(address))
    assert is_limited(held, request_of(other)) == shared


def test_what_a_client_claims_of_its_address_does_not_count(held: Limits) -> None:
    direct = {"REMOTE_ADDR": "198.51.100.1", "HTTP_X_FORWARDED_FOR": "198.51.100.2"}
    use_up(held, direct)

    assert is_limited(held, {**direct, "HTTP_X_FORWARDED_FOR": "198.51.100.3"})


def test_a_verified_token_counts_by_its_principal_from_any_address(held: Limits) -> None:
    for token in ("one", "two"):
        held.remember_token(request_of("198.51.100.1", token), PRINCIPAL)

    assert use_up(held, request_of("198.51.100.1", "one")) == pytest.approx(1200 / 60 * BURST_SECONDS, abs=1)
    assert is_limited(held, request_of("198.51.100.9", "two"))
    assert not is_limited(held, request_of("198.51.100.1")), "its address has a budget of its own"


def test_others_at_a_limited_address_go_on_with_their_verified_tokens(held: Limits) -> None:
    held.remember_token(request_of("198.51.100.1", "verified"), PRINCIPAL)
    use_up(held, request_of("198.51.100.1"))

    assert not is_limited(held, request_of("198.51.100.1", "verified"))
    assert is_limited(held, request_of("198.51.100.1", "another"))


def test_tokens_that_prove_nothing_use_up_the_budget_of_the_address(held: Limits) -> None:
    for number in range(600 // 60 * int(BURST_SECONDS) // FAILED_SIGN_IN + 1):
        assert not is_limited(held, request_of("198.51.100.1", f"bad {number}"))
        held.count_failed_sign_in(request_of("198.51.100.1", f"bad {number}"))

    assert is_limited(held, request_of("198.51.100.1", "another"))


def test_a_token_that_is_no_longer_valid_counts_by_the_address() -> None:
    moment = 1000.0
    limits = Limits(SETTINGS, clock=lambda: moment)
    sent = request_of("198.51.100.1", "t")

    limits.remember_token(sent, PRINCIPAL)
    assert limits.account(sent).name == "principal ada@example.org"
    limits.count_failed_sign_in(sent)
    assert limits.account(sent).name == "address 198.51.100.1"
    limits.remember_token(sent, PRINCIPAL)
    moment += 3601
    assert limits.account(sent).name == "address 198.51.100.1"


@pytest.mark.parametrize("address", ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8:9:9::1"])
def test_listed_networks_are_not_limited(held: Limits, address: str) -> None:
    held.remember_token(request_of(address, "t"), PRINCIPAL)

    assert use_up(held, request_of(address)) == 10_000
    assert use_up(held, request_of(address, "t")) == 10_000


def test_admins_are_not_limited(held: Limits) -> None:
    held.remember_token(request_of("198.51.100.1", "t"), ADMIN)

    assert use_up(held, request_of("198.51.100.1", "t")) == 10_000


def test_without_a_figure_nobody_is_limited() -> None:
    limits = Limits(dataclasses.replace(SETTINGS, principal_units=0, address_units=0))

    assert use_up(limits, request_of("198.51.100.1")) == 10_000


@pytest.fixture(scope="module")
def strict(stack: dict[str, str]) -> Iterator[Api]:
    """An API with a few units: 20 at once, and 2 a second."""
    settings = {
        "DSS_UNLIMITED_NETWORKS": None,
        "DSS_TRUSTED_PROXIES": "127.0.0.0/8",
        "DSS_PRINCIPAL_UNITS": "120",
        "DSS_ADDRESS_UNITS": "120",
    }
    with api_process(stack, settings) as process:
        yield Api(process.url)


def from_address(number: int) -> dict[str, str]:
    return {"X-Forwarded-For": f"203.0.113.{number}"}


def exhaust(api: Api, headers: dict[str, str]) -> requests.Response:
    """Search until it is refused; return that answer."""
    body = {"es_query": {"query": {"match_all": {}}}}
    for _ in range(20):
        answer = api.post("/v1/search", json=body, replica="gcp", headers=headers)
        if answer.status_code == 429:
            return answer
        # 206 if other tests have left more than a page.
        assert answer.status_code in (200, 206)
    pytest.fail("20 searches in a row were answered")


def test_a_caller_beyond_its_budget_is_429_with_the_time_to_wait(strict: Api) -> None:
    answer = exhaust(strict, from_address(1))

    assert answer.headers["Content-Type"] == PROBLEM
    assert 1 <= int(answer.headers["Retry-After"]) <= 10
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (429, "too_many_requests")
    assert "address 203.0.113.1" in problem["title"] and "120 units" in problem["title"]
    assert strict.head(f"/v1/files/{new_uuid()}", replica="gcp", headers=from_address(2)).status_code == 404
    # Probes, and what needs no back end, have no cost.
    for path in ("/version", "/internal/health", "/v1/swagger.json"):
        assert strict.get(path, headers=from_address(1)).status_code == 200


def test_refusals_are_in_the_audit_log_one_line_for_many(strict: Api, stack: dict[str, str]) -> None:
    exhaust(strict, from_address(9))
    for _ in range(3):
        exhaust(strict, from_address(9))

    lines = [line for line in AuditLines(stack).all() if line.address == "203.0.113.9"]

    # Searches that are answered leave none.
    assert {(line.decision, line.status, line.identity) for line in lines} == {("limited", 429, "")}
    assert 1 <= len(lines) <= 2
    assert {line.operation for line in lines} == {"any"}


def test_a_limited_address_costs_no_verification_of_tokens(strict: Api) -> None:
    path, query = f"/v1/bundles/{new_uuid()}", {"replica": "gcp", "version": now()}
    bad = strict.signed_in("x.y.z")

    statuses = [bad.put(path, json={}, headers=from_address(3), **query).status_code for _ in range(8)]

    # Each costs five of twenty units.
    assert statuses[:4] == [401] * 4
    assert 429 in statuses
    assert exhaust(strict, from_address(3)).status_code == 429


def test_a_refused_request_is_refused_before_its_body(strict: Api, stack: dict[str, str]) -> None:
    exhaust(strict, from_address(4))
    writer = strict.signed_in(stack["DSS_TOKEN"])
    path, query = f"/v1/bundles/{new_uuid()}", {"replica": "gcp", "version": now()}

    def endless() -> Iterator[bytes]:
        yield b"{"
        time.sleep(0.5)

    answer = writer.put(path, data=endless(), headers=from_address(4), **query)

    assert answer.status_code == 429


def test_admins_pass_at_any_rate(strict: Api, stack: dict[str, str]) -> None:
    admin = strict.signed_in(stack["DSS_ADMIN_TOKEN"])
    assert admin.get("/v1/collections", replica="gcp", headers=from_address(5)).status_code in (200, 206)

    exhaust(strict, from_address(5))

    assert admin.get("/v1/collections", replica="gcp", headers=from_address(5)).status_code in (200, 206)


def test_old_and_new_clients_wait_and_go_on(strict: Api) -> None:
    path = f"/v1/files/{new_uuid()}?replica=gcp&version={now()}"
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=RETRIES))
        exhaust(strict, from_address(6))
        assert session.head(strict.url + path, headers=from_address(6)).status_code == 404

    # Its address is that of this machine, which no other test of this module sends.
    client = dss.Client(strict.url, patience=60)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: list(client.bundles(prefix=new_uuid())), range(3)))
    assert found == [[]] * 3
