"""Routes about the service itself: contract, version, health, sign-in of command lines."""

import importlib.metadata
import json
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from flask import Flask

from run.api.security_headers import install_headers
from run.api.service import BackEnds, _version_form
from shared.catalog import Switches
from tests.run.api.conftest import OLD_AUDIENCE, OLD_CLAIMS, PUBLIC_URL
from tests.support.api import new_uuid, put_bundle, put_collection, put_file
from tests.support.clouds import Clouds
from tests.support.waiting import wait_until


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
def test_behind_a_proxy_the_contract_names_what_the_client_sees(proxied, headers, scheme, host):
    contract = proxied.get("/v1/swagger.json", headers=headers).json()
    host = host or proxied.url.partition("://")[2]
    assert (contract["schemes"], contract["host"]) == ([scheme], host)


def test_behind_a_proxy_links_lead_through_it(proxied, replica):
    for _ in range(11):
        put_bundle(proxied, replica, [])
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "dss.example.org"}
    answer = proxied.get("/v1/bundles/all", replica=replica, per_page=10, headers=headers)
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


LIVE = SimpleNamespace(current=Switches)
SPOOFED = {"X-Forwarded-Proto": "javascript", "X-Forwarded-Host": "evil.example/x?"}


def test_headers_of_proxies_count_from_trusted_proxies_only(anyone, proxied):
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "dss.example.org"}
    own = urlsplit(anyone.url).netloc
    for api, headers, scheme, host in (
        (anyone, forwarded, "http", own),
        (proxied, SPOOFED, "http", urlsplit(proxied.url).netloc),
        (proxied, forwarded, "https", "dss.example.org"),
    ):
        contract = api.get("/v1/swagger.json", headers=headers).json()
        assert (contract["schemes"], contract["host"]) == ([scheme], host)


@pytest.mark.parametrize(
    "path", ["/", "/api", "/version", "/v1/swagger.json", "/assets/swagger-ui.css", "/v1/nothing"]
)
def test_answers_have_security_headers(anyone, path):
    headers = anyone.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "'unsafe-inline'" not in policy.partition("style-src")[0]
    assert "Server" not in headers


@pytest.mark.parametrize(
    ("url", "expected"),
    [("https://dss.example.org", "max-age=31536000"), ("http://localhost:8080", None), ("", None)],
)
def test_browsers_ask_a_deployment_of_https_by_nothing_else(url, expected):
    app = Flask("app")
    install_headers(app, lambda _: False, url)

    assert app.test_client().get("/").headers.get("Strict-Transport-Security") == expected


def test_answers_of_the_api_are_not_stored(api, replica):
    for path in ("/v1/collections", "/v1/bundles/all", f"/v1/files/{new_uuid()}"):
        assert api.get(path, replica=replica).headers["Cache-Control"] == "no-store"


def test_json_ends_with_a_newline_that_counts(api, anyone, clouds, replica):
    file = put_file(api, clouds.stage(replica, b"{}"))
    bundle = put_bundle(api, replica, [file.named("a.json", indexed=True)])
    collection = put_collection(api, replica, [file.linked()])
    of = {"replica": replica, "version": bundle.version}
    answers = [
        anyone.get("/version"),
        anyone.get("/internal/health"),
        anyone.get("/internal/application_secrets"),
        anyone.get("/v1/swagger.json"),
        anyone.get(f"/v1/bundles/{bundle.uuid}", **of),
        anyone.get(f"/v1/events/{bundle.uuid}", **of),
        api.get(f"/v1/collections/{collection.uuid}", replica=replica),
        anyone.get(f"/v1/bundles/{new_uuid()}", replica=replica),
        anyone.get(f"/v1/bundles/{'x' * 9000}"),
        anyone.get(f"/v1/bundles/{'x' * 70000}"),
    ]

    assert [answer.status_code for answer in answers] == [200] * 7 + [404, 414, 400]
    for answer in answers:
        # The length is right, or the client knows another way where the answer ends.
        assert answer.headers.get("Content-Length") in (None, str(len(answer.content)))
        assert answer.content.endswith(b"}\n")
        answer.json()


