"""What people do with the `hca` and `dbio` tools goes on to work, against the running system.

`old_client` has their habits; test_real_client.py drives the tools themselves (hca 7.0.1, dbio-cli 1.0.0).
"""

import concurrent.futures
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.api import api_process
from tests.support.api import Version, new_uuid, now, put_bundle, put_file
from tests.support.clouds import checksum_metadata
from tests.support.old_client import CallFailed, OldClient, settings_of_their_time


@pytest.fixture(scope="module")
def client(stack: dict[str, str]) -> Iterator[OldClient]:
    """An old client of an API that is configured as the deployments of its time were."""
    with api_process(stack, settings_of_their_time(stack)) as process:
        key = Path(stack["DSS_LOCAL_SERVICE_ACCOUNT_KEY_FILE"])
        yield OldClient(f"{process.url}/v1/swagger.json", key)


def stage_as_tools_do(clouds, name: str, data: bytes) -> tuple[str, str]:
    """Return UUID and source URL of data staged on S3, with tags and no user metadata."""
    uuid = new_uuid()
    content_type = "gzip" if name.endswith(".gz") else "application/octet-stream"
    tags = checksum_metadata(data, "hca-dss-")
    url = clouds.stage("aws", data, metadata={}, tags=tags, content_type=content_type, key=f"{uuid}/{name}")
    return uuid, url


def test_every_method_of_the_tools_is_there(client):
    assert client.names == {
        *("delete_bundle", "delete_collection", "delete_subscription", "get_bundle", "get_bundles_all"),
        *("get_bundles_checkout", "get_collection", "get_collections", "get_event", "get_events"),
        *("get_file", "get_ga4gh_drs_v1_objects", "get_subscription", "get_subscriptions", "head_file"),
        *("patch_bundle", "patch_collection", "post_bundles_checkout", "post_search", "put_bundle"),
        *("put_collection", "put_file", "put_subscription"),
        # Of their time there were none of these.
        *("get_journals", "get_subscriptions_deliveries", "post_files_batch"),
        *("post_subscriptions_replay", "post_subscriptions_test"),
    }


def test_what_is_uploaded_comes_down_again(client, clouds):
    contents = {"cell.json": b'{"a": 1}', "reads/r1.fastq.gz": b"\x1f\x8b\x08 reads", "empty": b""}
    version = now()
    files = []
    for name, data in contents.items():
        uuid, url = stage_as_tools_do(clouds, name.rpartition("/")[2], data)
        # As the tools do, with an argument that the method has not, which falls away.
        answer = client.answer(
            "put_file", uuid=uuid, version=version, creator_uid=0, source_url=url, bundle_uuid=new_uuid()
        )
        assert answer.status_code in (200, 201)
        files.append({"uuid": uuid, "version": version, "name": name, "indexed": name.endswith(".json")})
    bundle = new_uuid()
    made = client.call("put_bundle", uuid=bundle, version=version, replica="aws", creator_uid=0, files=files)
    assert made["version"] == version
    assert client.download(bundle, "aws") == contents
    removed = [file for file in files if file["name"] == "empty"]
    client.call("patch_bundle", uuid=bundle, version=version, replica="aws", remove_files=removed)
    del contents["empty"]
    assert client.download(bundle, "aws") == contents


def test_after_an_upload_head_finds_the_file_on_aws(client, clouds):
    uuid, url = stage_as_tools_do(clouds, "x.gz", b"data")
    client.call("put_file", uuid=uuid, version=now(), creator_uid=0, source_url=url)
    headers = client.call("head_file", uuid=uuid, replica="aws").headers
    assert headers["X-DSS-CONTENT-TYPE"] == "gzip"


def test_json_files_are_parsed_when_they_are_downloaded(client, api, clouds, replica):
    source = clouds.stage(replica, b'{"a": [1]}', content_type="application/json")
    file = put_file(api, source)
    assert client.call("get_file", uuid=file.uuid, replica=replica) == {"a": [1]}


def test_pages_are_followed_to_the_last(client, api, clouds, replica):
    file = put_file(api, clouds.stage(replica, b"x"))
    bundle = put_bundle(api, replica, [file.named(f"{number:02}") for number in range(25)])
    names = [
        item["name"] for item in client.items("get_bundle", uuid=bundle.uuid, replica=replica, per_page=10)
    ]
    assert names == [f"{number:02}" for number in range(25)]
    query = {"replica": replica, "presignedurls": True, "per_page": 10}
    assert all("url" in item for item in client.items("get_bundle", uuid=bundle.uuid, **query))
    for _ in range(11):
        put_bundle(api, replica, [])
    listed = [item["uuid"] for item in client.items("get_bundles_all", replica=replica, per_page=10)]
    assert bundle.uuid in listed
    assert listed == sorted(listed)


