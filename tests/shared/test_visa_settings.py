"""The settings of passports and visas say what they mean, or what is wrong with them."""

import json
import re
from typing import Any

import pytest

from local.source_tree import ROOT
from shared.config import Settings
from shared.visa_settings import PassportIssuer, VisaGrant
from tests.shared.test_config import REQUIRED

ISSUER = {"issuer": "https://broker.example.org"}
GRANT = {"issuer": "https://visas.example.org", "value": "v", "groups": ["g"]}


def settings_of(issuers: Any, grants: Any) -> Settings:
    values = {"DSS_PASSPORT_ISSUERS": issuers, "DSS_VISA_GRANTS": grants}
    texts = {name: text if isinstance(text, str) else json.dumps(text) for name, text in values.items()}
    return Settings.from_environment({**REQUIRED, **texts})


def test_the_example_of_the_page_is_understood() -> None:
    page = (ROOT / "docs" / "access.md").read_text()
    issuers, grants = re.findall(r"DSS_[A-Z_]+='(\[\{\"issuer.*?\])'", page, re.DOTALL)

    settings = settings_of(issuers, grants)

    assert settings.passport_issuers == (PassportIssuer(issuer="https://broker.example.org"),)
    assert settings.visa_grants == (
        VisaGrant(
            issuer="https://visas.example.org",
            value="https://example.org/datasets/710",
            source="https://dac.example.org",
            by=frozenset(("dac",)),
            groups=frozenset(("study-710",)),
        ),
    )


@pytest.mark.parametrize(
    ("issuers", "grants", "named"),
    [
        ("{}", [GRANT], "DSS_PASSPORT_ISSUERS: must be a JSON list"),
        ([1], [GRANT], "DSS_PASSPORT_ISSUERS[0]: must be a JSON object with issuer, jwks_url, audiences"),
        ([{**ISSUER, "audience": []}], [GRANT], "DSS_PASSPORT_ISSUERS[0].audience: unknown"),
        ([{**ISSUER, "audiences": "x"}], [GRANT], "DSS_PASSPORT_ISSUERS[0].audiences: must be a list"),
        ([{}], [GRANT], "DSS_PASSPORT_ISSUERS[0].issuer: missing"),
        ([{"issuer": "http://x.example.org"}], [GRANT], "DSS_PASSPORT_ISSUERS[0].issuer: must be a URL"),
        ([ISSUER, {"issuer": "https://broker.example.org/"}], [GRANT], "is there twice"),
        ([ISSUER], [{**GRANT, "groups": []}], "DSS_VISA_GRANTS[0].groups: missing"),
        ([ISSUER], [{**GRANT, "value": 1}], "DSS_VISA_GRANTS[0].value: must be a string"),
        ([ISSUER], [{**GRANT, "by": "dac"}], "DSS_VISA_GRANTS[0].by: must be a list"),
        ([ISSUER], [{**GRANT, "jwks_url": "http://x.example.org"}], "DSS_VISA_GRANTS[0].jwks_url: must be"),
        ([ISSUER], [GRANT, {**GRANT, "jwks_url": "https://x.example.org"}], "has two jwks_url"),
        ([ISSUER], [], "DSS_PASSPORT_ISSUERS or DSS_VISA_GRANTS is not set"),
        ([], [GRANT], "DSS_PASSPORT_ISSUERS or DSS_VISA_GRANTS is not set"),
    ],
)
def test_what_is_wrong_is_named(issuers: Any, grants: Any, named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        settings_of(issuers, grants)