def test_head_names_the_length_of_get(anyone, api, replica):
    bundle = put_bundle(api, replica, [])
    for path in ("/version", f"/v1/bundles/{bundle.uuid}", f"/v1/bundles/{new_uuid()}"):
        head, get = (anyone.request(method, path, replica=replica) for method in ("HEAD", "GET"))
        assert head.headers["Content-Length"] == get.headers["Content-Length"] == str(len(get.content))


def test_a_trailing_slash_is_taken_off(anyone, api, replica):
    bundle = put_bundle(api, replica, [])
    for path in (f"/v1/bundles/{bundle.uuid}/", "/v1/bundles/all/", f"/v1/bundles/{bundle.uuid}//"):
        assert anyone.get(path, replica=replica).status_code in (200, 206)


def test_the_bundles_are_listed_where_the_predecessor_listed_them(anyone, api, replica):
    for _ in range(11):
        put_bundle(api, replica, [])
    listed = anyone.get("/v1/bundles/all", replica=replica, per_page=10).json()
    answer = anyone.get("/v1/bundles", replica=replica, per_page=10)
    assert answer.status_code == 206
    assert answer.json()["per_page"] == listed["per_page"] == 10
    assert anyone.get(answer.links["next"]["url"].removeprefix(anyone.url)).status_code in (200, 206)
    # Without a replica it is gcp.
    of_gcp = anyone.get("/v1/bundles", replica="gcp").json()["bundles"]
    assert anyone.get("/v1/bundles").json()["bundles"] == of_gcp
    assert "/bundles" not in anyone.get("/v1/swagger.json").json()["paths"]


def test_the_version_is_that_of_the_package(anyone):
    answer = anyone.get("/version")
    assert answer.json()["version_info"] == {"version": importlib.metadata.version("dss-service")}


def test_command_lines_find_their_oauth_client(anyone, stack):
    answer = anyone.get("/internal/application_secrets")
    assert answer.status_code == 200
    installed = answer.json()["installed"]
    assert installed == json.loads(stack["DSS_APPLICATION_SECRETS"])
    assert {"client_id", "client_secret", "auth_uri", "token_uri"} <= installed.keys()
    assert answer.json()["sign_in"] == {"issuer": stack["OIDC_ISSUER"], "token_type": "id_token"}


def test_a_service_is_healthy_until_a_back_end_is_gone(anyone, without_issuer, clouds: Clouds):
    answer = anyone.get("/internal/health")
    assert (answer.status_code, answer.json()) == (200, {"Healthy": True})

    assert without_issuer.get("/internal/health").json() == {"Healthy": True}
    [bucket] = [b for b in clouds.gcs.list_buckets() if b.name.startswith("dss-short-lived-")]
    bucket.delete()

    def unhealthy():
        found = without_issuer.get("/internal/health")
        return found.json() if found.status_code == 503 else None

    # What was found is kept for two seconds.
    answer = wait_until(unhealthy, "a missing bucket is noticed")
    broken = answer.pop("broken")
    assert answer == {"Healthy": False}
    assert set(broken) == {f"gcp {bucket.name}"}
    assert bucket.name in broken[f"gcp {bucket.name}"]


def test_an_image_names_the_commit_that_it_was_built_of():
    assert _version_form("1.0.0.dev0")["git"]["commit"] == "1.0.0.dev0"
    assert _version_form("1.0.0.dev0+3f2a91c")["git"]["commit"] == "3f2a91c"


def test_many_who_ask_for_the_health_at_once_cost_one_check():
    checks = []

    def check(*_):
        checks.append(1)
        time.sleep(0.05)

    store = SimpleNamespace(check_bucket=lambda _: None)
    replica = SimpleNamespace(name="gcp", bucket="b", checkout_bucket="b", store=store)
    catalog = SimpleNamespace(database=SimpleNamespace(check=check))
    app = Flask(__name__)
    health = BackEnds(SimpleNamespace(catalog=catalog, replicas=[replica], switches=LIVE))

    def ask(_):
        with app.app_context():
            return health.answer().status_code

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, range(40))) == {200}
    assert len(checks) == 1
