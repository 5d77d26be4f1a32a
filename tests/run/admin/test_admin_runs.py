"""`dss admin` has things done to the whole store, by the workflow or by itself, and says what came of it."""

import hashlib
import json
import os
from collections.abc import Mapping
from unittest import mock

import pytest

from shared.catalog import AdminRun
from shared.jobs import steps
from tests.support.api import Api, Version, new_uuid, put_bundle, put_file
from tests.support.clouds import Clouds
from tests.support.command_line import dss_here

WHO = ("--reason", "withdrawn", "--email", "admin@example.org")


@pytest.fixture(scope="module")
def env(whole_system: dict[str, str]) -> Mapping[str, str]:
    """What the command reads; nothing of the API, which it does without."""
    return {name: value for name, value in whole_system.items() if name not in ("DSS_URL", "DSS_TOKEN")}


@pytest.fixture(scope="module")
def api(whole_system: dict[str, str]) -> Api:
    return Api(whole_system["DSS_URL"], whole_system["DSS_TOKEN"])


@pytest.fixture(scope="module")
def clouds(whole_system: dict[str, str]) -> Clouds:
    return Clouds(whole_system)


@pytest.fixture(scope="module")
def file(api: Api, clouds: Clouds) -> Version:
    return put_file(api, clouds.stage("gcp", os.urandom(100)))


def put_list(env: Mapping[str, str], clouds: Clouds, *lines: object) -> str:
    data = "\n".join(map(str, lines)).encode()
    key = f"lists/{new_uuid()}"
    return clouds.stage("gcp", data, bucket=env["DSS_REPORTS_BUCKET"], key=key, metadata={})


def test_the_workflow_audits_and_a_run_is_found_again(env: Mapping[str, str]) -> None:
    begun = dss_here(env, "admin", "audit", "--remote", "--json")
    waited = dss_here(env, "admin", "runs", "show", begun.json["run"], "--wait", "--json")
    shown = dss_here(env, "admin", "runs", "show", begun.json["run"])
    listed = dss_here(env, "admin", "runs", "list")
    again = dss_here(env, "admin", "runs", "resume", begun.json["run"], "--remote", "--wait")

    assert begun.code == 0 and begun.json["execution"].endswith(begun.json["run"])
    assert waited.json["state"] == "SUCCEEDED", waited.err
    assert waited.code == int(waited.json["counts"]["findings"] > 0)
    assert f"report: gs://{env['DSS_REPORTS_BUCKET']}/runs/" in shown.out
    assert listed.out.split()[:6] == ["run", "kind", "state", "attempt", "begun", "touched"]
    assert begun.json["run"] in listed.out
    assert (again.code, "has succeeded: it cannot be resumed" in again.err) == (1, True)


def test_a_run_that_is_interrupted_before_its_first_slice_can_be_resumed(
    env: Mapping[str, str], clouds: Clouds, file: Version
) -> None:
    url = put_list(env, clouds, f"files/{file}")
    begin, interrupted = steps.begin, []

    def begin_and_be_interrupted(*arguments: object) -> AdminRun:
        run = begin(*arguments)
        if not interrupted:
            interrupted.append(run.id)
            raise KeyboardInterrupt
        return run

    with mock.patch.object(steps, "begin", begin_and_be_interrupted):
        stopped = dss_here(env, "admin", "resync", "--list", url)
    [run_id] = interrupted
    shown = dss_here(env, "admin", "runs", "show", run_id, "--json").json
    resumed = dss_here(env, "admin", "runs", "resume", run_id, "--json").json

    assert (stopped.code, f"dss admin runs resume {run_id}" in stopped.err) == (130, True)
    assert (shown["state"], shown["cause"]) == ("FAILED", "it was interrupted")
    assert (resumed["run"], resumed["state"], resumed["attempt"]) == (run_id, "SUCCEEDED", 2)


def test_the_workflow_rebuilds_an_index_after_its_check(env: Mapping[str, str]) -> None:
    checked = dss_here(env, "admin", "index", "check", "--names-only", "--remote", "--wait", "--json")
    how = ("--remote", "--wait", "--json", "--confirmation", checked.json["run"])
    rebuilt = dss_here(env, "admin", "index", "rebuild", *how)
    refused = [
        dss_here(env, "admin", "index", "rebuild", "--remote", "--wait"),
        dss_here(env, "admin", "index", "rebuild", "--remote", "--after", "x"),
        dss_here(env, "admin", "index", "rebuild", "--confirmation", "x"),
        dss_here(env, "admin", "index", "check", "--wait"),
    ]

    assert (checked.json["kind"], checked.json["options"]["names_only"]) == ("index-check", True)
    assert (rebuilt.json["kind"], rebuilt.json["state"]) == ("index-rebuild", "SUCCEEDED"), rebuilt.err
    assert {one.code for one in refused} == {1}
    words = ("confirmation: it must be a string", "is resumed", "only with --remote", "only with --remote")
    assert [one.err for one, said in zip(refused, words, strict=True) if said not in one.err] == []


