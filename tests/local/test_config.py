"""What reaches the components from the caller's environment, and how the environment file is written."""

import os
import subprocess

import pytest

from local import envfile
from local.components import build
from local.config import base_environment, configured, foreign_gcs


def test_nothing_reaches_a_child_that_could_lead_it_to_a_real_cloud():
    caller = {
        "AWS_PROFILE": "production",
        "AWS_SESSION_TOKEN": "x",
        "GOOGLE_APPLICATION_CREDENTIALS": "key.json",
        "FIRESTORE_EMULATOR_HOST": "elsewhere:1",
        "DSS_GS_BUCKET": "production",
        "OIDC_ISSUER": "https://issuer.example.org",
        "GUNICORN_CMD_ARGS": "--workers=99",
        "HTTP_PROXY": "http://proxy.example.org",
        "PATH": "/bin",
    }
    child = base_environment(caller)
    assert not set(child) & (set(caller) - {"PATH", "HTTP_PROXY"})
    assert child["PATH"] == "/bin"
    assert "127.0.0.1" in child["NO_PROXY"]


@pytest.mark.parametrize(
    ("caller", "url"),
    [
        ({}, ""),
        ({"STORAGE_EMULATOR_HOST": "http://h:1/"}, "http://h:1"),
        ({"STORAGE_EMULATOR_HOST": "h:1"}, "http://h:1"),
        ({"STORAGE_EMULATOR_HOST": "http://h:1", "DSS_LOCAL_GCS_URL": "http://h:2"}, "http://h:1"),
        ({"STORAGE_EMULATOR_HOST": "http://h:1", "DSS_LOCAL_GCS_URL": "http://h:1"}, ""),
    ],
)
def test_a_gcs_server_is_foreign_unless_an_earlier_run_of_ours_named_it(caller, url):
    assert foreign_gcs(caller) == url


def test_an_environment_file_gives_back_what_was_written_to_it_and_to_sh(tmp_path):
    environment = {"A": "plain", "B": '{"json": "it\'s $HOME `x`"}', "C": "", "D": "a=b c"}
    file = tmp_path / "new" / "env"
    envfile.write(file, environment)
    assert envfile.read(file) == environment
    shell = subprocess.run(
        ["sh", "-c", '. "$0"; printf %s "$B"', file], capture_output=True, text=True, check=True
    )
    assert shell.stdout == environment["B"]
    assert [entry.name for entry in file.parent.iterdir()] == ["env"]


def test_another_file_is_not_taken_for_an_environment_file(tmp_path):
    (tmp_path / "env").write_text("rm -rf /\n")
    with pytest.raises(ValueError, match="not a line"):
        envfile.read(tmp_path / "env")


def test_the_callers_settings_reach_what_is_ours_unless_they_are_not_the_callers_to_say(open_path):
    caller = {
        "PATH": os.environ["PATH"],
        "DSS_READ_ONLY_MODE": "1",
        "DSS_GS_BUCKET": "production",
        "OIDC_ISSUER": "https://issuer.example.org",
    }
    with configured(
        data=None, scratch=open_path, caller=caller, api_app="app:app", api_port=0, api_workers=1
    ) as config:
        components, env = build(config)
    api = next(component for component in components if component.name == "api")
    reached = {part.name for part in components if part.environment.get("DSS_READ_ONLY_MODE") == "1"}
    assert reached == {"api", "functions"}
    assert api.environment["DSS_GS_BUCKET"] == env["DSS_GS_BUCKET"] != "production"
    assert api.environment["OIDC_ISSUER"] == env["OIDC_ISSUER"] != caller["OIDC_ISSUER"]
    assert "DSS_READ_ONLY_MODE" not in env
