"""What people meet: no token, one that expires, an API that restarts, a full disk, two runs at once.

The command says so in a line, nothing is half-done, and the same command finishes the work.
"""

import errno
import hashlib
import os
import random
import re
import resource
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dss.client import Client
from dss.errors import NotSignedIn
from dss.reports import Report
from dss.sign_in.sources import Issued, RefreshedToken
from dss.stopping import StoppableClock
from dss.tokens import fetch_local
from dss.transfer.attempts import Attempts
from local.api import ApiProcess, api_process
from local.supervisor.processes import with_default_signals
from tests.support.clouds import REPLICAS
from tests.support.command_line import DSS, Outcome, dss, environment
from tests.support.http_proxy import Fault, HttpProxy
from tests.support.waiting import SLOWNESS, wait_until

KIB = 1024


@pytest.fixture
def replica(request: pytest.FixtureRequest) -> str:
    """The cloud to use; `gcp` for tests that do the same with signed URLs of both."""
    return str(getattr(request, "param", "gcp"))


on_both = pytest.mark.parametrize("replica", REPLICAS, indirect=True)


@pytest.fixture
def env(stack: dict[str, str], tmp_path: Path, replica: str) -> dict[str, str]:
    return {**stack, "XDG_CACHE_HOME": str(tmp_path / "cache"), "DSS_REPLICA": replica}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Files that are staged, each a PUT, and others that are small."""
    directory = tmp_path / "data"
    directory.mkdir()
    content = random.Random(directory.as_posix())
    for number in range(6):
        (directory / f"staged {number}").write_bytes(content.randbytes(300 * KIB))
    for number in range(20):
        (directory / f"small {number}").write_bytes(content.randbytes(KIB))
    return directory


@pytest.fixture
def stage(env: dict[str, str], replica: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The staging bucket of uploads by this process, which gets the right to write there."""
    for name in ("STORAGE_EMULATOR_HOST", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, env[name])
    return {"gcp": f"gs://{env['DSS_GS_STAGING_BUCKET']}", "aws": f"s3://{env['DSS_S3_STAGING_BUCKET']}"}[
        replica
    ]


@pytest.fixture(scope="module")
def own_api(stack: dict[str, str]) -> Iterator[ApiProcess]:
    """An API that tests may kill."""
    with api_process(stack) as api:
        yield api


def tree(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file()
    }


def uploaded(env: dict[str, str], data: Path) -> str:
    outcome = dss(env, "upload", data, "--replica", env["DSS_REPLICA"], "--json")
    assert outcome.code == 0, outcome.err
    return str(outcome.json["uuid"])


def download(env: dict[str, str], uuid: str, target: Path, *options: object) -> Outcome:
    return dss(env, "download", uuid, "--replica", env["DSS_REPLICA"], "--to", target, "--json", *options)


