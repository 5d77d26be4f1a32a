"""Who checks out into which bucket: those whom its owner allows, by an object in it or by the settings."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from dss.tokens import fetch_local
from local.api import api_process
from local.config import WRITER_EMAIL
from shared.access.buckets import MAX_PROOF_BYTES, PROOF_KEY
from tests.support.api import Api, Version, assert_problem, new_uuid, put_bundle, put_file
from tests.support.checkouts import await_checkout, check_out, read_objects, user_bucket
from tests.support.clouds import SCHEMES, Clouds

Ask = Callable[..., requests.Response]


@pytest.fixture(scope="module")
def clouds(whole_system: dict[str, str]) -> Clouds:
    return Clouds(whole_system)


@pytest.fixture(scope="module")
def api(whole_system: dict[str, str]) -> Iterator[Api]:
    """An API, asked by a writer, whose settings let a lab check out into its buckets."""
    rules = [{"url": f"{scheme}://own-*-lab", "groups": ["lab"]} for scheme in SCHEMES.values()]
    with api_process(whole_system, {"DSS_DESTINATIONS": json.dumps(rules)}) as process:
        yield Api(process.url, whole_system["DSS_TOKEN"])


@pytest.fixture(scope="module")
def member(api: Api, whole_system: dict[str, str]) -> Api:
    """The API, asked by a member of the lab, who may not write."""
    token = fetch_local(
        whole_system["DSS_LOCAL_TOKEN_URL"], email="ada@example.org", group="lab", seconds=600
    )
    return api.signed_in(token)


@pytest.fixture
def bundle(api: Api, clouds: Clouds, replica: str) -> Version:
    return put_bundle(api, replica, [put_file(api, clouds.stage(replica, b"content")).named("a.txt")])


@pytest.fixture
def ask(replica: str, bundle: Version) -> Ask:
    """Return the answer to somebody who asks for a checkout into a bucket."""

    def answer(who: Api, bucket: str) -> requests.Response:
        body: dict[str, Any] = {"destination": bucket}
        return who.post(f"/v1/bundles/{bundle.uuid}/checkout", replica=replica, json=body)

    return answer


def test_whom_the_object_in_a_bucket_names_checks_out_into_it(
    api: Api, member: Api, clouds: Clouds, replica: str, bundle: Version, ask: Ask
) -> None:
    by_email = user_bucket(clouds, replica, allows=f"bob@example.org\r\n{WRITER_EMAIL}\r\n".encode())
    by_group = user_bucket(clouds, replica, allows=b"# The lab.\nlab\n")

    for who, bucket in ((api, by_email), (member, by_group)):
        job = check_out(who, replica, bundle, destination=bucket)
        assert await_checkout(api, replica, job)["status"] == "SUCCEEDED"
        assert list(read_objects(clouds, replica, bucket, "bundles/")) == [f"bundles/{bundle}/a.txt"]
    for who, bucket in ((member, by_email), (api, by_group)):
        assert_problem(ask(who, bucket), 403, "Forbidden", "does not name you")


def test_members_check_out_where_the_settings_let_them(
    api: Api, member: Api, clouds: Clouds, replica: str, bundle: Version, ask: Ask
) -> None:
    bucket = user_bucket(clouds, replica, allows=None, name=f"own-{new_uuid()}-lab")

    job = check_out(member, replica, bundle, destination=bucket)

    assert await_checkout(api, replica, job)["status"] == "SUCCEEDED"
    assert_problem(ask(api, bucket), 403, "Forbidden", "is not there")


def test_a_proof_that_is_missing_too_large_garbled_or_taken_away_proves_nothing(
    api: Api, clouds: Clouds, replica: str, ask: Ask
) -> None:
    bucket = user_bucket(clouds, replica, allows=None)
    hint = (
        f"Put an object {SCHEMES[replica]}://{bucket}/{PROOF_KEY} there, a text with the line {WRITER_EMAIL}"
    )
    named = WRITER_EMAIL.encode() + b"\n"

    assert_problem(ask(api, bucket), 403, "Forbidden", "is not there", hint, "of yours: dss")
    for content, flaw in {
        named.ljust(MAX_PROOF_BYTES + 1): "has more than 16384 bytes",
        named + b"\xff\xfe": "is not text in UTF-8",
        b"": "does not name you",
    }.items():
        clouds.stage(replica, content, bucket=bucket, key=PROOF_KEY, metadata={})
        assert_problem(ask(api, bucket), 403, "Forbidden", flaw, hint)
    clouds.stage(replica, named.ljust(MAX_PROOF_BYTES), bucket=bucket, key=PROOF_KEY, metadata={})
    assert ask(api, bucket).status_code == 200
    clouds.stage(replica, b"somebody else", bucket=bucket, key=PROOF_KEY, metadata={})
    assert_problem(ask(api, bucket), 403, "Forbidden", "does not name you", hint)


def test_strangers_check_out_to_the_checkout_bucket_only(
    api: Api, clouds: Clouds, replica: str, bundle: Version, ask: Ask
) -> None:
    own, stranger = user_bucket(clouds, replica), api.signed_in(None)

    refused = ask(stranger, own)
    assert_problem(refused, 401, "Unauthorized", "destination", "sign in")
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert_problem(ask(api.signed_in("not.a.token"), own), 401, "Unauthorized")
    assert ask(stranger, clouds.checkout[replica]).status_code == 200
    job = check_out(api.signed_in("not.a.token"), replica, bundle)
    assert await_checkout(stranger, replica, job)["status"] == "SUCCEEDED"


def test_nobody_checks_out_into_the_systems_other_buckets(
    whole_system: dict[str, str], api: Api, clouds: Clouds, replica: str, ask: Ask
) -> None:
    admin = api.signed_in(whole_system["DSS_ADMIN_TOKEN"])
    reports = {"gcp": [whole_system["DSS_REPORTS_BUCKET"]], "aws": []}

    for bucket in (clouds.main[replica], clouds.staging[replica], *reports[replica]):
        for who in (api, admin):
            answer = ask(who, bucket)
            assert_problem(answer, 403, "Forbidden", "destination", f"{bucket} is a bucket of this system")
