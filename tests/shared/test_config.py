"""Settings are read from the environment once, and are documented."""

from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from shared.config import Settings
from tests.support import settings_page

ROOT = Path(__file__).parents[2]
REQUIRED = {
    row.metadata["name"]: "x"
    for row in fields(Settings)
    if row.default is MISSING and row.default_factory is MISSING
}


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
        ("DSS_SIGNED_URL_SECONDS", "0"),
        ("DSS_APPLICATION_SECRETS", "{"),
        ("DSS_APPLICATION_SECRETS", "[]"),
        ("DSS_FAULT_POINT", "file: head created"),
        ("DSS_CALLBACK_NETWORKS", "10.0.0.0/8,localhost"),
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
