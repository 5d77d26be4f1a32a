"""Routes about the service itself: contract, version, health, sign-in of command lines."""

import importlib.metadata
import json

import pytest

from tests.run.api.conftest import OLD_AUDIENCE, OLD_CLAIMS, PUBLIC_URL
from tests.support.api import put_bundle
from tests.support.clouds import Clouds


def test_the_contract_names_this_server(anyone):
    answer = anyone.get("/v1/swagger.json")
    contract = answer.json()
    assert answer.headers["Content-Type"] == "application/json"
    assert contract["swagger"] == "2.0"
    assert contract["basePath"] == "/v1"
    assert f"{contract['schemes'][0]}://{contract['host']}" == anyone.url


@pytest.mark.parametrize(
    ("headers", "scheme", "host"),
    [
        ({"X-Forwarded-Proto": "https"}, "https", None),
        ({"X-Forwarded-Host": "dss.example.org:8443"}, "http", "dss.example.org:8443"),
        ({"X-Forwarded-Proto": "https,http", "X-Forwarded-Host": "a.b, c.d"}, "https", "a.b"),
        ({"Host": "named.example.org"}, "http", "named.example.org"),
        ({"X-Forwarded-Proto": "", "X-Forwarded-Host": ""}, "http", None),
    ],
)
def test_behind_a_proxy_the_contract_names_what_the_client_sees(anyone, headers, scheme, host):
    contract = anyone.get("/v1/swagger.json", headers=headers).json()
    host = host or anyone.url.partition("://")[2]
    assert (contract["schemes"], contract["host"]) == ([scheme], host)


def test_behind_a_proxy_links_lead_through_it(api, replica):
    for _ in range(11):
        put_bundle(api, replica, [])
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "dss.example.org"}
    answer = api.get("/v1/bundles/all", replica=replica, per_page=10, headers=headers)
    assert answer.json()["link"].startswith("https://dss.example.org/v1/bundles/all?")
    assert answer.json()["dss_api"] == "https://dss.example.org/v1"


def test_a_configured_url_counts_more_than_any_header(configured, replica):
    for _ in range(11):
        put_bundle(configured, replica, [])
    headers = {"X-Forwarded-Proto": "http", "X-Forwarded-Host": "elsewhere.example.org"}
    contract = configured.get("/v1/swagger.json", headers=headers).json()
    assert f"{contract['schemes'][0]}://{contract['host']}" == PUBLIC_URL
    answer = configured.get("/v1/bundles/all", replica=replica, per_page=10, headers=headers)
    assert answer.links["next"]["url"].startswith(f"{PUBLIC_URL}/v1/bundles/all?")


def test_the_contract_has_the_claims_that_service_accounts_sign(anyone, configured, stack):
    def names(api):
        definition = api.get("/v1/swagger.json").json()["securityDefinitions"]["OauthSecurity"]
        return [definition[f"x-{name}"] for name in ("audience", "email-claim", "group-claim")]

    assert names(anyone) == [stack["OIDC_AUDIENCE"], "email", "group"]
    assert names(configured) == [OLD_AUDIENCE, f"{OLD_CLAIMS}/email", f"{OLD_CLAIMS}/group"]


def test_the_version_is_that_of_the_package(anyone):
    answer = anyone.get("/version")
    assert answer.json() == {"version_info": {"version": importlib.metadata.version("dss-service")}}


def test_command_lines_find_their_oauth_client(anyone, stack):
    answer = anyone.get("/internal/application_secrets")
    assert answer.status_code == 200
    installed = answer.json()["installed"]
    assert installed == json.loads(stack["DSS_APPLICATION_SECRETS"])
    assert {"client_id", "client_secret", "auth_uri", "token_uri"} <= installed.keys()


def test_a_service_is_healthy_until_a_back_end_is_gone(anyone, without_issuer, clouds: Clouds):
    answer = anyone.get("/internal/health")
    assert (answer.status_code, answer.json()) == (200, {"Healthy": True})

    assert without_issuer.get("/internal/health").json() == {"Healthy": True}
    [bucket] = [b for b in clouds.gcs.list_buckets() if b.name.startswith("dss-short-lived-")]
    bucket.delete()
    answer = without_issuer.get("/internal/health")
    broken = answer.json().pop("broken")
    assert answer.status_code == 503
    assert answer.json()["Healthy"] is False
    assert set(broken) == {f"gcp {bucket.name}"}
    assert bucket.name in broken[f"gcp {bucket.name}"]