def limited(env: dict[str, str], most: int, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run `dss` where no file can grow beyond `most` bytes, as on a disk that is full."""
    return subprocess.run(
        with_default_signals([*DSS, *map(str, arguments)]),
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=SLOWNESS * 60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )


def test_without_a_token_nothing_is_written(env: dict[str, str], data: Path) -> None:
    del env["DSS_TOKEN"]
    for arguments in (
        ("upload", data),
        ("delete", "11111111-1111-4111-8111-111111111111", "--reason", "a test", "--yes"),
        ("subscription", "list"),
    ):
        outcome = dss(env, *arguments, "--replica", env["DSS_REPLICA"])

        assert (outcome.code, outcome.out) == (4, ""), arguments
        assert "token" in outcome.err
        assert len(outcome.err.splitlines()) == 1, outcome.err


class ShortLived(RefreshedToken):
    """Tokens that the DSS accepts for 2 s, though this machine takes them to be good for an hour."""

    def __init__(self, token_url: str) -> None:
        super().__init__("a test")
        self.issued: list[str] = []
        self._token_url = token_url

    def _issue(self, current: Issued | None) -> Issued:
        # The DSS forgives clocks that are 30 s behind. The first one is short.
        seconds = 3600 if self.issued else 2 - 30
        self.issued.append(
            fetch_local(self._token_url, email="ann@example.org", group="dss", seconds=seconds)
        )
        return Issued.now(self.issued[-1], 3600)


@pytest.fixture
def proxied(stack: dict[str, str]) -> Iterator[HttpProxy]:
    """A DSS whose answers a test may change."""
    with HttpProxy(stack["DSS_URL"]) as proxy:
        yield proxy


@on_both
def test_a_token_that_expires_during_an_upload_is_replaced(
    env: dict[str, str], data: Path, replica: str, proxied: HttpProxy, stage: str
) -> None:
    tokens = ShortLived(env["DSS_LOCAL_TOKEN_URL"])
    # The token has expired when the last request of the upload arrives.
    proxied.inflict(Fault(method="PUT", text="/bundles/", delay=3))
    client = Client(proxied.url, tokens, replica=replica)

    report = client.upload(data, staging=stage, state=data.parent / "state")

    assert (report.failed, report.put) == ([], 26)
    # On a slow machine it has expired before that.
    assert 401 in [one.status for one in proxied.exchanges]
    bundles = [one.status for one in proxied.exchanges if one.path.startswith("/v1/bundles/")]
    assert bundles[-1] == 201
    assert len(tokens.issued) >= 2


@on_both
def test_an_upload_whose_token_has_expired_is_finished_with_another(
    env: dict[str, str], data: Path, replica: str, proxied: HttpProxy, stage: str
) -> None:
    proxied.inflict(Fault(method="PUT", text="/bundles/", status=401))

    with pytest.raises(NotSignedIn):
        Client(proxied.url, env["DSS_TOKEN"], replica=replica).upload(
            data, staging=stage, state=data.parent / "state"
        )
    report = Client(proxied.url, env["DSS_TOKEN"], replica=replica).upload(
        data, staging=stage, state=data.parent / "state"
    )

    assert (report.failed, report.put, report.files) == ([], 0, 26)


@on_both
def test_an_upload_goes_on_when_the_api_has_restarted(
    env: dict[str, str], data: Path, replica: str, own_api: ApiProcess, stage: str
) -> None:
    lines: list[str] = []
    with HttpProxy(own_api.url) as proxy, ThreadPoolExecutor(1) as thread:
        client = Client(proxy.url, env["DSS_TOKEN"], replica=replica, notify=lines.append)
        running = thread.submit(
            client.upload,
            data,
            staging=stage,
            state=data.parent / "state",
            jobs=1,
        )
        wait_until(lambda: any(one.method == "PUT" and one.status == 201 for one in proxy.exchanges), "a PUT")
        own_api.kill()
        wait_until(lambda: lines, "a retry")
        own_api.start()
        report = running.result(SLOWNESS * 60)

    assert (report.failed, report.put) == ([], 26)
    assert "retrying in" in lines[0]
    assert len(Client(env["DSS_URL"], replica=replica).bundle(report.uuid)["files"]) == 26


def test_a_download_goes_on_when_the_api_has_restarted(
    env: dict[str, str], data: Path, replica: str, own_api: ApiProcess, tmp_path: Path
) -> None:
    uuid = uploaded(env, data)
    lines: list[str] = []
    own_api.kill()
    with ThreadPoolExecutor(1) as thread:
        client = Client(own_api.url, replica=replica, notify=lines.append)
        running = thread.submit(client.download, uuid, to=tmp_path / "out")
        wait_until(lambda: lines, "a retry")
        own_api.start()
        report = running.result(SLOWNESS * 60)

    assert report.failed == []
    assert tree(tmp_path / "out") == tree(data)


def test_a_download_that_cannot_write_is_finished_by_the_next_run(
    env: dict[str, str], data: Path, replica: str, tmp_path: Path
) -> None:
    uuid, target = uploaded(env, data), tmp_path / "out"
    command = ("download", uuid, "--replica", replica, "--to", target)

    full = limited(env, 200 * KIB, *command)

    assert full.returncode == 1
    assert full.stderr.count("File too large") == 6, full.stderr
    assert "Traceback" not in full.stderr
    assert {path.name for path in target.glob("small *")} == {path.name for path in data.glob("small *")}
    again = dss(env, *command)
    assert (again.code, tree(target)) == (0, tree(data)), again.err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_nothing_more_is_tried_on_a_full_disk(number: int) -> None:
    clock, report, tried = StoppableClock(), Report(files=10), []

    def write(name: str) -> None:
        tried.append(name)
        if name == "2":
            raise OSError(number, os.strerror(number))

    Attempts(report, clock, jobs=1).each(list("0123456789"), write, name=str)

    assert tried == ["0", "1", "2"]
    assert [one.name for one in report.failed] == list("23456789")
    assert all(f"not tried after: {os.strerror(number)}" in one.why for one in report.failed[1:])


@on_both
def test_a_full_disk_under_the_state_of_an_upload_ends_it(
    env: dict[str, str], data: Path, replica: str, tmp_path: Path
) -> None:
    arguments = ("upload", data, "--replica", replica, "--state", tmp_path / "state")

    full = limited(env, KIB, *arguments)

    assert (full.returncode, full.stdout) == (1, "")
    [line] = [line for line in full.stderr.splitlines() if line.startswith("dss:")]
    # A line of which a part still fits is one without space; the next one is too large.
    [why] = re.findall(rf"{re.escape(str(tmp_path / 'state'))}: cannot record what is done: ([^;]+);", line)
    assert why in ("File too large", "No space left on device")
    assert "Traceback" not in full.stderr
    again = dss(env, *arguments, "--json")
    assert (again.code, again.json["files"]) == (0, 26), again.err


def test_standard_output_that_is_full_is_an_error(env: dict[str, str], data: Path, replica: str) -> None:
    uuid = uploaded(env, data)
    rows = Client(env["DSS_URL"], replica=replica).bundle(uuid)["files"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*DSS, "get", "file", rows[-1]["uuid"], "--replica", replica],
            env=environment(env),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=SLOWNESS * 60,
            check=False,
        )

    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_target_that_cannot_be_written_is_named(
    env: dict[str, str], data: Path, replica: str, tmp_path: Path
) -> None:
    uuid = uploaded(env, data)
    (tmp_path / "file").write_text("here first")

    # Nobody may make a directory in /proc, not even root.
    for target in (tmp_path / "file" / "below", Path("/proc/dss-test")):
        outcome = dss(env, "download", uuid, "--replica", replica, "--to", target)

        assert (outcome.code, outcome.out) == (1, ""), target
        assert str(target) in outcome.err
        assert "Traceback" not in outcome.err
    # The command line names something that is no directory.
    assert dss(env, "download", uuid, "--replica", replica, "--to", tmp_path / "file").code == 2
    assert (tmp_path / "file").read_text() == "here first"


def at_once(*runs: Any) -> list[Outcome]:
    """Run commands at the same time."""
    start = threading.Barrier(len(runs))

    def run(command: Any) -> Outcome:
        start.wait(60)
        return command()

    with ThreadPoolExecutor(len(runs)) as threads:
        return list(threads.map(run, runs))


def check_exclusive(outcomes: list[Outcome]) -> None:
    """Check that one run did the work, and that the others did nothing wrong."""
    assert 0 in [outcome.code for outcome in outcomes]
    for outcome in outcomes:
        assert outcome.code == 0 or (outcome.code == 1 and "another process is busy" in outcome.err), (
            outcome.err
        )


def test_two_uploads_of_one_directory_make_one_bundle(env: dict[str, str], data: Path, replica: str) -> None:
    def run() -> Outcome:
        return dss(env, "upload", data, "--replica", replica, "--json")

    outcomes = at_once(run, run)

    check_exclusive(outcomes)
    again = run()
    assert (again.code, again.json["already_there"], again.json["put"]) == (0, True, 0)
    assert {one.json["uuid"] for one in [*outcomes, again] if one.code == 0} == {again.json["uuid"]}


def test_two_downloads_to_one_directory_leave_the_right_files(
    env: dict[str, str], data: Path, tmp_path: Path
) -> None:
    uuid = uploaded(env, data)

    outcomes = at_once(*[lambda: download(env, uuid, tmp_path / "out")] * 2)

    check_exclusive(outcomes)
    assert tree(tmp_path / "out") == tree(data)
