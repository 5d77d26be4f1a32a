"""Commands that write: a dry run writes nothing, and what destroys asks, or needs --yes."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.command_line import DSS, dss_here, environment
from tests.support.fake_dss import BUNDLE, VERSION, FakeDss, Fault

FQID = f"{BUNDLE}.{VERSION}"
DELETE = ("delete", FQID, "--reason", "wrong")


@pytest.fixture
def env(fake: FakeDss) -> dict[str, str]:
    fake.names = {"a": b"1"}
    return {"DSS_URL": fake.url, "DSS_TOKEN": "a.token"}


def answered(env: dict[str, str], answer: str, *arguments: object) -> tuple[int, str]:
    """Return exit code and stderr of a command on a terminal where a person types an answer."""
    ours, theirs = os.openpty()
    with os.fdopen(ours, "r+b", buffering=0) as terminal:
        terminal.write(f"{answer}\n".encode())
        process = subprocess.Popen(
            [*DSS, *map(str, arguments)],
            env=environment(env),
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
        )
        os.close(theirs)
        shown = b""
        while True:
            try:
                data = terminal.read(4096)
            except OSError:  # Linux: the other end is closed
                break
            if not data:
                break
            shown += data
        return process.wait(60), shown.decode()


def test_what_destroys_needs_yes_if_there_is_nobody_to_ask(env: dict[str, str], fake: FakeDss) -> None:
    refused = dss_here(env, *DELETE)

    assert refused.code == 2
    assert f"this would hide bundle {FQID} on gcp, for ever; give --yes" in refused.err
    assert fake.requests("DELETE", "/") == []
    done = dss_here(env, *DELETE, "--yes")
    assert (done.code, done.out) == (0, f"{FQID} is hidden\n")
    assert [(one.path, one.query["version"]) for one in fake.requests("DELETE", "/")] == [
        (f"/bundles/{BUNDLE}", VERSION)
    ]


def test_what_destroys_asks_on_a_terminal(env: dict[str, str], fake: FakeDss) -> None:
    code, shown = answered(env, "n", *DELETE)

    assert (code, fake.requests("DELETE", "/")) == (1, [])
    assert f"Hide bundle {FQID} on gcp, for ever? [y/N]" in shown
    assert "nothing was done" in shown
    code, _ = answered(env, "y", "delete", BUNDLE, "--reason", "wrong")
    assert (code, len(fake.requests("DELETE", f"/bundles/{BUNDLE}"))) == (0, 1)


def test_a_dry_run_of_delete_says_which_versions_would_be_hidden(env: dict[str, str], fake: FakeDss) -> None:
    outcome = dss_here(env, *DELETE, "--dry-run")

    assert (outcome.code, outcome.out) == (0, f"would hide {FQID} on gcp\n")
    assert fake.requests("DELETE", "/") == []
    missing = dss_here(env, "delete", "33333333-3333-4333-8333-333333333333", "--reason", "x", "--dry-run")
    assert missing.code == 3


def test_a_collection_is_hidden_as_a_whole_and_on_request_only(env: dict[str, str], fake: FakeDss) -> None:
    fake.broken["GET", "/collections"] = Fault(status=200, body={"contents": [1, 2]})
    fake.broken["DELETE", "/collections"] = Fault(status=200)
    command = ("collection", "delete", f"{fake.url}/v1/collections/{BUNDLE}")

    assert dss_here(env, *command).code == 2
    assert dss_here(env, *command, "--dry-run").out == f"would hide {BUNDLE}, of 2 links\n"
    assert "only the whole collection" in dss_here(env, "collection", "delete", FQID, "--yes").err
    assert fake.requests("DELETE", "/") == []
    assert dss_here(env, *command, "--yes").out == f"{BUNDLE} is hidden\n"


def test_a_dry_run_of_an_upload_says_what_would_be_done(
    env: dict[str, str], fake: FakeDss, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a").write_text("12345")
    env = {**env, "STORAGE_EMULATOR_HOST": "http://127.0.0.1:1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = ("upload", data, "--staging", "gs://bucket", "--dry-run")

    new, given = dss_here(env, *command), dss_here(env, *command, "--bundle-uuid", BUNDLE)

    assert (new.code, given.code) == (0, 0)
    assert new.out == "a new bundle would be made: 1 files, 5 bytes, 1 files would be put\n"
    assert given.out.startswith(f"a new version of {BUNDLE} would be made: 1 files")
    assert dss_here(env, *command, "--json").json["dry_run"] is True
    assert fake.seen == []
    assert not (tmp_path / "cache").exists()
    assert "no upload of this directory is recorded" in dss_here(env, *command, "--update").err


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (404, {"code": "not_found"}, 3),
        (410, {"code": "gone"}, 3),
        (401, {"code": "unauthorized"}, 4),
        (403, {"code": "forbidden"}, 4),
        (409, {"code": "conflict"}, 1),
        (404, {}, 5),
    ],
)
def test_a_script_can_tell_errors_apart(
    env: dict[str, str], fake: FakeDss, status: int, body: dict[str, str], code: int
) -> None:
    fake.broken["GET", "/bundles"] = Fault(status=status, body=body)

    assert dss_here(env, "ls", BUNDLE).code == code


def test_a_dss_that_is_not_there_and_a_missing_token_have_codes_of_their_own(env: dict[str, str]) -> None:
    assert dss_here({"DSS_URL": "http://127.0.0.1:1"}, "ls", BUNDLE, "--patience", "0").code == 5
    assert dss_here({**env, "DSS_TOKEN": ""}, *DELETE, "--yes").code == 4


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        ({"status": "RUNNING", "files": 3, "files_done": 1}, 0, "RUNNING: 1 of 3 files copied"),
        ({"status": "SUCCEEDED", "location": "gs://b/bundles/x"}, 0, "SUCCEEDED: gs://b/bundles/x"),
        ({"status": "FAILED", "cause": "the bucket is gone"}, 1, "FAILED: the bucket is gone"),
    ],
)
def test_a_checkout_is_shown_by_its_job(
    env: dict[str, str], fake: FakeDss, status: dict[str, object], code: int, text: str
) -> None:
    fake.broken["GET", "/bundles/checkout/job"] = Fault(status=200, body=status)

    shown = dss_here(env, "checkout", "--job", "job")

    assert (shown.code, shown.out) == (code, f"{text}\n")
    assert fake.requests("POST", "/") == []


def test_a_job_that_failed_or_does_not_exist_ends_a_wait(env: dict[str, str], fake: FakeDss) -> None:
    fake.broken["GET", "/bundles/checkout/job"] = Fault(
        status=200, body={"status": "FAILED", "cause": "gone"}
    )

    ended = dss_here(env, "checkout", "--job", "job", "--watch")

    assert (ended.code, "checkout job failed: gone" in ended.err) == (1, True)
    assert dss_here(env, "checkout", "--job", "").code == 3
    assert dss_here(env, "checkout", BUNDLE, "--job", "job").code == 2
    assert dss_here(env, "checkout").code == 2
