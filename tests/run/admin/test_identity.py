"""Who an operator is: for the audit log, and for what is kept of a change."""

import getpass
from dataclasses import replace
from functools import cache

import google.auth
import pytest

from run.admin import identity
from shared.config import Settings

SETTINGS = Settings(
    project="p",
    gs_bucket="b",
    s3_bucket="b",
    gs_checkout_bucket="b",
    s3_checkout_bucket="b",
    oidc_issuer="http://127.0.0.1:9",
    oidc_audience=("a",),
)


class Account:
    """Google credentials of a service account."""

    service_account_email = "robot@project.iam.gserviceaccount.com"


def test_google_is_asked_once_who_the_operator_is_and_not_for_a_log_in_a_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def default(scopes: tuple[str, ...]) -> tuple[Account, str]:
        asked.append(scopes)
        return Account(), "p"

    monkeypatch.setattr(google.auth, "default", default)
    for cached in (identity.google_session, identity._google_credentials, identity._google_email):
        monkeypatch.setattr(identity, cached.__name__, cache(cached.__wrapped__))

    local = identity.operator_of(replace(SETTINGS, audit_log="/var/log/dss"))
    assert (local.name, local.issuer, asked) == (getpass.getuser(), "os", [])
    of_google = [identity.operator_of(replace(SETTINGS, audit_log="")) for _ in range(2)]

    assert [(one.name, one.issuer) for one in of_google] == [
        (Account.service_account_email, identity.GOOGLE)
    ] * 2
    assert len(asked) == 1
