"""`dss copy-bundles` from one DSS to another, and from the bucket of one that nobody serves any more.

The other DSS is a second API with buckets and a catalog of its own, on the emulators of the first.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dss.copying.sources import SourceFile, Tagger
from local.api import api_process
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_file
from tests.support.clouds import SCHEMES, Clouds, checksum_metadata
from tests.support.command_line import Outcome, dss_here

CONTENT = b'{"organ": "brain"}'
LATER_BY_A_SECOND = "1.000001"


@pytest.fixture(scope="module")
def other_env(stack: dict[str, str], clouds: Clouds) -> Iterator[dict[str, str]]:
    """Another DSS, which takes files from the bucket of the first, and from those of predecessors."""
    buckets = {
        f"DSS_{scheme.upper()}{kind}_BUCKET": f"other-{scheme}{kind.lower().replace('_', '-')}-{new_uuid()}"
        for scheme in SCHEMES.values()
        for kind in ("", "_CHECKOUT", "_STAGING")
    }
    for name, bucket in buckets.items():
        if "_GS" in name:
            clouds.gcs.create_bucket(bucket)
        else:
            clouds.s3.create_bucket(Bucket=bucket)
    sources = [
        {"url": f"{SCHEMES[replica]}://{bucket}", "groups": ["signed-in"]}
        for replica, main in clouds.main.items()
        for bucket in (main, "old-*")
    ]
    settings = {**buckets, "GOOGLE_CLOUD_PROJECT": "other", "DSS_SOURCES": json.dumps(sources)}
    with api_process(stack, settings) as process:
        yield {**stack, **settings, "DSS_URL": process.url}


@pytest.fixture(scope="module")
def other(other_env: dict[str, str]) -> Api:
    return Api(other_env["DSS_URL"], other_env["DSS_TOKEN"])


@pytest.fixture
def bundle(api: Api, clouds: Clouds, replica: str) -> Version:
    """A bundle of three names for two files."""
    metadata = put_file(api, clouds.stage(replica, CONTENT, content_type="application/json"))
    reads = put_file(api, clouds.stage(replica, b"GATTACA"))
    names = [metadata.named("cell.json", indexed=True), reads.named("raw/ünïcode"), reads.named("raw/again")]
    return put_bundle(api, replica, names)


def copied(env: Mapping[str, str], source: str, *arguments: object) -> Outcome:
    return dss_here(env, "copy-bundles", "--source", source, *arguments, "--json")


def done(outcome: Outcome) -> dict[str, Any]:
    assert outcome.code == 0, outcome.err + outcome.out
    found: dict[str, Any] = outcome.json
    return found


def files_of(api: Api, replica: str, bundle: Version) -> list[dict[str, Any]]:
    answer = api.get(f"/v1/bundles/{bundle.uuid}", replica=replica, version=bundle.version)
    assert answer.status_code == 200, answer.text
    return [{**row, "url": None} for row in answer.json()["bundle"]["files"]]


def test_a_bundle_is_the_same_in_the_other_dss(
    stack: dict[str, str],
    other_env: dict[str, str],
    api: Api,
    other: Api,
    replica: str,
    bundle: Version,
) -> None:
    options = ("--replica", replica, "--bundle", bundle)

    planned = done(copied(other_env, stack["DSS_URL"], *options, "--dry-run"))
    assert other.get(f"/v1/bundles/{bundle.uuid}", replica=replica).status_code == 404
    report = done(copied(other_env, stack["DSS_URL"], *options))
    again = done(copied(other_env, stack["DSS_URL"], *options))

    assert files_of(other, replica, bundle) == files_of(api, replica, bundle)
    [cell, *_] = files_of(other, replica, bundle)
    served = other.get(f"/v1/files/{cell['uuid']}", replica=replica)
    assert other.get(served.headers["Location"]).content == CONTENT
    counts = [(one["copied"], one["already_there"], one["files"], one["bytes"]) for one in (planned, report)]
    assert counts == [(1, 0, 2, len(CONTENT) + 7)] * 2
    assert (again["copied"], again["already_there"]) == (0, 1)


def test_copies_can_have_later_versions_and_are_the_same_when_repeated(
    stack: dict[str, str], other_env: dict[str, str], other: Api, bundle: Version, replica: str
) -> None:
    options = ("--replica", replica, "-b", bundle, "--map-version", f"-{LATER_BY_A_SECOND}")

    done(copied(other_env, stack["DSS_URL"], *options))
    again = done(copied(other_env, stack["DSS_URL"], *options))

    assert again["already_there"] == 1
    listed = other.get("/v1/bundles/all", replica=replica, prefix=bundle.uuid).json()["bundles"]
    [version] = [row["version"] for row in listed]
    assert version < bundle.version
    assert all(
        row["version"] < bundle.version for row in files_of(other, replica, Version(bundle.uuid, version))
    )


def test_a_table_is_copied_as_far_as_it_goes_and_failures_are_listed(
    stack: dict[str, str],
    other_env: dict[str, str],
    other: Api,
    bundle: Version,
    replica: str,
    tmp_path: Path,
) -> None:
    missing, unwanted = Version(new_uuid(), now()), Version(new_uuid(), now())
    table = tmp_path / "mine.tsv"
    rows = [f"{one.uuid}\t{one.version}\tx\n" for one in (missing, bundle, unwanted)]
    table.write_text("".join(["bundle_uuid\tbundle_version\tfile_name\n", *rows]))
    ends = ("--suffix", bundle.uuid[-12:], "--prefix", bundle.uuid[:8])
    options = ["--replica", replica, "--manifest", table]

    some = copied(other_env, stack["DSS_URL"], *options)
    one = copied(other_env, stack["DSS_URL"], *options, *ends)

    assert some.code == 1
    assert {row["name"] for row in some.json["failed"]} == {str(missing), str(unwanted)}
    assert f"2 of 3 bundles and 2 files failed:\n  {min(str(missing), str(unwanted))}" in some.err
    assert files_of(other, replica, bundle)
    assert done(one)["already_there"] == 1


def test_a_bucket_that_nobody_serves_is_read_directly(
    other_env: dict[str, str], api: Api, admin: Api, other: Api, clouds: Clouds, replica: str, bundle: Version
) -> None:
    hidden = put_bundle(api, replica, [])
    answer = admin.delete(f"/v1/bundles/{hidden.uuid}", replica=replica, json={"reason": "gone"})
    assert answer.status_code == 200
    source = f"{SCHEMES[replica]}://{clouds.main[replica]}"

    report = done(copied(other_env, source, bundle.uuid))
    everything = done(copied(other_env, source, "--all", "--prefix", bundle.uuid[:12], "--dry-run"))
    refused = copied(other_env, source, hidden)

    assert (report["copied"], report["replica"], everything["already_there"]) == (1, replica, 1)
    assert files_of(other, replica, bundle) == files_of(api, replica, bundle)
    assert refused.code == 1
    assert "a tombstone hides it" in refused.json["failed"][0]["why"]


def test_a_predecessors_bundle_needs_no_checksums_of_its_own(
    other_env: dict[str, str], other: Api, clouds: Clouds, replica: str
) -> None:
    bundle, file, bucket = Version(new_uuid(), now()), Version(new_uuid(), now()), f"old-{new_uuid()}"
    _write_predecessor(clouds, replica, bucket, bundle, file)

    report = done(copied(other_env, f"{SCHEMES[replica]}://{bucket}", bundle))

    assert report["copied"] == 1
    [row] = files_of(other, replica, bundle)
    assert (row["name"], row["uuid"], row["content-type"]) == ("cell.json", file.uuid, "application/json")


def test_fix_tags_adds_checksums_to_what_a_blob_has(
    stack: dict[str, str], clouds: Clouds, replica: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in stack.items():
        monkeypatch.setenv(name, value)
    checksums = checksum_metadata(CONTENT, "")
    key = f"blobs/{new_uuid()}"
    url = clouds.stage(replica, CONTENT, key=key, metadata={"mine": "x"}, tags={"mine": "x"})
    blob = SourceFile(
        name="a", uuid=new_uuid(), version=now(), indexed=False, size=1, checksums=checksums, url=url
    )
    tagger = Tagger()

    tagger.tag(blob)
    tagger.tag(blob)

    if replica == "gcp":
        found = clouds.gcs.bucket(clouds.staging[replica]).get_blob(key).metadata
    else:
        rows = clouds.s3.get_object_tagging(Bucket=clouds.staging[replica], Key=key)["TagSet"]
        found = {row["Key"]: row["Value"] for row in rows}
    assert found == {"mine": "x", **checksum_metadata(CONTENT, "hca-dss-")}


def _write_predecessor(clouds: Clouds, replica: str, bucket: str, bundle: Version, file: Version) -> None:
    """Write a bundle as old releases did: checksums in the file's manifest alone, none on the blob."""
    if replica == "gcp":
        clouds.gcs.create_bucket(bucket)
    else:
        clouds.s3.create_bucket(Bucket=bucket)
    content = f"{CONTENT.decode()} of {bundle}".encode()
    sums = {name.replace("_", "-"): value for name, value in checksum_metadata(content, "").items()}
    named = {"name": "cell.json", "uuid": file.uuid, "version": file.version, "indexed": True}
    objects = {
        f"blobs/{'.'.join(checksum_metadata(content, '').values())}": content,
        f"files/{file}": json.dumps({"format": "0.0.4", "size": len(content), **sums}).encode(),
        f"bundles/{bundle}": json.dumps({"format": "0.0.1", "files": [named]}).encode(),
    }
    for key, data in objects.items():
        clouds.stage(replica, data, bucket=bucket, key=key, metadata={}, content_type="application/json")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name bundles with --bundle"),
        (("--all", "--bundle", new_uuid()), "one of these"),
        (("--all", "--set-version", now(), "--new-version"), "give one of them"),
        (("--all", "--set-version", "2019"), "--set-version: '2019' is not a version"),
        (("--all", "--prefix", "xyz"), "--prefix: 'xyz'"),
        (("--bundle", "x.y"), "names no object of a DSS"),
        (("--bundle", f"{new_uuid()}.2019"), "is not a version"),
        (("--all", "--source-bucket", "gs://a/b"), "--source-bucket: 'gs://a/b'"),
        (("--all", "--personal", "--token", "a.b.c"), "--personal: it takes no --token"),
        (("--all", "--personal"), "--personal: you are not signed in; run dss login --url"),
    ],
)
def test_what_makes_no_sense_is_named_before_anything_is_done(
    arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    # Port 9 (discard): no service listens there.
    env = {"DSS_URL": "http://127.0.0.1:9", "XDG_CONFIG_HOME": str(tmp_path)}

    outcome = dss_here(env, "copy-bundles", "--source", "http://127.0.0.1:8", *arguments)

    assert (outcome.code in (1, 2, 4), outcome.out) == (True, "")
    assert words in outcome.err


def test_a_dss_is_not_copied_to_itself_nor_a_bucket_across_clouds() -> None:
    env = {"DSS_URL": "https://dss.example.org"}

    same = dss_here(env, "copy-bundles", "-s", "https://dss.example.org/v1/", "--all")
    across = dss_here(env, "copy-bundles", "-s", "s3://old", "--replica", "gcp", "--all")

    assert (same.code, across.code) == (2, 2)
    assert "are the same DSS" in same.err
    assert "s3://old is in the cloud of aws" in across.err
