"""The decision: properties that hold for all principals and resources."""

from hypothesis import example, given
from hypothesis import strategies as st

from shared.access import DEFAULT, PUBLIC, SIGNED_IN, STRANGER, Action, Policy, Principal, Resource, Verdict

GROUPS = st.frozensets(st.sampled_from(["a", "b", "c", "writers"]))
EMAILS = st.sampled_from(["one@example.org", "other@example.org"])
principals = st.just(STRANGER) | st.builds(Principal, email=EMAILS, groups=GROUPS, is_admin=st.booleans())
resources = st.builds(
    Resource,
    name=st.just("bundle 1"),
    readers=st.frozensets(st.sampled_from(["a", "b", "c", PUBLIC, SIGNED_IN])),
    owner=st.just("") | EMAILS,
    owner_group=st.sampled_from(["", "a", "b"]),
)
policies = st.builds(
    Policy,
    default=st.sampled_from([PUBLIC, SIGNED_IN, "a"]),
    write_groups=st.just(frozenset(("writers",))),
    hide_managed=st.booleans(),
    contact=st.sampled_from(["", "someone@example.org"]),
)
ABOUT_OBJECTS = (Action.READ, Action.WRITE, Action.DELETE, Action.SHARE)


@given(policies, principals, resources)
def test_queries_find_what_may_be_read_and_nothing_else(
    policy: Policy, who: Principal, what: Resource
) -> None:
    bound = Resource(name=what.name, readers=what.readers)
    readers = policy.counts_as(who)

    found = readers is None or not readers.isdisjoint(what.readers or {DEFAULT})

    assert found is policy.decide(who, Action.READ, bound).is_allowed


@given(policies, principals, resources)
def test_what_is_open_may_be_read_by_everybody(policy: Policy, who: Principal, what: Resource) -> None:
    if policy.is_open(what):
        assert policy.decide(who, Action.READ, what).is_allowed
        assert policy.decide(STRANGER, Action.READ, what).is_allowed


@given(policies, principals, resources, st.sampled_from([Action.WRITE, Action.SHARE]))
def test_nobody_writes_or_shares_what_they_may_not_read(
    policy: Policy, who: Principal, what: Resource, action: Action
) -> None:
    if policy.decide(who, action, what).is_allowed:
        assert policy.decide(who, Action.READ, what).is_allowed


@given(policies, principals, resources)
def test_managed_data_are_never_shared_and_strangers_write_nothing(
    policy: Policy, who: Principal, what: Resource
) -> None:
    assert not (what.is_managed and policy.decide(who, Action.SHARE, what).is_allowed)
    for writing in (Action.WRITE, Action.DELETE, Action.ADMINISTER, Action.CONTRIBUTE, Action.CALL):
        assert policy.decide(STRANGER, writing, what).verdict is Verdict.UNAUTHORIZED


@given(policies, principals, resources, GROUPS)
def test_another_group_takes_no_right_away(
    policy: Policy, who: Principal, what: Resource, more: frozenset[str]
) -> None:
    if who.is_known:
        joined = Principal(email=who.email, groups=who.groups | more, is_admin=who.is_admin)
        for action in Action:
            if policy.decide(who, action, what).is_allowed:
                assert policy.decide(joined, action, what).is_allowed


@given(policies, principals, resources)
@example(
    Policy(default=PUBLIC, write_groups=frozenset({"writers"}), hide_managed=True),
    Principal(email="one@example.org", groups=frozenset(), is_admin=False),
    Resource(name="bundle 1", readers=frozenset({"a"}), owner="other@example.org"),
)
def test_a_refusal_of_what_is_hidden_says_no_more_than_of_what_is_not_there(
    policy: Policy, who: Principal, what: Resource
) -> None:
    absent = Resource(name=what.name)
    read = policy.decide(who, Action.READ, what)
    if read.verdict is Verdict.HIDDEN:
        for action in ABOUT_OBJECTS:
            decision = policy.decide(who, action, what)
            assert decision.verdict is Verdict.HIDDEN or decision == policy.decide(who, action, absent)


@given(policies, principals, resources)
def test_only_owners_and_admins_delete(policy: Policy, who: Principal, what: Resource) -> None:
    if policy.decide(who, Action.DELETE, what).is_allowed:
        owns = what.owner == who.email if what.owner else what.owner_group in who.groups
        assert who.is_admin or owns


@given(policies, principals, resources)
def test_who_is_refused_managed_data_learns_whom_to_ask(
    policy: Policy, who: Principal, what: Resource
) -> None:
    decision = policy.decide(who, Action.READ, what)
    has_contact = decision.verdict in (Verdict.UNAUTHORIZED, Verdict.FORBIDDEN) and not what.owner
    if has_contact and policy.contact:
        assert policy.contact in decision.reason


@given(policies, principals, resources)
def test_who_may_contribute_depends_on_their_groups_alone(
    policy: Policy, who: Principal, what: Resource
) -> None:
    decision = policy.decide(who, Action.CONTRIBUTE, what)

    assert decision.is_allowed is (who.is_admin or (who.is_known and "writers" in who.groups))
    if who.is_known and not decision.is_allowed:
        assert decision.verdict is Verdict.FORBIDDEN
        assert "not a member of any group that may write" in decision.reason


@given(principals, st.booleans())
def test_a_writer_outside_the_default_writes_nothing_unbound_but_what_is_their_own(
    who: Principal, hidden: bool
) -> None:
    policy = Policy(default="a", write_groups=frozenset(("writers",)), hide_managed=hidden)
    if policy.decide(who, Action.CONTRIBUTE, Resource(name="operation files.put")).is_allowed:
        unbound = policy.decide(who, Action.WRITE, Resource(name="file 1"))
        assert unbound.is_allowed is (who.is_admin or "a" in who.groups)
        own = Resource(name="collection 1", owner=who.email)
        assert policy.decide(who, Action.WRITE, own).is_allowed
        assert policy.decide(who, Action.DELETE, own).is_allowed