def test_a_delete_has_a_body_and_is_for_admins_only(client, api, replica):
    bundle = put_bundle(api, replica, [])
    with pytest.raises(CallFailed) as failed:
        client.call("delete_bundle", uuid=bundle.uuid, replica=replica, reason="because")
    assert (failed.value.status, failed.value.code) == (403, "Forbidden")


def test_errors_have_their_code(client):
    with pytest.raises(CallFailed) as failed:
        client.call("get_bundle", uuid=new_uuid(), replica="aws")
    assert (failed.value.status, failed.value.code) == (404, "not_found")


@pytest.mark.parametrize(("there", "wanted"), [("aws", "gcp"), ("gcp", "aws")])
def test_a_bundle_waits_for_files_that_are_on_their_way(client, api, clouds, there, wanted):
    file = put_file(api, clouds.stage(there, b"on its way"))
    bundle = Version(new_uuid(), now())
    query = {"uuid": bundle.uuid, "version": bundle.version, "replica": wanted, "creator_uid": 0}
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        answer = thread.submit(client.call, "put_bundle", files=[file.named("a")], **query)
        # Not answered while the file is not there.
        with pytest.raises(concurrent.futures.TimeoutError):
            answer.result(timeout=0.7)
        put_file(api, clouds.stage(wanted, b"on its way"), file=file, status=200)
        assert answer.result(timeout=60)["version"] == bundle.version
    assert client.download(bundle.uuid, wanted) == {"a": b"on its way"}


def test_collections_are_put_read_and_patched_unwrapped(client, api, clouds, replica):
    source = clouds.stage(replica, b'{"donors": [{"age": 7}]}', content_type="application/json")
    file = put_file(api, source)
    version = now()
    items = [file.linked(), {**file.linked("donor"), "fragment": "/donors/0"}]
    made = client.call(
        "put_collection",
        uuid=new_uuid(),
        version=version,
        replica=replica,
        name="n",
        description="d",
        details={},
        contents=items,
    )
    query = {"uuid": made["uuid"], "replica": replica}

    found = client.call("get_collection", **query)
    # Not wrapped, as the contract has it.
    assert (found["name"], found["owner"], found["version"]) == ("n", client.email, version)
    assert found["contents"] == items
    newer = client.call("patch_collection", version=version, remove_contents=items[1:], **query)
    assert client.call("get_collection", **query)["contents"] == [file.linked()]
    for _ in range(11):
        client.call(
            "put_collection",
            uuid=new_uuid(),
            version=version,
            replica=replica,
            name="n",
            description="d",
            details={},
            contents=[],
        )
    listed = list(client.items("get_collections", per_page=10))
    assert {"uuid": made["uuid"], "version": newer["version"]} in listed
    assert len(listed) == len({item["uuid"] for item in listed}) >= 12
    client.call("delete_collection", **query)
    with pytest.raises(CallFailed) as failed:
        client.call("get_collection", **query)
    assert (failed.value.status, failed.value.code) == (404, "not_found")


def test_subscriptions_are_made_shown_and_ended(client, replica):
    url = "https://subscriber.example.org/hook"
    attachments = {"taxon": {"type": "jmespath", "expression": "files.donor_organism_json[].species"}}
    by_jmespath = client.call(
        "put_subscription",
        replica=replica,
        callback_url=url,
        jmespath_query="event_type==`CREATE`",
        attachments=attachments,
        hmac_secret_key="secret",
    )["uuid"]
    es_query = {"query": {"bool": {"must": [{"match": {"files.cell_json.name": "a"}}]}}}
    by_es = client.call("put_subscription", replica=replica, callback_url=url, es_query=es_query)["uuid"]

    # They read the fields of the answer itself.
    shown = client.call("get_subscription", uuid=by_jmespath, replica=replica)
    assert (shown["callback_url"], shown["attachments"]) == (url, attachments)
    kinds = {"jmespath": by_jmespath, "elasticsearch": by_es}
    for kind, uuid in kinds.items():
        listed = client.call("get_subscriptions", replica=replica, subscription_type=kind)["subscriptions"]
        assert uuid in [one["uuid"] for one in listed]
        ended = client.call("delete_subscription", uuid=uuid, replica=replica, subscription_type=kind)
        assert ended["timeDeleted"]
    with pytest.raises(CallFailed) as failed:
        client.call("get_subscription", uuid=by_jmespath, replica=replica)
    assert (failed.value.status, failed.value.code) == (404, "not_found")
