"""Clients for sign-in at the pages: what a deployment refuses to start with."""

import json
from typing import Any

import pytest

from shared.config import Settings
from tests.support.required_settings import REQUIRED

FIRST = {"OIDC_ISSUER": "https://a.example/", "OIDC_AUDIENCE": "app,api"}
KEYS = {"DSS_SECRETS_KEY_FILE": "/keys"}
CLIENT = {"issuer": "https://a.example", "client_id": "app"}


def settings_of(clients: Any, **more: str) -> Settings:
    listed = {"DSS_SIGN_IN_CLIENTS": json.dumps(clients)}
    return Settings.from_environment({**REQUIRED, **FIRST, **KEYS, **listed, **more})


def test_a_client_is_of_an_issuer_that_counts() -> None:
    [client] = settings_of([CLIENT]).sign_in_clients
    assert (client.name, client.counted) == ("https://a.example", "app")
    [client] = settings_of([{**CLIENT, "client_id": "web", "audience": "api"}]).sign_in_clients
    assert client.counted == "api"
    secret = settings_of([{**CLIENT, "client_secret": "very-secret"}])
    assert "very-secret" not in repr(secret.sign_in_clients)


@pytest.mark.parametrize(
    ("clients", "words"),
    [
        ({}, "a JSON list"),
        ([{}], r"\[0\].issuer: missing"),
        ([{"issuer": "https://a.example"}], r"\[0\].client_id: missing"),
        ([{**CLIENT, "issuer": "http://a.example"}], "https://"),
        ([{**CLIENT, "scopes": "x"}], "scopes: unknown"),
        ([{**CLIENT, "issuer": "https://b.example"}], "neither OIDC_ISSUER nor one of OIDC_ISSUERS"),
        ([{**CLIENT, "client_id": "web"}], "'web' are not accepted"),
        ([{**CLIENT, "audience": "x"}], "'x' are not accepted"),
        ([CLIENT, CLIENT], "there twice"),
    ],
)
def test_what_would_not_work_is_named(clients: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        settings_of(clients)


def test_sessions_need_a_key() -> None:
    with pytest.raises(ValueError, match="DSS_SECRETS_KEY_FILE"):
        settings_of([CLIENT], DSS_SECRETS_KEY_FILE="")
