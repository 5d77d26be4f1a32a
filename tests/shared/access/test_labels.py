"""Labels find what the decision allows, and nothing else."""

from hypothesis import given
from hypothesis import strategies as some

from shared.access import (
    DEFAULT,
    NOBODY,
    PUBLIC,
    SIGNED_IN,
    STRANGER,
    Policy,
    Principal,
    labels_of,
    labels_sought,
)

GROUPS = ("lab-a", "lab-b", "lab-c")
# Tokens may claim what no group is called.
CLAIMED = (*GROUPS, DEFAULT, NOBODY, PUBLIC, SIGNED_IN, "*", "")
readers = some.one_of(
    some.frozensets(some.sampled_from((*GROUPS, PUBLIC, SIGNED_IN))), some.just(frozenset((NOBODY,)))
)
people = some.one_of(
    some.just(STRANGER),
    some.builds(
        lambda groups, is_admin: Principal(email="who@example.org", groups=groups, is_admin=is_admin),
        some.frozensets(some.sampled_from(CLAIMED)),
        some.booleans(),
    ),
)
policies = some.builds(
    lambda default: Policy(default=default), some.sampled_from((PUBLIC, SIGNED_IN, "lab-a"))
)


@given(readers=readers, who=people, policy=policies)
def test_a_query_finds_just_what_its_caller_may_read(
    readers: frozenset[str], who: Principal, policy: Policy
) -> None:
    found = not labels_of(readers).isdisjoint(labels_sought(policy.counts_as(who)))

    assert found is policy.may_read(who, readers)


def test_the_public_of_a_public_deployment_has_one_label() -> None:
    assert labels_sought(Policy().counts_as(STRANGER)) == {DEFAULT}


@given(groups=some.frozensets(some.sampled_from(CLAIMED)))
def test_a_token_that_claims_a_reserved_name_proves_nothing(groups: frozenset[str]) -> None:
    policy, who = Policy(default="lab-a"), Principal(email="who@example.org", groups=groups)

    assert policy.may_read(who, ()) is ("lab-a" in groups)
    assert policy.may_read(who, (NOBODY,)) is False
