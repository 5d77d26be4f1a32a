"""Google's application default credentials: of a machine in its cloud, and of people who use gcloud.

The local issuer acts as both.
"""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import google.oauth2.credentials
import pytest
import requests

from dss import tokens
from dss.errors import SignInFailed
from dss.profiles import load_settings
from dss.sign_in.credentials import token_source
from dss.sign_in.sources import FixedToken, TokenSource
from local.issuer.grants import Person, SignIn
from tests.support.command_line import start
from tests.support.sign_in import RunningIssuer, running_issuer

AUDIENCE = "https://dss.example.org"
MACHINE = "workflows@example.org"


@pytest.fixture(scope="module")
def issuer() -> Iterator[RunningIssuer]:
    with running_issuer() as running:
        yield running


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GCE_METADATA_HOST", "K_SERVICE", "CLOUD_RUN_JOB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))


@pytest.mark.parametrize("token_type", ["id_token", "access_token"])
def test_a_machine_in_google_cloud_has_a_token(issuer: RunningIssuer, token_type: str) -> None:
    # Google's library reads these when it is imported: hence a process.
    host = issuer.url.removeprefix("http://")
    env = {"GCE_METADATA_HOST": host, "GCE_METADATA_IP": host}
    process = start({**env, "DSS_AUDIENCE": AUDIENCE, "DSS_TOKEN_TYPE": token_type}, "token", "--json")

    out, err = process.communicate(timeout=240)

    assert process.returncode == 0, err
    printed = json.loads(out)
    if token_type == "id_token":
        assert (printed["claims"]["aud"], printed["claims"]["email"]) == (AUDIENCE, MACHINE)
    else:
        said = requests.get(f"{issuer.url}/tokeninfo", {"access_token": printed["token"]}, timeout=60)
        assert said.json()["email"] == MACHINE


@pytest.fixture
def gcloud(issuer: RunningIssuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that `gcloud auth application-default login` makes."""
    person = Person(email="ada@example.org", group=None, seconds=600)
    sign_in = SignIn(person=person, client_id="gcloud", nonce=None, rotates=False)
    document = {
        "type": "authorized_user",
        "client_id": "gcloud",
        "client_secret": "x",
        "refresh_token": issuer.grants.new_refresh_token(sign_in),
    }
    path = tmp_path / "application_default_credentials.json"
    path.write_text(json.dumps(document))
    # The address of Google is in its library, not in the file.
    monkeypatch.setattr(google.oauth2.credentials, "_GOOGLE_OAUTH2_TOKEN_ENDPOINT", f"{issuer.url}/token")
    return path


def source() -> TokenSource:
    return token_source(load_settings(url="https://dss.example.org"))


@pytest.mark.parametrize("wanted", [("DSS_AUDIENCE", AUDIENCE), ("DSS_TOKEN_TYPE", "access_token")])
@pytest.mark.usefixtures("gcloud")
def test_who_uses_gcloud_is_known_by_its_credentials(
    wanted: tuple[str, str], issuer: RunningIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*wanted)
    issuer.forget()
    found = source()

    assert tokens.claims_of(str(found.token()))["email"] == "ada@example.org"
    assert found.token() == found.token()
    assert issuer.count("/token") == 1
    assert found.origin == "Google's application default credentials"


def test_credentials_that_google_does_not_accept_are_an_error(
    gcloud: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gcloud.write_text(gcloud.read_text().replace('"refresh_token": "', '"refresh_token": "x'))
    monkeypatch.setenv("DSS_AUDIENCE", AUDIENCE)

    with pytest.raises(SignInFailed, match=r"Google does not issue a token: .*invalid_grant"):
        source().token()


@pytest.mark.usefixtures("gcloud")
def test_googles_credentials_are_not_used_unless_they_are_asked_for() -> None:
    assert source().token() is None


def test_without_any_credentials_nobody_waits_for_a_metadata_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setenv("DSS_AUDIENCE", AUDIENCE)

    assert isinstance(source(), FixedToken)