@pytest.mark.parametrize("where", [["--remote", "--wait"], []], ids=["remote", "here"])
def test_a_resync_is_made_here_or_by_the_workflow(
    env: Mapping[str, str], clouds: Clouds, file: Version, where: list[str]
) -> None:
    url = put_list(env, clouds, f"files/{file}")

    done = dss_here(env, "admin", "resync", "--list", url, *where, "--json")

    assert done.code == 0, done.err
    assert (done.json["state"], done.json["counts"]) == ("SUCCEEDED", {"keys": 1, "published": 1})


def test_the_cache_is_filled_by_criteria_only(env: Mapping[str, str], clouds: Clouds, api: Api) -> None:
    kept, other = (
        put_file(api, clouds.stage("gcp", new_uuid().encode(), content_type=content_type))
        for content_type in ("application/x-kept", "text/plain")
    )
    criteria = {"CHECKOUT_CACHE_CRITERIA": json.dumps([{"type": "application/x-kept", "max_size": 100}])}
    command = ("admin", "fill-cache", "--replica", "gcp")

    refused = dss_here(env, *command, "--remote", "--wait")
    filled = dss_here({**env, **criteria}, *command, "--json")

    assert (refused.code, filled.code) == (1, 0), filled.err
    assert "CHECKOUT_CACHE_CRITERIA is not set" in refused.err
    assert filled.json["state"] == "SUCCEEDED"
    assert (filled.json["counts"]["cached"], filled.json["counts"].get("failed", 0)) == (1, 0)
    assert is_cached(clouds, api, kept) and not is_cached(clouds, api, other)


def is_cached(clouds: Clouds, api: Api, file: Version) -> bool:
    """Say whether a file's content is in the checkout bucket of `gcp`, to stay."""
    headers = api.head(f"/v1/files/{file.uuid}", replica="gcp").headers
    names = ("SHA256", "SHA1", "S3-ETAG", "CRC32C")
    content_type = hashlib.sha256(headers["X-DSS-CONTENT-TYPE"].encode()).hexdigest()[:16]
    key = "blobs/" + ".".join([*(headers[f"X-DSS-{name}"] for name in names), content_type])
    blob = clouds.gcs.bucket(clouds.checkout["gcp"]).get_blob(key)
    return blob is not None and blob.custom_time is None


def test_tombstones_are_previewed_and_confirmed(
    env: Mapping[str, str], clouds: Clouds, api: Api, file: Version
) -> None:
    bundle = put_bundle(api, "gcp", [file.named("name")])
    url = put_list(env, clouds, bundle)

    preview = dss_here(env, "admin", "tombstones", "--list", url, *WHO, "--remote", "--wait")
    code = preview.out.split("confirmation: ")[1].split()[0]
    before = api.get(f"/v1/bundles/{bundle.uuid}", replica="gcp").status_code
    wrong = dss_here(
        env, "admin", "tombstones", "--list", url, *WHO, "--confirmation", "x", "--remote", "--wait"
    )
    deed = dss_here(env, "admin", "tombstones", "--list", url, *WHO, "--confirmation", code, "--json")
    after = api.get(f"/v1/bundles/{bundle.uuid}", replica="gcp").status_code

    assert (preview.code, before, wrong.code, deed.code, after) == (0, 200, 1, 0, 404)
    assert "Nothing was hidden; run a new preview" in wrong.out
    assert deed.json["counts"]["hidden"] == 1


def test_invalid_commands_have_readable_errors(env: Mapping[str, str]) -> None:
    commands = (
        ("resync", "--remote", "--wait"),
        ("resync",),
        ("runs", "show", "none"),
        ("audit", "--remote", "--report", "file"),
        ("audit", "--wait"),
        ("tombstones", "--list", "gs://a/b", "--reason", "r", "--email", "x@y"),
    )
    refused, here, unknown, report, wait, somebody = (
        dss_here(env, "admin", *command) for command in commands
    )

    assert {outcome.code for outcome in (refused, here, unknown, report, wait, somebody)} == {1}
    assert "list, prefix: give one of them, not both" in refused.err
    assert "list, prefix: give one of them, not both" in here.err
    assert "run: 'none' does not exist" in unknown.err
    assert "--report: with --remote the report is in a bucket" in report.err
    assert "only with --remote" in wait.err
    assert "is not in ADMIN_USER_EMAILS" in somebody.err
    assert "Traceback" not in refused.err + here.err + unknown.err + somebody.err
