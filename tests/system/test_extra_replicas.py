"""Replicas beside the two: a directory, and a second one in each cloud, serve what they are given."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from local.api import ApiProcess, api_process
from local.supervisor.ports import HOST, reserve
from shared.config import Settings
from shared.messages import ObjectEvent
from shared.replication import replicate
from shared.system import Dss
from shared.wiring import open_system
from tests.support.api import Api, Version, assert_problem, new_uuid, put_bundle, put_collection, put_file
from tests.support.clouds import Clouds
from tests.support.directory_replica import MAIN, NAME, directory_replica
from tests.support.large_objects import VERIFIES_INLINE

SECOND = ("gcp-second", "aws-second")
CONTENT = b"content for a third replica\n"


@dataclass(frozen=True)
class Third:
    """A system with a third replica: its API, its dependencies, and the bucket that is a directory."""

    process: ApiProcess
    api: Api
    admin: Api
    dss: Dss
    bucket: Path

    def replicate(self, key: str, replica: str) -> None:
        """Do what the `sync` function does when it hears of an object."""
        replicate(
            self.dss, ObjectEvent(replica=replica, bucket=self.dss.replicas.named(replica).bucket, key=key)
        )


def second_replicas(stack: dict[str, str]) -> list[dict[str, str]]:
    """Make a second pair of buckets in each cloud, and return what makes them replicas."""
    clouds, suffix = Clouds(stack), new_uuid()
    replicas = [
        {"name": name, "scheme": scheme, "bucket": f"main-{suffix}", "checkout_bucket": f"checkout-{suffix}"}
        for name, scheme in zip(SECOND, ("gs", "s3"), strict=True)
    ]
    for bucket in (f"main-{suffix}", f"checkout-{suffix}"):
        clouds.gcs.create_bucket(bucket)
        clouds.s3.create_bucket(Bucket=bucket)
    return replicas


@pytest.fixture(scope="module")
def third(stack: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Third]:
    root = tmp_path_factory.mktemp("third")
    kept = dict(os.environ)
    with reserve() as keeper:
        port = keeper.getsockname()[1]
        replicas = [directory_replica(root, f"http://{HOST}:{port}"), *second_replicas(stack)]
        setting = {"DSS_EXTRA_REPLICAS": json.dumps(replicas)}
        os.environ.update(stack)
        try:
            dss = open_system(Settings.from_environment({**stack, **setting}))
            with api_process(stack, {**setting, **VERIFIES_INLINE}, port=port) as process:
                api = Api(process.url, stack["DSS_TOKEN"])
                yield Third(
                    process, api, api.signed_in(stack["DSS_ADMIN_TOKEN"]), dss, root / "buckets" / MAIN
                )
        finally:
            os.environ.clear()
            os.environ.update(kept)


@pytest.fixture
def file(third: Third, clouds: Clouds, replica: str) -> Version:
    """A file on one of the clouds, and on the third replica."""
    made = put_file(third.api, clouds.stage(replica, CONTENT, content_type="text/x-third"))
    assert third.api.head(f"/v1/files/{made.uuid}", replica=NAME).status_code == 404
    third.replicate(f"files/{made}", replica)
    return made


def test_the_api_says_which_replicas_it_has(third: Third) -> None:
    document = third.api.get("/v1/swagger.json").json()
    parameters = document["paths"]["/files/{uuid}"]["head"]["parameters"]
    assert next(one["enum"] for one in parameters if one["name"] == "replica") == [
        "aws",
        "gcp",
        NAME,
        *SECOND,
    ]
    assert third.api.get("/internal/health").json() == {"Healthy": True}
    answer = third.api.head("/v1/files/2f6a0bd3-6a64-4f3e-9c0e-0c4f6f0a9b11", replica="azure")
    assert answer.status_code == 400


def test_a_file_is_served_from_the_third_replica(third: Third, file: Version) -> None:
    seen = third.api.head(f"/v1/files/{file.uuid}", replica=NAME, version=file.version)
    assert seen.status_code == 200
    assert seen.headers["X-DSS-SHA256"] == hashlib.sha256(CONTENT).hexdigest()

    answer = third.api.get(
        f"/v1/files/{file.uuid}", replica=NAME, content_disposition='attachment; filename="x"'
    )
    assert answer.status_code == 302
    location = answer.headers["Location"]
    assert location.startswith(f"{third.api.url}/objects/{MAIN}/blobs/")
    fetched = requests.get(location, timeout=60)
    assert (fetched.status_code, fetched.content) == (200, CONTENT)
    assert fetched.headers["Content-Type"] == "text/x-third"
    assert fetched.headers["Content-Disposition"] == 'attachment; filename="x"'
    part = requests.get(location, headers={"Range": "bytes=8-10"}, timeout=60)
    assert (part.status_code, part.content) == (206, CONTENT[8:11])
    assert_problem(requests.get(location.replace("blobs/", "blobs/0"), timeout=60), 403, "Forbidden")


def test_the_directory_holds_what_every_bucket_holds(
    third: Third, file: Version, clouds: Clouds, replica: str
) -> None:
    manifest = (third.bucket / "files" / str(file)).read_bytes()
    assert manifest == clouds.read(replica, f"files/{file}")
    said = json.loads(manifest)
    blob = f"{said['sha256']}.{said['sha1']}.{said['s3-etag']}.{said['crc32c']}"
    assert (third.bucket / "blobs" / blob).read_bytes() == CONTENT


# A directory is given parts alike, wherever they are read.
@pytest.mark.parametrize("replica", ["gcp"])
def test_a_large_file_is_replicated_in_parts(third: Third, clouds: Clouds, replica: str) -> None:
    content = os.urandom(65 * 1024 * 1024)
    made = put_file(third.api, clouds.stage(replica, content))
    third.replicate(f"files/{made}", replica)
    location = third.api.get(f"/v1/files/{made.uuid}", replica=NAME).headers["Location"]
    with requests.get(location, timeout=60) as fetched:
        assert fetched.content == content
    assert requests.get(location, headers={"Range": "bytes=-5"}, timeout=60).content == content[-5:]


def test_a_bundle_is_served_with_signed_urls_and_can_be_deleted(
    third: Third, file: Version, replica: str
) -> None:
    names = ["a.txt", "b/c d.txt"]
    bundle = put_bundle(third.api, replica, [file.named(name) for name in names])
    path = f"/v1/bundles/{bundle.uuid}"
    assert third.api.get(path, replica=NAME).status_code == 404
    third.replicate(f"bundles/{bundle}", replica)

    files = third.api.get(path, replica=NAME, presignedurls=True).json()["bundle"]["files"]
    assert [one["name"] for one in files] == names
    for one in files:
        fetched = requests.get(one["url"], timeout=60)
        assert (fetched.status_code, fetched.content) == (200, CONTENT)
        assert one["name"].rpartition("/")[2] in fetched.headers["Content-Disposition"]
    listed = third.api.get("/v1/bundles/all", replica=NAME, prefix=bundle.uuid).json()["bundles"]
    assert listed == [{"uuid": bundle.uuid, "version": bundle.version}]

    reason = {"reason": "to see it gone"}
    assert third.admin.delete(path, replica=replica, json=reason).status_code == 200
    assert third.api.get(path, replica=NAME).status_code == 404
    third.replicate(f"bundles/{bundle.uuid}.dead", replica)
    assert (
        json.loads((third.bucket / "bundles" / f"{bundle.uuid}.dead").read_text())["reason"]
        == reason["reason"]
    )


def test_a_bundle_may_be_written_to_the_third_replica(third: Third, file: Version, clouds: Clouds) -> None:
    bundle = put_bundle(third.api, NAME, [file.named("a")])
    assert third.api.get(f"/v1/bundles/{bundle.uuid}", replica=NAME).status_code == 200
    third.replicate(f"files/{file}", NAME)
    third.replicate(f"bundles/{bundle}", NAME)
    for cloud in ("gcp", "aws"):
        files = third.api.get(f"/v1/bundles/{bundle.uuid}", replica=cloud, presignedurls=True).json()[
            "bundle"
        ]["files"]
        assert requests.get(files[0]["url"], timeout=60).content == CONTENT
        assert (
            clouds.read(cloud, f"bundles/{bundle}") == (third.bucket / "bundles" / str(bundle)).read_bytes()
        )


def test_a_collection_is_everywhere_and_is_hidden_everywhere(
    third: Third, file: Version, clouds: Clouds, replica: str
) -> None:
    collection = put_collection(third.api, replica, [file.linked()])
    path = f"/v1/collections/{collection.uuid}"
    state = assert_problem(third.api.get(path, replica=NAME), 404, "not_found")["replica_state"]
    assert state == "pending"
    third.replicate(f"collections/{collection}", replica)

    read = [third.api.get(path, replica=name) for name in (NAME, *SECOND, "gcp", "aws")]
    assert [answer.json() for answer in read] == [read[0].json()] * 5
    assert read[0].json()["contents"] == [file.linked()]
    manifest = (third.bucket / "collections" / str(collection)).read_bytes()
    assert manifest == clouds.read(replica, f"collections/{collection}")
    elsewhere = put_collection(third.api, NAME, [collection.linked("collection")])
    third.replicate(f"collections/{elsewhere}", NAME)
    assert third.api.get(f"/v1/collections/{elsewhere.uuid}", replica=replica).status_code == 200

    assert third.api.delete(path, replica=replica).status_code == 200
    assert third.api.get(path, replica=NAME).status_code == 404
    third.replicate(f"collections/{collection.uuid}.dead", replica)
    assert (third.bucket / "collections" / f"{collection.uuid}.dead").exists()


@pytest.mark.parametrize("second", SECOND)
def test_two_replicas_may_be_in_one_cloud(third: Third, file: Version, second: str, replica: str) -> None:
    bundle = put_bundle(third.api, replica, [file.named("a")])
    assert third.api.get(f"/v1/bundles/{bundle.uuid}", replica=second).status_code == 404
    third.replicate(f"bundles/{bundle}", replica)
    answer = third.api.get(f"/v1/bundles/{bundle.uuid}", replica=second, presignedurls=True)
    url = answer.json()["bundle"]["files"][0]["url"]
    assert third.dss.replicas.named(second).bucket in url
    assert requests.get(url, timeout=60).content == CONTENT


def test_a_signed_url_outlives_the_process_that_signed_it(third: Third, file: Version) -> None:
    location = third.api.get(f"/v1/files/{file.uuid}", replica=NAME).headers["Location"]
    third.process.restart()
    assert requests.get(location, timeout=60).content == CONTENT
