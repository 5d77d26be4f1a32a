"""Settings are read from the environment once, and are documented."""

import json
from pathlib import Path

import pytest

from shared.config import Settings
from shared.issuer_settings import IssuerSetting
from tests.support import settings_page
from tests.support.required_settings import REQUIRED

ROOT = Path(__file__).parents[2]


def test_a_missing_setting_is_named_with_its_help():
    for name in REQUIRED:
        environment = {other: "x" for other in REQUIRED if other != name}
        with pytest.raises(ValueError, match=f"{name} is not set: .+"):
            Settings.from_environment(environment)


def test_values_have_their_types():
    settings = Settings.from_environment(
        {
            **REQUIRED,
            "DSS_READ_ONLY_MODE": "True",
            "DSS_SIGNED_URL_SECONDS": "60",
            "ADMIN_USER_EMAILS": "a@b.c, d@e.f,",
            "DSS_APPLICATION_SECRETS": '{"client_id": "x"}',
        }
    )
    assert settings.read_only_mode is True
    assert settings.signed_url_seconds == 60
    assert settings.admin_user_emails == ("a@b.c", "d@e.f")
    assert settings.application_secrets == {"client_id": "x"}


def test_an_empty_variable_counts_as_not_set():
    assert Settings.from_environment({**REQUIRED, "DSS_SIGNED_URL_SECONDS": ""}).signed_url_seconds == 3600


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DSS_READ_ONLY_MODE", "perhaps"),
        ("DSS_SIGNED_URL_SECONDS", "1h"),
        ("DSS_SIGNED_URL_SECONDS", "604801"),
        # No key signs.
        ("DSS_SIGNED_URL_SECONDS", "39601"),
        ("DSS_SIGNED_URL_SECONDS", "0"),
        ("DSS_APPLICATION_SECRETS", "{"),
        ("DSS_APPLICATION_SECRETS", "[]"),
        ("DSS_FAULT_POINT", "file: head created"),
        ("DSS_CALLBACK_NETWORKS", "10.0.0.0/8,localhost"),
        ("DSS_CORS_ORIGINS", "https://notebooks.example.org/"),
        ("DSS_CORS_ORIGINS", "https://notebooks.example.org,*"),
        ("DSS_CORS_ORIGINS", "notebooks.example.org"),
        ("DSS_TOKEN_INFO_URL", "http://oauth2.googleapis.com/tokeninfo"),
    ],
)
def test_a_malformed_value_is_refused_with_its_name(name, value):
    with pytest.raises(ValueError, match=name):
        Settings.from_environment({**REQUIRED, name: value})


def test_the_page_of_settings_is_the_table_of_the_code():
    assert settings_page.PAGE.read_text() == settings_page.page(), "run: make settings"


def test_the_environment_is_read_in_one_place():
    offenders = [
        path.relative_to(ROOT)
        for folder in ("shared", "run/api", "functions")
        for path in (ROOT / folder).rglob("*.py")
        if "os.environ" in path.read_text() and path.name != "config.py"
    ]
    assert offenders == []


ISSUER = {"issuer": "https://issuer.example/", "audiences": ["dss"]}


def settings_of(**variables: str) -> Settings:
    return Settings.from_environment({**REQUIRED, "OIDC_ISSUER": "https://first.example", **variables})


def test_issuers_come_after_the_first_with_defaults_for_what_they_lack():
    further = [
        {**ISSUER, "jwks_url": ""},
        {**ISSUER, "issuer": "https://b.example", "email_claims": ["mail"], "group_claims": ["g", "h"]},
        {
            **ISSUER,
            "issuer": "https://c.example",
            "email_domains": ["c.example"],
            "jwks_url": "https://c.example/k",
        },
    ]
    first, a, b, c = settings_of(OIDC_ISSUERS=json.dumps(further), OIDC_GROUP_CLAIM="x,y").issuers
    assert (first.name, first.group_claims) == ("https://first.example", ("x", "y"))
    assert a == IssuerSetting(issuer="https://issuer.example/", audiences=("dss",))
    assert (a.name, a.email_claims, a.group_claims) == ("https://issuer.example", ("email",), ())
    assert (b.email_claims, b.group_claims) == (("mail",), ("g", "h"))
    assert (c.email_domains, c.jwks_url) == (("c.example",), "https://c.example/k")


@pytest.mark.parametrize(
    ("issuers", "named"),
    [
        ("{}", "OIDC_ISSUERS: must be a JSON list"),
        ("[1]", "OIDC_ISSUERS[0]: must be a JSON object with issuer, audiences"),
        ([{**ISSUER, "audience": "dss"}], "OIDC_ISSUERS[0].audience: unknown"),
        ([{**ISSUER, "audiences": "dss"}], "OIDC_ISSUERS[0].audiences: must be a list"),
        ([{**ISSUER, "audiences": []}], "OIDC_ISSUERS[0].audiences: missing"),
        ([{**ISSUER, "email_claims": []}], "OIDC_ISSUERS[0].email_claims: empty"),
        ([{**ISSUER, "email_domains": [""]}], "OIDC_ISSUERS[0].email_domains: must be a list"),
        ([{"audiences": ["dss"]}], "OIDC_ISSUERS[0].issuer: missing"),
        ([{**ISSUER, "issuer": ""}], "OIDC_ISSUERS[0].issuer: missing"),
        ([{**ISSUER, "issuer": "http://issuer.example"}], "OIDC_ISSUERS[0].issuer: must be a URL"),
        ([{**ISSUER, "issuer": "issuer.example"}], "OIDC_ISSUERS[0].issuer: must be a URL"),
        ([{**ISSUER, "jwks_url": "http://issuer.example/k"}], "OIDC_ISSUERS[0].jwks_url: must be a URL"),
        ([ISSUER, {**ISSUER, "issuer": "https://issuer.example"}], "https://issuer.example is there twice"),
        ([{**ISSUER, "issuer": "https://first.example/"}], "https://first.example is there twice"),
    ],
)
def test_an_issuer_that_is_wrongly_described_is_refused_with_the_place(issuers, named):
    with pytest.raises(ValueError) as raised:
        settings_of(OIDC_ISSUERS=issuers if isinstance(issuers, str) else json.dumps(issuers))
    assert named in str(raised.value)


def test_access_tokens_are_accepted_of_named_clients_or_trusted_projects_only():
    url = "https://oauth2.googleapis.com/tokeninfo"
    with pytest.raises(ValueError, match="DSS_TOKEN_INFO_CLIENTS is not set"):
        settings_of(DSS_TOKEN_INFO_URL=url)
    for more in ({"DSS_TOKEN_INFO_CLIENTS": "app"}, {"DSS_TRUSTED_PROJECTS": "p"}):
        assert settings_of(DSS_TOKEN_INFO_URL=url, **more).token_info_url == url
