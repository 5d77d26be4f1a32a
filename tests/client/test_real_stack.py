"""`dss` against the whole system on this machine, on both replicas."""

import hashlib
import json
import random
import signal
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from google.cloud import storage

from dss.client import Client
from tests.support.command_line import Outcome, dss, dss_here, start
from tests.support.waiting import deadline_after

MIB = 1024 * 1024
REPLICAS = ("gcp", "aws")


@pytest.fixture(params=REPLICAS)
def replica(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def env(stack: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return {**stack, "XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.fixture
def whole_env(whole_system: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment of a system with workflows, which large files need."""
    return {**whole_system, "XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory of all kinds of files; small ones are many."""
    directory = tmp_path / "data"
    (directory / "cells" / "ünïcode dir").mkdir(parents=True)
    for number in range(40):
        (directory / "cells" / f"{number}.json").write_text(json.dumps({"number": number}))
    (directory / "cells" / "ünïcode dir" / "100% of #1?.gz").write_bytes(random.Random(1).randbytes(70_000))
    (directory / "empty").write_bytes(b"")
    (directory / ".hidden on top").write_bytes(b"x")
    return directory


def _tree(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def _done(outcome: Outcome) -> Any:
    assert outcome.code == 0, outcome.err
    return outcome.json


def _staged(env: dict[str, str], replica: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    for name in ("STORAGE_EMULATOR_HOST", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, env[name])
    if replica == "gcp":
        return [blob.name for blob in storage.Client(project="x").list_blobs(env["DSS_GS_STAGING_BUCKET"])]
    client = boto3.client("s3", region_name="us-east-1")
    listing = client.list_objects_v2(Bucket=env["DSS_S3_STAGING_BUCKET"])
    return [row["Key"] for row in listing.get("Contents", [])]


def test_a_directory_comes_back_byte_for_byte(
    whole_env: dict[str, str], data: Path, replica: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # S3 cuts this one in two parts, and its ETag is that of two parts; GCS takes it in pieces of 8 MiB.
    size = 65 * MIB + 1 if replica == "aws" else 9 * MIB
    (data / "large.bin").write_bytes(random.Random(2).randbytes(size))
    before = _staged(whole_env, replica, monkeypatch)

    uploaded = _done(dss(whole_env, "upload", data, "--replica", replica, "--json"))
    downloaded = _done(
        dss(whole_env, "download", uploaded["uuid"], "--replica", replica, "--to", tmp_path / "out", "--json")
    )

    assert uploaded["put"] == uploaded["files"] == downloaded["downloaded"] == 44
    assert downloaded["version"] == uploaded["version"]
    assert _tree(tmp_path / "out") == _tree(data)
    assert _staged(whole_env, replica, monkeypatch) == before
    rows = _done(dss(whole_env, "get", "bundle", uploaded["uuid"], "--replica", replica, "--json"))["files"]
    types = {row["name"]: (row["content-type"], row["indexed"]) for row in rows}
    assert types["cells/1.json"] == ("application/json", True)
    assert types["cells/ünïcode dir/100% of #1?.gz"] == ("application/gzip", False)
    assert types["large.bin"] == ("application/octet-stream", False)


def test_hidden_files_go_up_are_listed_and_come_down(
    env: dict[str, str], replica: str, tmp_path: Path
) -> None:
    """As Zarr v2 has them, and git."""
    zarr = tmp_path / "zarr"
    for name in (
        ".zgroup",
        "counts/.zarray",
        "counts/.zattrs",
        "counts/0.0",
        ".git/HEAD",
        "a/.b/..c",
        "d./e",
    ):
        (zarr / name).parent.mkdir(parents=True, exist_ok=True)
        (zarr / name).write_text(name)

    uploaded = _done(dss_here(env, "upload", zarr, "--replica", replica, "--json"))
    listed = _done(dss_here(env, "get", "bundle", uploaded["uuid"], "--replica", replica, "--json"))["files"]
    options = ("--replica", replica, "--to", tmp_path / "out", "--json")
    _done(dss_here(env, "download", uploaded["uuid"], *options))
    nothing = dss_here(env, "download", uploaded["uuid"], "--name", "nope*", *options)

    assert {row["name"] for row in listed} == set(_tree(zarr))
    assert _tree(tmp_path / "out") == _tree(zarr)
    assert (nothing.code, "no file of the bundle matches 'nope*'" in nothing.err) == (1, True)


def test_a_killed_upload_is_finished_by_the_same_command(
    env: dict[str, str], data: Path, replica: str
) -> None:
    # Larger than what goes to the DSS itself, so that each is staged.
    for number in range(40):
        (data / f"{number}.bin").write_bytes(random.Random(number).randbytes(300_000))
    second, put = _killed_and_finished(env, data, replica, files=83)

    # At most those in flight were staged and not yet PUT; small files are not staged.
    staged = [name for name in put if name.endswith(".bin")]
    assert 38 - len(staged) <= second["staged"] <= 40 - len(staged)


def test_a_killed_upload_of_small_files_is_finished_by_the_same_command(
    env: dict[str, str], data: Path
) -> None:
    # They go in groups of some dozens: so many that it is killed between two of them.
    for number in range(300):
        (data / f"{number}.txt").write_text(str(number))

    second, _ = _killed_and_finished(env, data, "gcp", files=343)

    assert second["staged"] == 0


def _killed_and_finished(
    env: dict[str, str], data: Path, replica: str, *, files: int
) -> tuple[dict[str, Any], set[str]]:
    """Kill an upload half-way, and run it again; return what that did, and what was PUT before."""
    journal = data.parent / "journal"
    arguments = ("upload", data, "--replica", replica, "--json", "--state", journal, "--jobs", 2)
    process = start(env, *arguments)
    deadline = deadline_after(60)
    while len(_put_of(journal)) < 5 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    put = _put_of(journal)
    assert 5 <= len(put) < files, "the upload was not killed half-way"

    second = _done(dss_here(env, *arguments))

    assert second["put"] == second["files"] - len(put) == files - len(put)
    listed = dss_here(env, "get", "bundle", second["uuid"], "--replica", replica, "--json").json["files"]
    assert len(listed) == files
    third = _done(dss_here(env, *arguments))
    assert (third["already_there"], third["put"], third["staged"]) == (True, 0, 0)
    assert (third["uuid"], third["version"]) == (second["uuid"], second["version"])
    return second, put


def _put_of(journal: Path) -> set[str]:
    """Return the names of the files that are PUT."""
    try:
        lines = journal.read_text().split("\n")[:-1]
    except FileNotFoundError:
        return set()
    files = (json.loads(line).get("file", {}) for line in lines)
    return {file["name"] for file in files if file.get("put")}


def test_a_killed_download_is_finished_by_the_same_command(
    env: dict[str, str], data: Path, replica: str, tmp_path: Path
) -> None:
    (data / "large.bin").write_bytes(random.Random(3).randbytes(12 * MIB))
    uuid = _done(dss_here(env, "upload", data, "--replica", replica, "--json"))["uuid"]
    target = tmp_path / "out"
    arguments = ("download", uuid, "--replica", replica, "--to", target, "--range-mib", 1, "--json")
    process = start(env, *arguments)
    deadline = deadline_after(60)
    while not list(target.glob(".dss-download/*.done")) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    process.communicate()

    second = _done(dss_here(env, *arguments))

    assert second["failed"] == []
    assert _tree(target) == _tree(data)


def test_a_changed_directory_becomes_a_new_version(env: dict[str, str], data: Path, replica: str) -> None:
    first = _done(dss_here(env, "upload", data, "--replica", replica, "--json"))
    (data / "empty").write_bytes(b"not any more")

    second = _done(dss_here(env, "upload", data, "--update", "--replica", replica, "--json"))

    assert (second["uuid"], second["put"]) == (first["uuid"], 1)
    assert second["version"] > first["version"]
    old = _done(
        dss_here(
            env, "get", "bundle", first["uuid"], "--version", first["version"], "--replica", replica, "--json"
        )
    )
    assert {row["name"]: row["size"] for row in old["files"]}["empty"] == 0


def test_one_file_is_fetched_by_its_uuid(
    env: dict[str, str], data: Path, replica: str, tmp_path: Path
) -> None:
    uuid = _done(dss_here(env, "upload", data, "--replica", replica, "--json"))["uuid"]
    rows = _done(dss_here(env, "get", "bundle", uuid, "--replica", replica, "--json"))["files"]
    row = next(row for row in rows if row["name"] == "cells/7.json")

    to_stdout = dss_here(env, "get", "file", row["uuid"], "--replica", replica)
    to_path = dss_here(
        env, "get", "file", row["uuid"], "--replica", replica, "--output", tmp_path / "x", "--json"
    )

    assert to_stdout.out == (data / "cells" / "7.json").read_text() == (tmp_path / "x").read_text()
    assert _done(to_path)["version"] == row["version"]


def test_bundles_are_listed_and_hidden_by_an_admin(env: dict[str, str], data: Path, replica: str) -> None:
    uploaded = _done(dss_here(env, "upload", data, "--replica", replica, "--json"))
    fqid = f"{uploaded['uuid']}.{uploaded['version']}"
    listing = ("list", "--replica", replica, "--prefix", uploaded["uuid"][:8])
    deletion = ("delete", uploaded["uuid"], "--replica", replica, "--reason", "a test", "--yes")
    assert fqid in dss_here(env, *listing).out.splitlines()

    refused = dss_here(env, *deletion, "--json")
    assert (refused.code, refused.json["error"]["code"]) == (4, "Forbidden")

    assert dss_here(env, "--token", env["DSS_ADMIN_TOKEN"], *deletion).code == 0
    assert fqid not in dss_here(env, *listing).out
    gone = dss_here(env, "download", uploaded["uuid"], "--replica", replica)
    assert (gone.code, "not_found" in gone.err) == (3, True)


def test_the_library_lists_all_pages(
    stack: dict[str, str], env: dict[str, str], data: Path, replica: str
) -> None:
    uploaded = _done(dss_here(env, "upload", data, "--replica", replica, "--json"))
    client = Client(stack["DSS_URL"], stack["DSS_TOKEN"], replica=replica)
    row = client.bundle(uploaded["uuid"])["files"][0]
    files = [{name: row[name] for name in ("uuid", "version", "name", "indexed")}]
    prefix = str(uuid4())
    versions = [f"2026-01-01T0000{number:02d}.000000Z" for number in range(25)]
    for version in versions:
        assert client.put_bundle(prefix, version, files)
        assert not client.put_bundle(prefix, version, files)

    listed = [bundle["version"] for bundle in client.bundles(prefix, per_page=10)]

    assert listed == versions
    assert client.bundle(prefix)["version"] == versions[-1]


def test_the_local_issuer_gives_a_token_that_may_write(env: dict[str, str], data: Path) -> None:
    outcome = dss_here(env, "token", "--email", "someone@example.org", "--group", "dss", "--json")
    token = _done(outcome)["token"]

    assert _done(dss_here(env, "upload", data, "--token", token, "--json"))["files"] == 43


def test_an_upload_without_permission_stops_at_the_first_error(env: dict[str, str], data: Path) -> None:
    outcome = dss_here(env, "upload", data, "--token", env["DSS_TOKEN_OTHER_GROUP"], "--jobs", 1, "--json")

    assert outcome.code == 1
    assert "403 Forbidden" in outcome.err
    assert len(outcome.json["failed"]) == 43
    assert (outcome.json["put"], outcome.json["staged"]) == (0, 0)
