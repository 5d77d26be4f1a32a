"""`dss login`, `whoami`, `token` and `logout` as processes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dss import tokens
from dss.sign_in.store import LoginStore
from local.issuer.keys import Key, write_service_account
from tests.support.command_line import Outcome, dss_here, start
from tests.support.sign_in import RunningIssuer, address_in, running_issuer


@pytest.fixture(scope="module")
def running() -> Iterator[RunningIssuer]:
    with running_issuer() as running:
        yield running


@pytest.fixture
def issuer(running: RunningIssuer) -> RunningIssuer:
    running.forget()
    return running


# A browser that opens nothing: the test does.
ENV = {"BROWSER": "true"}


def login(issuer: RunningIssuer, *options: str, env: dict[str, str] = ENV, **form: str) -> Outcome:
    """Run `dss login`, and answer at the page whose address it prints."""
    process = start(env, "login", "--url", issuer.dss, "--json", *options)
    assert process.stderr
    said = ""
    for line in process.stderr:
        said += line
        if "http" in line and "?" in line:
            break
    code = {"user_code": said.strip().rpartition("user_code=")[2]} if "user_code" in said else {}
    issuer.decide(address_in(said), **code, **form)
    assert process.stdout
    # Both end with the process, which waits for nobody but the issuer now.
    said, out = said + process.stderr.read(), process.stdout.read()
    return Outcome(process.wait(240), out, said)


def test_who_has_logged_in_is_known_to_later_commands_until_logout(issuer: RunningIssuer) -> None:
    made = login(issuer)
    assert (made.code, made.json["who"], made.json["url"]) == (0, "ada@example.org", issuer.dss)
    assert made.json["stored_in"].endswith("dss/credentials.json")

    # No URL: the first login made a profile of it.
    known = dss_here({}, "whoami", "--json").json
    assert (known["who"], known["groups"], known["issuer"]) == ("ada@example.org", "dss", issuer.url)
    assert (known["profile"], known["url"]) == ("default", issuer.dss)
    assert known["source"] == f"login at {issuer.url}"
    assert "in 60 minutes" in known["expires"] or "in 59 minutes" in known["expires"]

    assert dss_here({}, "list").code == 0
    printed = dss_here({}, "token", "--json").json
    assert printed["token"] == issuer.tokens[-1]
    assert printed["claims"]["email"] == "ada@example.org"

    ended = dss_here({}, "logout", "--json")
    assert ended.json == {"logins": [{"url": issuer.dss, "outcome": "revoked and forgotten"}]}
    nobody = dss_here({}, "whoami")
    assert (nobody.code, "run `dss login`" in nobody.out) == (4, True)
    assert "there was no login" in dss_here({}, "logout").out


def test_logout_says_that_an_id_token_alone_is_not_revoked(issuer: RunningIssuer) -> None:
    login(issuer)
    path = LoginStore().path
    content = json.loads(path.read_text())
    content["logins"][issuer.dss]["refresh_token"] = None
    path.write_text(json.dumps(content))

    ended = dss_here({}, "logout", "--json").json["logins"]

    assert ended[0]["outcome"].startswith("forgotten; not revoked: its ID token can't be, and expires at 2")
    assert issuer.count("/revoke") == 0


def test_a_login_by_device_code(issuer: RunningIssuer) -> None:
    made = login(issuer, "--no-browser", email="b@example.org", group="")

    assert (made.code, made.json["who"]) == (0, "b@example.org")
    assert "enter the code" in made.err


def test_who_refuses_gets_exit_code_4_and_no_login(issuer: RunningIssuer) -> None:
    made = login(issuer, decision="deny")

    assert made.code == 4
    assert "access_denied" in made.json["error"]["title"]
    assert dss_here({}, "logout", "--all").out.strip() == "there are no logins"


def test_a_login_can_make_a_profile(issuer: RunningIssuer) -> None:
    assert login(issuer, "--profile", "mine").code == 0

    assert dss_here({}, "--profile", "mine", "whoami", "--json").json["who"] == "ada@example.org"
    unknown = dss_here({}, "--profile", "min", "whoami")
    assert (unknown.code, "did you mean 'mine'?" in unknown.err) == (1, True)


def test_a_variable_that_counts_more_than_a_login_is_named(issuer: RunningIssuer) -> None:
    made = login(issuer, env={**ENV, "DSS_TOKEN": "a.b.c"})

    assert "warning: DSS_TOKEN counts instead of this login" in made.err
    assert dss_here({"DSS_TOKEN": "opaque"}, "whoami", "--json").json["source"] == "DSS_TOKEN"
    assert (
        dss_here({"DSS_TOKEN": "opaque"}, "whoami", "--token", "x", "--json").json["source"] == "an argument"
    )


def test_without_a_browser_the_address_is_there_to_open(issuer: RunningIssuer) -> None:
    made = login(issuer, env={"BROWSER": "", "DISPLAY": "", "WAYLAND_DISPLAY": ""})

    assert made.code == 0
    assert "with --no-browser you can use another machine's" in made.err


def test_an_opaque_token_is_printed_and_not_explained() -> None:
    shown = dss_here({"DSS_TOKEN": "ya29.opaque"}, "token")
    assert (shown.code, shown.out) == (0, "ya29.opaque\n")
    assert "opaque" in shown.err

    assert dss_here({"DSS_TOKEN": "ya29.opaque"}, "token", "--json").json == {
        "token": "ya29.opaque",
        "claims": None,
    }
    known = dss_here({"DSS_TOKEN": "ya29.opaque"}, "whoami", "--json").json
    assert known["who"].startswith("unknown: the token is opaque")


def test_an_opaque_token_of_a_login_is_explained_by_what_came_with_it(issuer: RunningIssuer) -> None:
    login(issuer)
    path = LoginStore().path
    content = json.loads(path.read_text())
    content["logins"][issuer.dss]["token"] = "opaque"
    path.write_text(json.dumps(content))

    known = dss_here({}, "whoami", "--json").json

    assert (known["who"], known["issuer"]) == ("ada@example.org", issuer.url)


ROBOT = "robot@p.iam.gserviceaccount.com"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "robot.json"
    write_service_account(path, Key.new(), email=ROBOT, project="p", token_url="https://unused.example.org")
    return path


def whoami(env: dict[str, Any], *options: object) -> dict[str, Any]:
    found: dict[str, Any] = dss_here(env, "whoami", "--json", *options).json
    return found


def test_a_service_account_signs_where_its_key_is_named(key_file: Path) -> None:
    audience = {"DSS_AUDIENCE": "https://dss.example.org"}
    by_option = whoami({**audience, "DSS_TOKEN": "a.b.c"}, "--key-file", key_file)
    assert (by_option["who"], by_option["source"]) == (ROBOT, f"{key_file} (an argument)")
    assert whoami({**audience, "DSS_KEY_FILE": str(key_file)})["who"] == ROBOT
    google = {"GOOGLE_APPLICATION_CREDENTIALS": str(key_file)}
    assert whoami({**audience, **google})["source"] == f"{key_file} (GOOGLE_APPLICATION_CREDENTIALS)"

    assert whoami(google)["source"] is None
    missing = dss_here({}, "whoami", "--key-file", key_file)
    assert (missing.code, "set DSS_AUDIENCE" in missing.err) == (1, True)
    gone = dss_here({**audience, "GOOGLE_APPLICATION_CREDENTIALS": "/gone.json"}, "whoami")
    assert (gone.code, "/gone.json: No such file" in gone.err) == (1, True)


def test_a_profile_names_a_key_its_audience_and_its_claims(key_file: Path, tmp_path: Path) -> None:
    config = tmp_path / "config" / "dss" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(
        f'[profiles.robot]\nkey_file = "{key_file}"\naudience = "https://dss"\nclaims = {{group = "dss"}}\n'
    )

    printed = dss_here({"DSS_PROFILE": "robot"}, "token", "--json").json["token"]

    claims = tokens.claims_of(printed)
    assert (claims["email"], claims["group"], claims["aud"]) == (ROBOT, "dss", "https://dss")
