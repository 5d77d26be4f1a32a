"""What people do with the `hca` and `dbio` command lines goes on to work: the tools themselves.

Left out unless `-m clients` asks; `make test-clients` installs the tools. Not tried is what they can't do
with every server: lists in `patch-bundle` and `patch-collection`, `login --access-token`.
"""

import csv
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dss.client import Client
from local.api import api_process
from local.config import ADMIN_EMAIL
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_file
from tests.support.clouds import Clouds
from tests.support.hca_sample import sequenced
from tests.support.old_client import settings_of_their_time
from tests.support.old_tool import OldTool, ToolFailed
from tests.support.tls_front import TlsFront, tls_front
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

MIB = 1 << 20
FILES = {
    "cell_0.json": b'{"organ": {"text": "brain"}}',
    "reads/r1.fastq.gz": b"\x1f\x8b\x08 reads",
    "of ünüsual name": b"x",
    "empty": b"",
    # They send more than 64 MiB in parts.
    "large": random.Random(1).randbytes(70 * MIB),
}


@pytest.fixture(scope="module")
def front(whole_system: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsFront]:
    """TLS before an API that is configured as the deployments of the tools' time were."""
    with tls_front(tmp_path_factory.mktemp("tls")) as front:
        settings = {**settings_of_their_time(whole_system), "DSS_PUBLIC_URL": front.url}
        with api_process(whole_system, settings) as process:
            front.towards(process.url)
            yield front


@pytest.fixture(scope="module")
def env(whole_system: dict[str, str]) -> dict[str, str]:
    return whole_system


@pytest.fixture(params=["hca", "dbio"])
def tool(request: pytest.FixtureRequest, front: TlsFront, env: dict[str, str], tmp_path: Path) -> OldTool:
    return OldTool(request.param, tmp_path, f"{front.url}/v1/swagger.json", front.certificate, env)


@pytest.fixture(scope="module")
def writer(env: dict[str, str]) -> Api:
    return Api(env["DSS_URL"], env["DSS_TOKEN"])


@pytest.fixture
def file(writer: Api, env: dict[str, str], replica: str) -> Version:
    """A JSON file that is on the replica."""
    return put_file(writer, Clouds(env).stage(replica, b'{"n": 1}', content_type="application/json"))


def refused(tool: OldTool, command: str, status: int, code: str, **options: Any) -> None:
    """Fail unless a command ends with this error, which its user reads."""
    with pytest.raises(ToolFailed, match=f'"code": "{code}"') as failed:
        tool(command, **options)
    assert f"(HTTP {status})" in str(failed.value)


def found(directory: Path, bundle: str) -> dict[str, bytes]:
    """Return what was downloaded of a bundle, by name."""
    [top] = directory.glob(f"{bundle}.*")
    paths = [path for path in top.rglob("*") if path.is_file() and path.name != "bundle.json"]
    return {str(path.relative_to(top)): path.read_bytes() for path in paths}


def test_a_directory_goes_up_and_comes_down(tool: OldTool, env: dict[str, str], replica: str, tmp_path: Path):
    source = tmp_path / "source"
    for name, data in FILES.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(data)

    bucket = env["DSS_S3_STAGING_BUCKET"]
    made = tool("upload", src_dir=source, replica=replica, staging_bucket=bucket, no_progress=True)
    bundle, query = made["bundle_uuid"], {"bundle_uuid": made["bundle_uuid"], "replica": replica}
    tool("download", download_dir=tmp_path / "all", **query)
    assert found(tmp_path / "all", bundle) == FILES
    tool("download", download_dir=tmp_path / "metadata", no_data=True, **query)
    assert found(tmp_path / "metadata", bundle).keys() == {"cell_0.json"}
    tool("download", download_dir=tmp_path / "data", no_metadata=True, data_filter=["reads/*"], **query)
    assert found(tmp_path / "data", bundle).keys() == {"reads/r1.fastq.gz"}

    query = {"uuid": bundle, "version": made["version"], "replica": replica}
    job = {
        "checkout_job_id": tool("post-bundles-checkout", uuid=bundle, replica=replica)["checkout_job_id"],
        "replica": replica,
    }
    wait_until(lambda: tool("get-bundles-checkout", **job)["status"] == "SUCCEEDED", "it is checked out")
    document = wait_until(lambda: _or_none(tool, "get-event", **query), "it is an event")
    assert document["files"]["cell_json"] == [{"organ": {"text": "brain"}}]
    clauses = [{"match": {"files.cell_json.organ.text": "brain"}}, {"term": {"uuid": bundle}}]
    search = {"replica": replica, "es_query": {"query": {"bool": {"must": clauses}}}, "output_format": "raw"}
    [hit] = wait_until(lambda: tool("post-search", **search)["results"], "it is found")
    assert hit["bundle_fqid"] == f"{bundle}.{made['version']}"


