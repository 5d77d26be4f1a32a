"""URLs of copies in the checkout bucket: 301 until they are there, or until the checkout has failed."""

import hashlib
from typing import Any

import pytest
import requests

from shared.checksums import checksums_of
from tests.support.api import Api, Version, assert_problem, new_uuid, put_bundle, put_file
from tests.support.checkouts import await_checkout, check_out, read_objects, remove_object
from tests.support.clouds import SCHEMES, Clouds
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def clouds(whole_system: dict[str, str]) -> Clouds:
    return Clouds(whole_system)


@pytest.fixture(scope="module")
def api(whole_system: dict[str, str]) -> Api:
    """Somebody who has not signed in, as those who follow such URLs have not."""
    return Api(whole_system["DSS_URL"])


@pytest.fixture(scope="module")
def writer(whole_system: dict[str, str]) -> Api:
    return Api(whole_system["DSS_URL"], whole_system["DSS_TOKEN"])


def followed(api: Api, answer: requests.Response) -> requests.Response:
    """Return the first answer that is not to come back later, as a client that follows gets it."""
    found = [answer]

    def come_back() -> bool:
        if found[-1].status_code == 301:
            assert found[-1].headers["Retry-After"] == "10"
            found.append(api.get(found[-1].headers["Location"]))
        return found[-1].status_code != 301

    wait_until(come_back, "the copies are there")
    return found[-1]


def test_a_file_is_handed_out_from_the_checkout_bucket_once_it_is_there(
    api: Api, writer: Api, clouds: Clouds, replica: str
) -> None:
    data = new_uuid().encode()
    file = put_file(writer, clouds.stage(replica, data, content_type="text/x-test"))
    first = api.get(f"/v1/files/{file.uuid}", replica=replica, directurl="True")

    assert first.status_code == 301
    assert f"version={file.version}" in first.headers["Location"]
    answer = followed(api, first)

    kind = hashlib.sha256(b"text/x-test").hexdigest()[:16]
    key, bucket = f"{checksums_of(data).blob_key}.{kind}", clouds.checkout[replica]
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{SCHEMES[replica]}://{bucket}/{key}")
    assert answer.headers["X-DSS-SIZE"] == str(len(data))
    assert read_objects(clouds, replica, bucket, key) == {key: (data, "text/x-test")}
    again = api.get(f"/v1/files/{file.uuid}", replica=replica, directurl=True)
    assert again.status_code == 302


def new_bundle(writer: Api, clouds: Clouds, replica: str, count: int) -> Version:
    """Return a bundle of files, two of one content."""
    contents = {f"{number:02d}/x": b"%d" % (number // 2) for number in range(count)}
    files = [put_file(writer, clouds.stage(replica, data)).named(name) for name, data in contents.items()]
    return put_bundle(writer, replica, files)


@pytest.fixture
def bundle(writer: Api, clouds: Clouds, replica: str) -> Version:
    """A bundle of two files."""
    return new_bundle(writer, clouds, replica, 2)


def direct(api: Api, replica: str, bundle: Version, **query: Any) -> requests.Response:
    return api.get(f"/v1/bundles/{bundle.uuid}", replica=replica, directurls=True, **query)


def test_a_bundle_is_handed_out_from_the_checkout_bucket_once_it_is_there(
    api: Api, writer: Api, clouds: Clouds, replica: str
) -> None:
    bundle = new_bundle(writer, clouds, replica, 12)
    first = direct(api, replica, bundle, per_page=10)
    assert first.status_code == 301

    page = followed(api, first)
    # Its files may still be on their way.
    rest = followed(api, api.get(page.links["next"]["url"]))

    assert (page.status_code, rest.status_code) == (206, 200)
    files = page.json()["bundle"]["files"] + rest.json()["bundle"]["files"]
    place = f"{SCHEMES[replica]}://{clouds.checkout[replica]}/bundles/{bundle}"
    assert [file["url"] for file in files] == [f"{place}/{file['name']}" for file in files]
    assert (
        len(read_objects(clouds, replica, clouds.checkout[replica], f"bundles/{bundle}/")) == len(files) == 12
    )


def test_a_checkout_that_is_there_is_handed_out_at_once(api: Api, replica: str, bundle: Version) -> None:
    assert await_checkout(api, replica, check_out(api, replica, bundle))["status"] == "SUCCEEDED"

    assert direct(api, replica, bundle).status_code == 200


def test_what_is_not_there_any_more_is_checked_out_again(
    api: Api, clouds: Clouds, replica: str, bundle: Version
) -> None:
    assert followed(api, direct(api, replica, bundle)).status_code == 200
    remove_object(clouds, replica, clouds.checkout[replica], f"bundles/{bundle}/01/x")

    missing = direct(api, replica, bundle)

    assert missing.status_code == 301
    assert followed(api, missing).status_code == 200


def test_a_failed_checkout_is_an_error_once_and_starts_again_at_the_next_request(
    api: Api, writer: Api, clouds: Clouds, replica: str
) -> None:
    data = new_uuid().encode()
    file = put_file(writer, clouds.stage(replica, data))
    bundle = put_bundle(writer, replica, [file.named("gone.bin")])
    remove_object(clouds, replica, clouds.main[replica], checksums_of(data).blob_key)

    failed = followed(api, direct(api, replica, bundle))

    problem = failed.json()
    assert (failed.status_code, problem["code"], failed.headers["Retry-After"]) == (
        500,
        "checkout_error",
        "10",
    )
    assert "gone.bin" in problem["title"] and str(bundle) in problem["title"]
    assert api.get(failed.url).status_code == 500
    assert direct(api, replica, bundle).status_code == 301


def test_a_token_of_something_else_is_refused(
    api: Api, writer: Api, clouds: Clouds, replica: str, bundle: Version
) -> None:
    file = put_file(writer, clouds.stage(replica, new_uuid().encode()))
    location = api.get(f"/v1/files/{file.uuid}", replica=replica, directurl=True).headers["Location"]
    token = location.split("token=")[1].split("&")[0].replace("%3D", "=")

    refused = direct(api, replica, bundle, token=token)

    assert_problem(refused, 400, "illegal_token", "token")
