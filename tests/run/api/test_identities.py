"""Identities: whom the claims of a proved token name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run.api.identities import identity_of
from run.api.issuers import GOOGLE, OpenIdProvider
from shared.access import Principal
from shared.errors import Unauthorized
from shared.issuer_settings import IssuerSetting

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
NAMES = st.sampled_from(["email", "mail", "email_verified", "group", "groups", "iss"])


def named(**claims: Any) -> Principal:
    return identity_of(
        claims, issuer="https://i.example", email_claims=("mail", "email"), group_claims=("groups", "group")
    )


def test_the_first_claim_that_is_present_counts() -> None:
    who = named(email="b@example.org", mail="a@example.org", group=["g"], groups=["h", 5, "i"])
    assert who == Principal(
        email="a@example.org", issuer="https://i.example", groups=frozenset({"h", "i"}), is_admin=False
    )
    assert named(email="b@example.org", group="g").groups == {"g"}


@given(st.dictionaries(NAMES, ANYTHING))
def test_claims_of_any_form_name_somebody_or_nobody(claims: dict[str, Any]) -> None:
    try:
        who = named(**claims)
    except Unauthorized:
        return
    assert who.email == claims.get("mail", claims.get("email"))
    assert who.email.isprintable()
    assert str(claims.get("email_verified", True)).lower() == "true"
    assert not who.is_admin


def provider(**members: Any) -> OpenIdProvider:
    return OpenIdProvider(IssuerSetting(**{"issuer": "https://i.example", "audiences": ("a",), **members}))


@pytest.mark.parametrize("email", ["a@lab.example", "a@LAB.example", "a@b@lab.example"])
def test_an_issuer_names_people_of_its_domains(email: str) -> None:
    assert provider(email_domains=("Lab.example",)).identity({"email": email}).email == email


@pytest.mark.parametrize(
    "email", ["a@other.example", "a@sub.lab.example", "lab.example", "a@lab.example@other.example", "a@"]
)
def test_an_issuer_names_nobody_outside_its_domains(email: str) -> None:
    with pytest.raises(Unauthorized, match="domain"):
        provider(email_domains=("lab.example", "b.example")).identity({"email": email})


def test_without_group_claims_an_issuer_proves_no_group() -> None:
    assert provider().identity({"email": "a@lab.example", "group": ["dss"]}).groups == frozenset()


def test_only_google_signs_without_a_scheme() -> None:
    google = provider(issuer=GOOGLE + "/")
    assert google.signs({"iss": GOOGLE}) and google.signs({"iss": "accounts.google.com"})
    assert google.identity({"email": "a@example.org"}).issuer == GOOGLE
    for name in ("i.example", "http://i.example", "https://i.example.org", None, 5):
        assert not provider().signs({"iss": name})
    assert not provider().signs({})
