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
VERIFIED = {"email": "a@lab.example", "email_verified": True}
NAMES = st.sampled_from(["email", "mail", "email_verified", "group", "groups", "iss"])


def named(**claims: Any) -> Principal:
    return identity_of(
        claims,
        issuer="https://i.example",
        email_claims=("mail", "email"),
        group_claims=("groups", "group"),
        is_verified=True,
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
    "email",
    [
        "a@other.example",
        "a@sub.lab.example",
        "lab.example",
        "a@lab.example@other.example",
        "a@",
        "a@\u212aab.example",
    ],
)
def test_an_issuer_names_nobody_outside_its_domains(email: str) -> None:
    with pytest.raises(Unauthorized, match="domain"):
        provider(email_domains=("lab.example", "b.example", "kab.example")).identity({"email": email})


@pytest.mark.parametrize("claims", [{}, {"email_verified": None}, {"email_verified": False}])
def test_a_further_issuer_without_domains_has_to_say_that_an_address_is_verified(
    claims: dict[str, Any],
) -> None:
    claims = {"email": "a@lab.example", **claims}
    with pytest.raises(Unauthorized, match="email_verified"):
        provider().identity(claims)
    for said in (True, "true"):
        assert provider().identity({**claims, "email_verified": said}).email == "a@lab.example"


def test_the_first_issuer_and_those_with_domains_need_not_say_that_an_address_is_verified() -> None:
    setting = IssuerSetting(issuer="https://i.example", audiences=("a",))
    limited = provider(email_domains=("lab.example",))
    for issuer in (OpenIdProvider(setting, is_first=True), limited):
        assert issuer.identity({"email": "a@lab.example"}).email == "a@lab.example"
        with pytest.raises(Unauthorized, match="email_verified"):
            issuer.identity({"email": "a@lab.example", "email_verified": False})


def test_without_group_claims_an_issuer_proves_no_group() -> None:
    assert provider().identity({**VERIFIED, "group": ["dss"]}).groups == frozenset()


def test_only_google_signs_without_a_scheme() -> None:
    google = provider(issuer=GOOGLE + "/")
    assert google.signs({"iss": GOOGLE}) and google.signs({"iss": "accounts.google.com"})
    assert google.identity(VERIFIED).issuer == GOOGLE
    for name in ("i.example", "http://i.example", "https://i.example.org", None, 5):
        assert not provider().signs({"iss": name})
    assert not provider().signs({})
