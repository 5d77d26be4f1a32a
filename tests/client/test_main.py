"""The command as a process: exit codes, one JSON object on stdout, Ctrl-C."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local.source_tree import ROOT
from tests.support.command_line import dss, environment, start
from tests.support.fake_dss import BUNDLE, FakeDss, Fault
from tests.support.waiting import deadline_after

MIB = 1024 * 1024


@pytest.fixture
def env(fake: FakeDss) -> dict[str, str]:
    return {"DSS_URL": fake.url, "DSS_TOKEN": "a.token"}


def test_a_failed_file_is_listed_and_the_exit_code_is_1(
    env: dict[str, str], fake: FakeDss, tmp_path: Path
) -> None:
    fake.names = {"good": b"content", "rotten": b"x"}
    fake.fault("GET", "/blob/1", Fault(rot=True))

    outcome = dss(env, "download", BUNDLE, "--to", tmp_path / "out", "--json")

    assert outcome.code == 1
    assert outcome.json["uuid"] == BUNDLE
    assert [failure["name"] for failure in outcome.json["failed"]] == ["rotten"]
    assert "rotten: sha256" in outcome.err


@pytest.mark.parametrize("where", ["before", "after"])
def test_options_may_stand_before_or_after_the_command(
    env: dict[str, str], fake: FakeDss, where: str
) -> None:
    options, command = ["--json", "--replica", "aws"], ["get", "bundle", BUNDLE]

    outcome = dss(env, *([*options, *command] if where == "before" else [*command, *options]))

    assert outcome.json["uuid"] == BUNDLE
    assert fake.seen[0].query["replica"] == "aws"


def test_an_error_of_the_dss_is_shown_with_status_code_and_title(env: dict[str, str]) -> None:
    outcome = dss(env, "get", "bundle", "33333333-3333-4333-8333-333333333333", "--json")

    assert outcome.code == 3
    assert outcome.json == {"error": {"status": 404, "code": "not_found", "title": "no such bundle"}}
    assert "404 not_found: no such bundle" in outcome.err


@pytest.mark.parametrize(
    "arguments", [["frobnicate"], ["upload"], ["list", "--limit", "0"], ["--replica", "x"]]
)
def test_a_wrong_command_line_is_exit_code_2(env: dict[str, str], arguments: list[str]) -> None:
    assert dss(env, *arguments).code == 2


def test_without_a_url_or_a_token_it_says_what_to_give() -> None:
    assert "DSS_URL" in dss({}, "list").err
    assert "DSS_TOKEN" in dss({"DSS_URL": "http://127.0.0.1:1"}, "delete", BUNDLE, "--reason", "x").err


def test_the_command_line_imports_only_what_it_uses() -> None:
    """A download on a laptop must not import what only `dss local` or an upload needs."""
    code = (
        "import sys; import dss.commands.main; "
        "print([name for name in ('local', 'run.api', 'flask', 'moto', 'google.cloud.storage', 'boto3',"
        " 'rich', 'jwt', 'requests') if name in sys.modules])"
    )

    out = subprocess.check_output([sys.executable, "-c", code], env=environment({}), text=True, cwd=ROOT)

    assert out.strip() == "[]"


def test_ctrl_c_ends_soon_and_the_next_run_does_the_rest(
    env: dict[str, str], fake: FakeDss, tmp_path: Path
) -> None:
    fake.names = {"big": bytes(range(256)) * 4096 * 8, "small": b"content"}
    interrupted = threading.Event()
    fake.read_delay = lambda: _wait_after(3, fake, interrupted)
    target = tmp_path / "out"
    arguments = ("download", BUNDLE, "--to", target, "--range-mib", 1, "--jobs", 2, "--json")
    process = start(env, *arguments)
    _until(lambda: len(fake.requests("GET", "/blob")) > 4)
    process.send_signal(signal.SIGINT)

    _, err = process.communicate(timeout=120)

    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert not (target / "big").exists()
    interrupted.set()

    outcome = dss(env, *arguments)

    assert outcome.code == 0
    assert outcome.json["received"] < len(fake.names["big"]) - MIB
    assert (target / "big").read_bytes() == fake.names["big"]


def _wait_after(count: int, fake: FakeDss, event: threading.Event) -> None:
    if len(fake.requests("GET", "/blob")) > count:
        event.wait(20)


def _until(true: Callable[[], bool]) -> None:
    deadline = deadline_after(30)
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
