"""Settings come from arguments, the environment and profiles, in this order."""

import re
import stat
from dataclasses import fields
from pathlib import Path

import pytest

import dss
from dss.errors import InvalidInput
from dss.profiles import Settings, add_profile, base_of, config_file, load_settings, profile_names
from local.source_tree import ROOT

PROFILES = """
default_profile = "prod"

[profiles.prod]
url = "https://prod.example.org"
replica = "aws"
gs_staging_bucket = "prod-gs"
s3_staging_bucket = "prod-s3"
claims = {group = "dss"}

[profiles.test]
url = "https://test.example.org/v1"
"""


def write(text: str | bytes) -> Path:
    path = config_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_an_argument_counts_before_a_variable_and_that_before_the_profile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(PROFILES)
    assert load_settings().replica == "aws"
    assert load_settings().origins["replica"] == "profile prod"

    monkeypatch.setenv("DSS_REPLICA", "gcp")
    assert load_settings().replica == "gcp"
    assert load_settings().origins["replica"] == "DSS_REPLICA"

    assert load_settings(replica="other").replica == "other"
    assert load_settings(replica="other").origins["replica"] == "an argument"


def test_without_anything_there_is_the_default() -> None:
    assert load_settings() == Settings()
    assert load_settings().replica == "gcp"


def test_the_profile_is_the_one_that_is_asked_for_or_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    write(PROFILES)
    assert load_settings().url == "https://prod.example.org"
    assert load_settings(profile="test").url == "https://test.example.org/v1"

    monkeypatch.setenv("DSS_PROFILE", "test")
    assert load_settings().profile == "test"
    assert load_settings(profile="prod").profile == "prod"


def test_a_profile_called_default_needs_no_other_line() -> None:
    write('[profiles.default]\nurl = "https://d.example.org"\n')

    assert load_settings().url == "https://d.example.org"


@pytest.mark.parametrize("by", ["argument", "variable"])
def test_a_default_profile_says_nothing_about_another_dss(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its audience and its key are for its own."""
    write(PROFILES)
    other = "https://other.example.org"
    if by == "variable":
        monkeypatch.setenv("DSS_URL", other)

    found = load_settings(url=other if by == "argument" else None)

    assert (found.url, found.profile, found.claims, found.replica) == (other, None, {}, "gcp")
    assert load_settings(url="https://PROD.example.org/v1/").claims == {"group": "dss"}


def test_the_staging_bucket_is_that_of_the_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    write(PROFILES)
    assert load_settings().staging_bucket == "prod-s3"
    monkeypatch.setenv("DSS_GS_STAGING_BUCKET", "mine")
    assert load_settings(replica="gcp").staging_bucket == "mine"
    assert load_settings(replica="other").staging_bucket is None


def test_a_client_without_arguments_takes_them_from_environment_and_profile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(PROFILES)
    monkeypatch.setenv("DSS_TOKEN", "a.token")

    client = dss.Client()

    assert (client.url, client.replica, client.token) == ("https://prod.example.org/v1", "aws", "a.token")
    assert dss.Client(profile="test", token="").token is None
    assert dss.Client("https://x.example.org", "other").token == "other"


def test_without_a_dss_a_client_says_how_to_name_one() -> None:
    with pytest.raises(InvalidInput, match="give --url, set DSS_URL, or choose a profile"):
        dss.Client()


def test_an_unknown_profile_is_named_with_the_nearest() -> None:
    write(PROFILES)
    with pytest.raises(InvalidInput, match=r"no profile 'prd' in .*config.toml; did you mean 'prod'\?"):
        load_settings(profile="prd")
    with pytest.raises(InvalidInput, match="it has: prod, test"):
        load_settings(profile="zzz")
    config_file().unlink()
    with pytest.raises(InvalidInput, match=r"it has no profiles: `dss login"):
        load_settings(profile="prod")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[profiles.x", "not valid TOML: Expected ']'"),
        (b"\xff", "not valid TOML"),
        ("[[profiles]]\n", "must be tables"),
        ("profiles = 3\n", "must be tables"),
        ("default_profile = 3\n", "default_profile must be text"),
        ("[profile.x]\n", "unknown: profile; it may have"),
        ("[profiles]\nx = 3\n", "profile x must be a table"),
        ('[profiles.x]\nurll = "u"\n', "'urll', which is unknown; did you mean url"),
        ("[profiles.x]\ntoken = 'secret'\n", "'token', which is unknown"),
        ("[profiles.x]\nurl = 3\n", "url must be text"),
        ("[profiles.x]\nclaims = 'x'\n[profiles.y]\nclaims = {a = 1}\n", "claims must be text in a table"),
        ("[profiles.default]\ntoken_type = 'jwt'\n", "neither id_token nor access_token"),
        ("x" * 1_000_001, "more than 1000000 bytes"),
    ],
)
def test_a_file_that_is_not_usable_is_named_with_the_reason(text: str | bytes, why: str) -> None:
    path = write(text)

    with pytest.raises(InvalidInput, match=why) as failure:
        load_settings()

    assert str(path) in str(failure.value) or "token_type" in why or "id_token" in why


def test_a_file_that_cannot_be_read_is_named() -> None:
    config_file().mkdir(parents=True)

    with pytest.raises(InvalidInput, match=r"config.toml: Is a directory"):
        load_settings()


def test_a_profile_that_is_added_can_be_read_and_changes_no_other() -> None:
    add_profile("first", "https://one.example.org")
    add_profile('odd "name" ü', "https://two.example.org")

    assert profile_names() == ["first", 'odd "name" ü']
    assert load_settings(profile='odd "name" ü').url == "https://two.example.org"
    assert load_settings(profile="first").url == "https://one.example.org"
    assert stat.S_IMODE(config_file().parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "url", ["https://DSS.example.org", "HTTPS://dss.example.org/", "https://dss.example.org/v1/"]
)
def test_a_dss_has_one_name(url: str) -> None:
    assert base_of(url) == "https://dss.example.org"


def test_the_readme_lists_every_setting() -> None:
    text = (ROOT / "client" / "README.md").read_text()
    listed = dict(re.findall(r"^\| (?:`(\w+)`)? ?\| (?:`(DSS_\w+)`)? ?\| .*\|$", text, re.MULTILINE))

    expected = {
        (row.name if row.metadata["in_profile"] else ""): row.metadata["variable"]
        for row in fields(Settings)
        if row.metadata
    }
    assert {**expected, "claims": ""}.items() <= listed.items()