def _or_none(tool: OldTool, command: str, **options: Any) -> Any:
    try:
        return tool(command, **options)
    except ToolFailed:
        return None


def test_pages_are_followed_to_the_last(
    tool: OldTool, writer: Api, replica: str, file: Version, tmp_path: Path
):
    names = [f"{number:03}" for number in range(620)]
    bundle = put_bundle(writer, replica, [file.named(name) for name in names])
    query = {"uuid": bundle.uuid, "replica": replica}

    files = tool("get-bundle", **query)["bundle"]["files"]
    assert [one["name"] for one in files] == names
    signed = tool("get-bundle", presignedurls="True", per_page="100", **query)
    assert len({one["url"] for one in signed["bundle"]["files"]}) == 620
    assert len(tool("get-bundle", no_paginate=True, **query)["bundle"]["files"]) == 500
    # It waits for the checkout as long as its options say.
    direct = tool("get-bundle", directurls="True", **query)["bundle"]["files"]
    assert {one["url"].rpartition("/")[2] for one in direct} == set(names)

    for number in range(12):
        put_bundle(writer, replica, [], bundle=Version(f"{bundle.uuid[:-2]}{number:02}", now()))
    listed = tool("get-bundles-all", replica=replica, prefix=bundle.uuid[:-2], per_page="10")["bundles"]
    assert len({one["uuid"] for one in listed}) >= 12
    events = wait_until(
        lambda: {
            event["event_id"]
            for journal in tool("get-events", replica=replica, per_page="10")["event_streams"]
            for event in journal["events"]
        },
        "there are events",
    )
    assert events

    columns = (
        "bundle_uuid",
        "bundle_version",
        "file_name",
        "file_uuid",
        "file_version",
        "file_sha256",
        "file_size",
    )
    with (tmp_path / "manifest.tsv").open("w") as manifest:
        rows = csv.writer(manifest, delimiter="\t")
        rows.writerow(columns)
        for one in files:
            rows.writerow(
                [bundle.uuid, bundle.version]
                + [one[name] for name in ("name", "uuid", "version", "sha256", "size")]
            )
    tool("download-manifest", manifest="manifest.tsv", replica=replica, layout="bundle")
    assert found(tmp_path, bundle.uuid).keys() == set(names)


