"""Command lines find out how to sign in, by what the deployment accepts."""

import json
from typing import Any

import pytest

from run.api.command_line_sign_in import application_secrets
from shared.config import Settings
from tests.support.required_settings import REQUIRED

GOOGLE = "https://accounts.google.com"
CLIENT = {"client_id": "c.example.org", "client_secret": "s", "auth_uri": f"{GOOGLE}/o/oauth2/auth"}
FIRST = {"OIDC_ISSUER": "https://first.example.org/", "OIDC_AUDIENCE": "https://dss.example.org,other"}
API_TOKEN = {
    "issuer": "https://first.example.org/",
    "token_type": "access_token",
    "audience": "https://dss.example.org",
}


def secrets_of(**variables: str) -> dict[str, Any]:
    secrets = {"DSS_APPLICATION_SECRETS": json.dumps(CLIENT)}
    return application_secrets(Settings.from_environment({**REQUIRED, **FIRST, **secrets, **variables}))


def test_the_oauth_client_is_where_old_clients_look_for_it() -> None:
    assert secrets_of()["installed"] == CLIENT


@pytest.mark.parametrize(
    ("variables", "sign_in"),
    [
        # As at Auth0: the API has a name of its own.
        ({}, API_TOKEN),
        ({"DSS_APPLICATION_SECRETS": "{}"}, API_TOKEN),
        # As at Google: ID tokens are for the client.
        (
            {"OIDC_ISSUER": GOOGLE, "OIDC_AUDIENCE": "other,c.example.org"},
            {"issuer": GOOGLE, "token_type": "id_token"},
        ),
        (
            {"OIDC_ISSUERS": json.dumps([{"issuer": GOOGLE, "audiences": ["c.example.org"]}])},
            {"issuer": GOOGLE, "token_type": "id_token"},
        ),
        # As at Terra: access tokens are looked up.
        (
            {"DSS_TOKEN_INFO_URL": f"{GOOGLE}/tokeninfo", "DSS_TOKEN_INFO_CLIENTS": "terra,c.example.org"},
            {"issuer": GOOGLE, "token_type": "access_token"},
        ),
    ],
)
def test_the_token_to_send_is_one_that_is_accepted_here(
    variables: dict[str, str], sign_in: dict[str, str]
) -> None:
    assert secrets_of(**variables)["sign_in"] == sign_in
