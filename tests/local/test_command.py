"""`dss local`, as a person starts and ends it."""

import re
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest

PROMISED = {
    *("DSS_URL", "DSS_TOKEN", "DSS_TOKEN2", "DSS_TOKEN_OTHER_GROUP", "DSS_ADMIN_TOKEN"),
    *("GOOGLE_CLOUD_PROJECT", "STORAGE_EMULATOR_HOST", "FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"),
    *("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"),
    *("DSS_GS_BUCKET", "DSS_GS_CHECKOUT_BUCKET", "DSS_GS_STAGING_BUCKET"),
    *("DSS_S3_BUCKET", "DSS_S3_CHECKOUT_BUCKET", "DSS_S3_STAGING_BUCKET"),
}
STANDIN = ("--port", "0", "--app", "standin:app")


def sourced(env_file: Path) -> dict[str, str]:
    """Return what sh has in its environment after sourcing the file."""
    command = ["sh", "-c", '. "$0"; env -0', str(env_file)]
    output = subprocess.run(command, env={}, capture_output=True, text=True, check=True).stdout
    return dict(line.split("=", 1) for line in output.split("\0") if line)


def test_it_prints_when_it_is_ready_and_sh_can_source_the_env_file(dss_local):
    command = dss_local("--port", "0")
    url = command.wait_until_ready()
    assert command.output == f"DSS is ready at {url}\n"
    env = sourced(command.env_file)
    assert set(env) >= PROMISED
    assert env["DSS_URL"] == url
    assert env["STORAGE_EMULATOR_HOST"].startswith("http://127.0.0.1:")
    assert command.env_file.stat().st_mode & 0o077 == 0
    assert all(line.startswith("export ") for line in command.env_file.read_text().splitlines())
    with urllib.request.urlopen(f"{url}/internal/health", timeout=60) as answer:
        assert answer.status == 200
    command.send(signal.SIGTERM)
    command.assert_all_gone()
    assert command.process.returncode == 0


def test_nothing_of_the_whole_system_is_left_when_it_is_killed(dss_local):
    command = dss_local(*STANDIN, "--latency", "1")
    command.wait_until_ready()
    assert "latency ready after" in command.errors
    command.send(signal.SIGKILL)
    command.assert_all_gone()


def test_nothing_is_left_after_ctrl_c(small_local):
    command = small_local(*STANDIN)
    command.wait_until_ready()
    command.send(signal.SIGINT)
    command.assert_all_gone()
    assert command.process.returncode == 0
    assert "stopping" in command.errors


@pytest.mark.parametrize(
    ("ready", "number"),
    [(0, signal.SIGTERM), (1, signal.SIGKILL), (2, signal.SIGINT)],
)
def test_nothing_is_left_when_it_ends_while_it_starts(small_local, ready, number):
    # However late the signal comes on a busy machine, it still starts.
    command = small_local("--port", "0", "--app", "standin:unhealthy")
    # With none ready: the moment at which the first child is there.
    command.wait_for(
        lambda: command.components_ready() >= ready and any(command.temporary.iterdir()), "it starts"
    )
    command.send(number)
    command.assert_all_gone()
    assert command.process.returncode in (128 + number, -number)
    assert not command.env_file.exists()


def test_a_component_that_dies_is_named_and_ends_it(small_local):
    command = small_local(*STANDIN)
    command.wait_until_ready()
    command.send(0)
    victim = command.child("token issuer")
    subprocess.run(["kill", "-KILL", str(victim)], check=True)
    command.assert_all_gone()
    assert command.process.returncode == 1
    assert "token issuer ended unexpectedly (signal 9)" in command.errors
    assert "the end of its log:" in command.errors


def test_a_component_that_cannot_start_is_named_with_its_log(small_local):
    command = small_local("--port", "0", "--app", "no_such_module:app")
    command.assert_all_gone()
    assert command.process.returncode == 1
    assert "api ended unexpectedly" in command.errors
    assert "No module named 'no_such_module'" in command.errors


def test_missing_java_is_named_with_the_command_that_installs_it(small_local, tmp_path):
    command = small_local(*STANDIN, PATH=str(tmp_path), JAVA_HOME="")
    command.assert_all_gone()
    assert command.process.returncode == 1
    assert "java: apt-get install openjdk-17-jre-headless" in command.errors


def test_a_port_in_use_is_named_and_an_existing_env_file_stays(small_local, tmp_path):
    (tmp_path / "env").write_text("export DSS_URL=other\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = small_local(
            "--port", str(port), "--app", "standin:app", "--env-file", str(tmp_path / "env")
        )
        command.assert_all_gone()
    assert (tmp_path / "env").exists()
    assert command.process.returncode == 1
    assert f"Port {port} is in use" in command.errors


def test_a_data_directory_is_kept_and_reused_but_never_one_with_other_data(small_local, open_path):
    (open_path / "mine").mkdir()
    (open_path / "mine" / "thesis.txt").write_text("all of it")
    command = small_local(*STANDIN, "--data", str(open_path / "mine"))
    command.assert_all_gone()
    assert "neither empty nor a data directory" in command.errors

    data = open_path / "data"
    first = small_local(*STANDIN, "--data", str(data))
    first.wait_for(lambda: (data / "logs" / "firestore.log").exists(), "it starts")
    second = small_local(*STANDIN, "--data", str(data))
    second.assert_all_gone()
    assert "in use by another" in second.errors
    first.send(signal.SIGTERM)
    first.assert_all_gone()
    assert (data / "logs" / "firestore.log").exists()


def test_a_component_that_takes_longer_than_the_patience_is_named(small_local):
    # On a busy machine it may be another one than the API.
    command = small_local("--port", "0", "--app", "standin:unhealthy", "--patience", "3")
    command.assert_all_gone()
    assert command.process.returncode == 1
    assert re.search(
        r"was not ready within 3 s \(see --patience\)|could not be set up: .*timed out", command.errors
    )


def test_a_gcs_server_that_is_named_but_not_there_is_an_error_that_says_so(small_local):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        command = small_local(*STANDIN, STORAGE_EMULATOR_HOST=address)
        command.process.wait(60)
    command.assert_all_gone()
    assert command.process.returncode == 1
    assert "STORAGE_EMULATOR_HOST" in command.errors
    assert address in command.errors