def test_a_manifest_of_the_catalogue_is_downloaded(
    tool: OldTool, env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("DSS_GS_STAGING_BUCKET", "GOOGLE_CLOUD_PROJECT", "STORAGE_EMULATOR_HOST"):
        monkeypatch.setenv(name, env[name])
    organ = f"organ {new_uuid()}"
    bundle = sequenced(f"old{now()[:19]}", organ=organ, project=new_uuid(), specimen=new_uuid())
    data = {file["name"]: file["name"].encode() for file in bundle.files}
    documents = {name: json.dumps(document).encode() for name, document in bundle.documents.items()}
    source = tmp_path / "source"
    source.mkdir()
    for name, content in {**data, **documents}.items():
        (source / name).write_bytes(content)
    client = Client(env["DSS_URL"], env["DSS_TOKEN"], replica="gcp")
    uploaded = client.upload(source, state=tmp_path / "state")
    filters = {"organ": organ}
    wait_until(lambda: client.explore("files", filters).total == 2, "its files are in the catalogue")
    client.manifest(filters).save(tmp_path / "manifest.tsv")

    tool("download-manifest", manifest="manifest.tsv", replica="gcp", layout="bundle")
    assert found(tmp_path, uploaded.uuid) == {**data, **documents}
    tool("download-manifest", manifest="manifest.tsv", replica="gcp")
    with (tmp_path / "manifest.tsv").open(newline="") as manifest:
        rows = list(csv.DictReader(manifest, delimiter="\t"))
    assert {row["file_name"]: (tmp_path / row["file_path"]).read_bytes() for row in rows} == data

    # What their users have of it, ours takes.
    report = client.download_manifest(tmp_path / "manifest.tsv", to=tmp_path / "ours")
    assert report.failed == []
    assert found(tmp_path / "ours", uploaded.uuid) == data


def test_files_and_bundles_are_put_and_read(tool: OldTool, env: dict[str, str], replica: str):
    source = Clouds(env).stage(replica, b'{"n": 2}', content_type="application/json")
    file = Version(new_uuid(), tool("create-version").strip())
    put = {"uuid": file.uuid, "version": file.version, "source_url": source, "creator_uid": "1"}
    assert tool("put-file", **put) == {"version": file.version} == tool("put-file", **put)
    refused(tool, "put-file", 409, "file_already_exists", **{**put, "creator_uid": "2"})
    refused(tool, "put-file", 400, "illegal_version", **{**put, "version": "today"})
    bare = Clouds(env).stage(replica, b"x", metadata={})
    refused(tool, "put-file", 422, "missing_checksum", **{**put, "uuid": new_uuid(), "source_url": bare})
    assert tool("get-file", uuid=file.uuid, replica=replica) == {"n": 2}
    assert "200" in tool("head-file", uuid=file.uuid, replica=replica)

    bundle = {"uuid": new_uuid(), "version": now(), "replica": replica}
    put = {**bundle, "creator_uid": "1", "files": [file.named("a"), file.named("b", indexed=True)]}
    assert tool("put-bundle", **put)["version"] == bundle["version"]
    refused(tool, "put-bundle", 409, "bundle_already_exists", **{**put, "files": [file.named("c")]})
    refused(tool, "put-bundle", 400, "duplicate_filename", **{**put, "files": [file.named("c")] * 2})
    assert tool("patch-bundle", **bundle)["version"] > bundle["version"]
    refused(tool, "get-bundle", 404, "not_found", uuid=new_uuid(), replica=replica)
    refused(tool, "get-bundles-all", 400, "illegal_arguments", replica=replica, per_page="7")
    refused(tool, "delete-bundle", 403, "Forbidden", reason="none", **bundle)


def test_collections_are_made_changed_and_downloaded(
    tool: OldTool, writer: Api, replica: str, file: Version, tmp_path: Path
):
    bundle = put_bundle(writer, replica, [file.named("a")])
    collection = {"uuid": new_uuid(), "version": now(), "replica": replica}
    put = {
        **collection,
        "name": "n",
        "description": "d",
        "details": {},
        "contents": [bundle.linked("bundle")],
    }
    assert tool("put-collection", **put)["version"] == collection["version"]
    nothing = Version(new_uuid(), now()).linked("bundle")
    refused(tool, "put-collection", 422, "invalid_link", **{**put, "uuid": new_uuid(), "contents": [nothing]})
    tool("download-collection", uuid=collection["uuid"], replica=replica, download_dir=tmp_path / "copy")
    assert found(tmp_path / "copy", bundle.uuid) == {"a": b'{"n": 1}'}

    newer = tool("patch-collection", name="m", details={"x": 1}, **collection)["version"]
    query = {"uuid": collection["uuid"], "replica": replica}
    assert tool("get-collection", **query)["name"] == "m"
    assert {"uuid": query["uuid"], "version": newer} in tool("get-collections", per_page="10")["collections"]
    tool("delete-collection", **query)
    refused(tool, "get-collection", 404, "not_found", **query)


def test_subscriptions_are_made_shown_and_ended(tool: OldTool, replica: str):
    put = {"replica": replica, "callback_url": "https://subscriber.example.org/hook"}
    attachments = {"n": {"type": "jmespath", "expression": "files"}}
    queries = {
        "jmespath": {"jmespath_query": "event_type==`CREATE`", "attachments": attachments},
        "elasticsearch": {"es_query": {"query": {"match_all": {}}}, "form_fields": {"a": "b"}},
    }
    for kind, query in queries.items():
        uuid = tool("put-subscription", **put, **query)["uuid"]
        asked = {"replica": replica, "subscription_type": kind}
        assert query.items() <= tool("get-subscription", uuid=uuid, **asked).items()
        assert uuid in [one["uuid"] for one in tool("get-subscriptions", **asked)["subscriptions"]]
        assert tool("delete-subscription", uuid=uuid, **asked)["timeDeleted"]
        refused(tool, "get-subscription", 404, "not_found", uuid=uuid, **asked)
    refused(tool, "put-subscription", 400, "invalid_jmespath", jmespath_query="a==", **put)


@pytest.mark.parametrize("tool", ["hca"], indirect=True)
@pytest.mark.parametrize("replica", ["gcp"], indirect=True)
def test_who_signs_in_with_the_browser_is_known_until_the_logout(
    tool: OldTool, writer: Api, replica: str, file: Version
):
    bundle = put_bundle(writer, replica, [file.named("a")])
    query = {"uuid": bundle.uuid, "replica": replica}
    tool.signed_in_by_browser(ADMIN_EMAIL)
    assert tool("delete-bundle", reason="a reason", **query) == {}
    refused(tool, "delete-bundle", 409, "bundle_tombstone_already_exists", reason="another", **query)
    refused(tool, "get-bundle", 404, "not_found", **query)
    tool("logout")
    with pytest.raises(ToolFailed, match="dss login"):
        tool("get-collections")
