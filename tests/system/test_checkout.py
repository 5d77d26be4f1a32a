"""Bundles are checked out by the workflow: whole and proved, to the checkout bucket or to one's own."""

import pytest

from tests.given import Api, Clouds, Version, assert_problem, new_uuid, put_bundle, put_file
from tests.system.checking_out import check_out, checked_out, objects, own_bucket

CONTENTS = {"a.txt": b"first", "b/c.json": b'{"second": 2}', "empty": b""}
TYPES = {"a.txt": "text/plain", "b/c.json": "application/json", "empty": "application/octet-stream"}
SCHEMES = {"gcp": "gs", "aws": "s3"}


@pytest.fixture(scope="module")
def clouds(whole_system: dict[str, str]) -> Clouds:
    return Clouds(whole_system)


@pytest.fixture(scope="module")
def api(whole_system: dict[str, str]) -> Api:
    return Api(whole_system["DSS_URL"], whole_system["DSS_TOKEN"])


@pytest.fixture
def bundle(api: Api, clouds: Clouds, replica: str) -> Version:
    """A bundle of a few small files on the replica in turn."""
    files = [
        put_file(api, clouds.stage(replica, data, content_type=TYPES[name])).named(name)
        for name, data in CONTENTS.items()
    ]
    return put_bundle(api, replica, files)


def test_a_bundle_is_checked_out_to_the_checkout_bucket(
    api: Api, clouds: Clouds, replica: str, bundle: Version
) -> None:
    status = checked_out(api, replica, check_out(api, replica, bundle))

    bucket, prefix = clouds.checkout[replica], f"bundles/{bundle}"
    assert status == {
        "status": "SUCCEEDED",
        "location": f"{SCHEMES[replica]}://{bucket}/{prefix}",
        "files": 3,
        "files_done": 3,
        "bytes": 18,
        "bytes_done": 18,
    }
    assert objects(clouds, replica, bucket, prefix) == {
        f"{prefix}/{name}": (data, TYPES[name]) for name, data in CONTENTS.items()
    }


def test_a_bundle_is_checked_out_to_ones_own_bucket(
    api: Api, clouds: Clouds, replica: str, bundle: Version
) -> None:
    bucket = own_bucket(clouds, replica)

    status = checked_out(api, replica, check_out(api, replica, bundle, destination=bucket))

    assert status["location"] == f"{SCHEMES[replica]}://{bucket}/bundles/{bundle}"
    assert len(objects(clouds, replica, bucket, f"bundles/{bundle}/")) == 3


def test_who_asks_twice_or_at_once_joins(api: Api, replica: str, bundle: Version) -> None:
    ids = {check_out(api, replica, bundle, version=version) for version in (None, bundle.version)}

    [job_id] = ids
    assert checked_out(api, replica, job_id)["status"] == "SUCCEEDED"
    assert check_out(api, replica, bundle) == job_id
    assert checked_out(api, replica, job_id)["status"] == "SUCCEEDED"


def test_what_cannot_be_checked_out_is_refused(api: Api, replica: str, bundle: Version) -> None:
    path = f"/v1/bundles/{bundle.uuid}/checkout"
    for destination in ("a/b", "", "-", "gs://bucket", "x" * 300, "\u00fcber"):
        answer = api.post(path, replica=replica, json={"destination": destination})
        assert_problem(answer, 400, "illegal_arguments", "destination")
    assert_problem(api.post(f"/v1/bundles/{new_uuid()}/checkout", replica=replica), 404, "not_found")
    assert_problem(api.get(f"/v1/bundles/checkout/{new_uuid()}", replica=replica), 404, "not_found")


def test_nothing_is_checked_out_into_the_systems_own_data(
    api: Api, clouds: Clouds, replica: str, bundle: Version
) -> None:
    body = {"destination": clouds.main[replica]}

    answer = api.post(f"/v1/bundles/{bundle.uuid}/checkout", replica=replica, json=body)

    assert_problem(answer, 400, "illegal_arguments", "destination", clouds.main[replica])


def test_a_job_is_known_on_its_replica_only(api: Api, replica: str, bundle: Version) -> None:
    job_id = check_out(api, replica, bundle)
    other = {"gcp": "aws", "aws": "gcp"}[replica]
    assert_problem(api.get(f"/v1/bundles/checkout/{job_id}", replica=other), 404, "not_found")
