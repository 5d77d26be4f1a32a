"""Which groups a visa gives, for all kinds of visas."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.access.visas import LEEWAY_SECONDS, groups_of_visa
from shared.visa_settings import VisaGrant

NOW = 1_800_000_000.0
ISSUER, VALUE, SOURCE = (
    "https://visas.example.org",
    "https://example.org/datasets/710",
    "https://dac.example.org",
)
GRANT = VisaGrant(
    issuer=ISSUER, value=VALUE, source=SOURCE, by=frozenset(("dac", "so")), groups=frozenset(("lab", "study"))
)


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a visa that GRANT covers, with changes; None removes a member of the visa."""
    outer = {name: changes.pop(name) for name in ("iss", "exp") if name in changes}
    visa = {
        "type": "ControlledAccessGrants",
        "value": VALUE,
        "source": SOURCE,
        "by": "dac",
        "asserted": NOW - 9,
    }
    visa = {name: value for name, value in {**visa, **changes}.items() if value is not None}
    return {"iss": ISSUER, "exp": NOW + 60, "ga4gh_visa_v1": visa, **outer}


@pytest.mark.parametrize("changes", [{}, {"by": "so"}, {"iss": ISSUER + "/"}, {"conditions": []}, {"new": 1}])
def test_a_visa_that_a_grant_covers_gives_its_groups(changes: dict[str, Any]) -> None:
    assert groups_of_visa(claims(**changes), [GRANT], NOW) == {"lab", "study"}


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "ResearcherStatus"},
        {"type": None},
        {"value": VALUE + "1"},
        {"value": VALUE.upper()},
        {"value": [VALUE]},
        {"source": "https://other.example.org"},
        {"source": None},
        {"by": "self"},
        {"by": None},
        {"iss": "https://other.example.org"},
        {"iss": None},
        {"exp": NOW - LEEWAY_SECONDS - 1},
        {"exp": None},
        {"exp": "never"},
        {"asserted": NOW + LEEWAY_SECONDS + 1},
        {"asserted": None},
        {"asserted": True},
        {"asserted": "2026"},
        {"conditions": [[{"type": "AffiliationAndRole", "value": "const:faculty@example.org"}]]},
        {"conditions": [[]]},
        {"conditions": {}},
        {"conditions": ""},
    ],
)
def test_any_difference_gives_nothing(changes: dict[str, Any]) -> None:
    assert groups_of_visa(claims(**changes), [GRANT], NOW) == frozenset()


def test_a_grant_without_source_and_by_asks_for_neither() -> None:
    grant = VisaGrant(issuer=ISSUER, value=VALUE, groups=frozenset(("lab",)))

    assert groups_of_visa(claims(source=None, by=None), [grant], NOW) == {"lab"}


def test_all_grants_that_cover_a_visa_count() -> None:
    other = VisaGrant(issuer=ISSUER, value=VALUE, groups=frozenset(("more",)))
    foreign = VisaGrant(issuer=ISSUER, value=VALUE + "0", groups=frozenset(("foreign",)))

    assert groups_of_visa(claims(), [GRANT, other, foreign], NOW) == {"lab", "study", "more"}


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.sampled_from(["type", "value", "source", "by", "asserted", "conditions"])


@given(JSON)
def test_any_claim_is_a_visa_that_gives_nothing(visa: Any) -> None:
    assert (
        groups_of_visa({"iss": ISSUER, "exp": NOW + 60, "ga4gh_visa_v1": visa}, [GRANT], NOW) == frozenset()
    )


@given(MEMBERS, JSON)
def test_one_odd_member_raises_nothing_and_adds_nothing(name: str, value: Any) -> None:
    given_groups = groups_of_visa(claims(**{name: value}), [GRANT], NOW)

    assert given_groups in (frozenset(), GRANT.groups)
    if name in ("type", "value", "source", "by") and value != claims()["ga4gh_visa_v1"][name]:
        assert given_groups == frozenset() or value == "so"
