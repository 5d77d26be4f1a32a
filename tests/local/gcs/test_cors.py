"""CORS rules of buckets, as a browser asks for them."""

import uuid
from datetime import timedelta

import pytest
import requests
from google.api_core.exceptions import BadRequest
from google.cloud import storage

PAGE = "https://notebooks.example.org"
RULES = [
    {"origin": [PAGE], "method": ["GET", "HEAD"], "responseHeader": ["Range", "ETag"], "maxAgeSeconds": 60},
    {"origin": ["*"], "method": ["PUT"], "responseHeader": ["Content-Type"]},
]


@pytest.fixture(scope="module")
def shown(client: storage.Client) -> storage.Bucket:
    bucket = client.bucket(f"bucket-{uuid.uuid4()}")
    bucket.cors = RULES
    return client.create_bucket(bucket)


@pytest.fixture(scope="module")
def url(server, signer, shown) -> str:
    blob = shown.blob("a folder/é.txt")
    blob.upload_from_string(b"content")
    signed: str = blob.generate_signed_url(
        version="v4",
        expiration=timedelta(hours=1),
        api_access_endpoint=server.address,
        credentials=signer.credentials,
    )
    return signed


def cors_of(answer: requests.Response) -> dict[str, str]:
    return {
        name.lower().removeprefix("access-control-"): text
        for name, text in answer.headers.items()
        if name.lower().startswith("access-control-")
    }


def preflight(url: str, method: str, headers: str = "", origin: str = PAGE) -> requests.Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    if headers:
        asked["Access-Control-Request-Headers"] = headers
    return requests.options(url, headers=asked, timeout=60)


def test_a_bucket_keeps_its_rules(client, shown):
    assert client.get_bucket(shown.name).cors == RULES


def test_a_page_of_an_allowed_origin_reads(url):
    answer = requests.get(url, headers={"Origin": PAGE}, timeout=60)
    assert (answer.status_code, answer.content) == (200, b"content")
    assert cors_of(answer) == {"allow-origin": PAGE, "expose-headers": "Range, ETag"}
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize(("method", "origin"), [("GET", "https://elsewhere.example.org"), ("GET", None)])
def test_others_get_the_answer_without_permission(url, method, origin):
    answer = requests.request(method, url, headers={"Origin": origin} if origin else {}, timeout=60)
    assert answer.status_code == 200
    assert cors_of(answer) == {}


def test_a_page_learns_that_it_may_not_read(url):
    answer = requests.get(url.partition("?")[0], headers={"Origin": PAGE}, timeout=60)
    assert answer.status_code == 403
    assert cors_of(answer)["allow-origin"] == PAGE


def test_a_preflight_is_answered_by_the_first_rule_for_its_origin_and_method(url):
    answer = preflight(url, "GET", "range")
    assert (answer.status_code, answer.content) == (200, b"")
    assert cors_of(answer) == {
        "allow-origin": PAGE,
        "allow-methods": "GET, HEAD",
        "allow-headers": "Range, ETag",
        "max-age": "60",
    }
    assert cors_of(preflight(url, "PUT", "content-type"))["allow-origin"] == "*"


@pytest.mark.parametrize(
    ("method", "headers", "origin"),
    [
        ("DELETE", "", PAGE),
        ("GET", "range, x-other", PAGE),
        ("GET", "", "https://elsewhere.example.org"),
    ],
)
def test_a_preflight_that_no_rule_allows_gets_no_permission(url, method, headers, origin):
    answer = preflight(url, method, headers, origin)
    assert answer.status_code == 200
    assert cors_of(answer) == {}


def test_a_bucket_without_rules_allows_nothing(server, bucket):
    assert cors_of(preflight(f"{server.address}/{bucket.name}/name", "GET")) == {}
    assert cors_of(preflight(f"{server.address}/no-such-bucket/name", "GET")) == {}


@pytest.mark.parametrize("rule", [{"origin": "*"}, {"maxAgeSeconds": "60"}, "rule"])
def test_a_malformed_rule_is_refused(client, rule):
    bucket = client.bucket(f"bucket-{uuid.uuid4()}")
    bucket.cors = [rule]
    with pytest.raises(BadRequest, match="cors"):
        client.create_bucket(bucket)
