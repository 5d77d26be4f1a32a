"""What a call costs in operations of the clouds is what docs and design promise: no more, and no less.

Equality, so that a change for the better is noticed as well, and written into the table.
"""

import math

import pytest

from tests.given import Api, Clouds, Version, new_uuid, now, put_bundle, put_file
from tests.system.conftest import ManyFiles
from tests.system.watched import Bill, WatchedApi

# Source metadata, copy, manifest. S3's copy knows no precondition, so S3 is asked first whether the blob is
# there.
PUT_FILE_OPERATIONS = {"gcp": 3, "aws": 4}


@pytest.fixture
def file(api: Api, clouds: Clouds, replica: str) -> Version:
    """A file on the replica."""
    return put_file(api, clouds.stage(replica, b"content"))


@pytest.fixture
def large_bundle(api: Api, many_files: ManyFiles, replica: str) -> Version:
    """A bundle of 1,000 files, two pages in the catalog."""
    files = many_files(replica, 1000)
    return put_bundle(api, replica, [file.named(f"{n:04d}") for n, file in enumerate(files)])


def test_a_new_small_file(watched: WatchedApi, clouds: Clouds, replica: str) -> None:
    source = clouds.stage(replica, new_uuid().encode())

    with watched.usage() as usage:
        put_file(watched.api, source)

    operations = PUT_FILE_OPERATIONS[replica]
    assert usage.bill == Bill(object_operations=operations, writes=2, requests=2), usage.operations


def test_a_new_file_whose_content_is_there(watched: WatchedApi, clouds: Clouds, replica: str) -> None:
    source = clouds.stage(replica, new_uuid().encode())
    put_file(watched.api, source)

    with watched.usage() as usage:
        put_file(watched.api, source)

    assert usage.bill == Bill(object_operations=3, writes=2, requests=2), usage.operations


@pytest.mark.parametrize("count", [1, 100, 1000])
def test_a_new_bundle(watched: WatchedApi, many_files: ManyFiles, replica: str, count: int) -> None:
    items = [file.named(f"{n:04d}") for n, file in enumerate(many_files(replica, count))]

    with watched.usage() as usage:
        put_bundle(watched.api, replica, items)

    # The check rides on the last commit: no version becomes visible once its UUID is hidden.
    assert usage.bill == Bill(
        object_operations=1,
        reads=count,
        writes=2 + math.ceil(count / 500),
        checks=1,
        requests=math.ceil(count / 500) + 3,
    )


@pytest.mark.parametrize("versioned", [True, False], ids=["version", "newest"])
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 302)])
def test_reading_a_file(
    watched: WatchedApi, file: Version, replica: str, method: str, status: int, versioned: bool
) -> None:
    version = file.version if versioned else None

    with watched.usage() as usage:
        answer = watched.api.request(method, f"/v1/files/{file.uuid}", replica=replica, version=version)

    assert answer.status_code == status
    assert usage.bill == Bill(reads=1, requests=1)


@pytest.mark.parametrize("presigned", [True, False], ids=["presigned", "plain"])
@pytest.mark.parametrize("versioned", [True, False], ids=["version", "newest"])
def test_reading_a_page_of_a_bundle(
    watched: WatchedApi, large_bundle: Version, replica: str, presigned: bool, versioned: bool
) -> None:
    with watched.usage() as usage:
        answer = watched.api.get(
            f"/v1/bundles/{large_bundle.uuid}",
            replica=replica,
            version=large_bundle.version if versioned else None,
            per_page=500,
            presignedurls=presigned,
        )

    files = answer.json()["bundle"]["files"]
    assert (answer.status_code, len(files), "url" in files[0]) == (206, 500, presigned)
    # Signing is done with a key at hand: not one request more, to the stores or to anybody else.
    assert usage.bill == Bill(reads=2, requests=2)


def test_listing_bundles(watched: WatchedApi, file: Version, replica: str) -> None:
    uuid = new_uuid()
    for _ in range(12):
        put_bundle(watched.api, replica, [file.named("name")], bundle=Version(uuid, now()))

    with watched.usage() as first:
        page = watched.api.get("/v1/bundles/all", replica=replica, prefix=uuid, per_page=10)
    with watched.usage() as last:
        rest = watched.api.get(page.links["next"]["url"])

    assert (len(page.json()["bundles"]), len(rest.json()["bundles"])) == (10, 2)
    # One row more than is answered tells whether there is another page.
    assert first.bill == Bill(reads=11, requests=1)
    assert last.bill == Bill(reads=2, requests=1)
