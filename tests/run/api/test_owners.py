"""A group claims a bundle with its first version; then only its members write it."""

from dataclasses import replace

import pytest

from dss.tokens import fetch_local
from shared.bindings import change_binding
from shared.groups import add_members
from shared.system import Dss
from tests.support.api import Api, Version, assert_problem, new_uuid, now, put_file
from tests.support.clouds import Clouds
from tests.support.concurrent_calls import ConcurrentCalls


@pytest.fixture(scope="module")
def writers(dss: Dss, stack: dict[str, str]) -> dict[str, str]:
    """The tokens of two writers, by the group of each, which they were in before they sent the first one.

    What an API process has read of somebody's groups it believes for a while.
    """
    tokens, url = {}, stack["DSS_LOCAL_TOKEN_URL"]
    for _ in range(2):
        group, email = f"lab-{new_uuid()[:8]}", f"{new_uuid()}@example.org"
        add_members(dss, group, [email], "operator@example.org")
        tokens[group] = fetch_local(url, email=email, group="dss", seconds=3600)
    return tokens


@pytest.fixture
def groups(writers: dict[str, str]) -> tuple[str, str]:
    """The groups of the two writers."""
    first, other = writers
    return first, other


@pytest.fixture
def api(api: Api, writers: dict[str, str]) -> Api:
    first, _ = writers.values()
    return api.signed_in(first)


def bind(dss: Dss, uuid: str, group: str) -> None:
    change_binding(dss, uuid, "operator", lambda before: replace(before, readers=frozenset({group})))


@pytest.fixture
def second(api: Api, writers: dict[str, str]) -> Api:
    _, other = writers.values()
    return api.signed_in(other)


@pytest.fixture
def body(api: Api, clouds: Clouds) -> dict:
    file = put_file(api, clouds.stage("gcp", b"content of a bundle with an owner"))
    return {"files": [file.named("a")], "creator_uid": 1}


def put(client: Api, bundle: Version, body: dict, owner_group: str | None = None) -> int:
    path = f"/v1/bundles/{bundle.uuid}"
    answer = client.put(path, replica="gcp", version=bundle.version, json=body, owner_group=owner_group)
    return answer.status_code


def patch(client: Api, bundle: Version) -> int:
    path, change = f"/v1/bundles/{bundle.uuid}", {"add_files": [], "remove_files": []}
    return client.patch(path, replica="gcp", version=bundle.version, json=change).status_code


def delete(client: Api, bundle: Version) -> int:
    path = f"/v1/bundles/{bundle.uuid}"
    reason = {"reason": "withdrawn"}
    return client.delete(path, replica="gcp", version=bundle.version, json=reason).status_code


def test_only_members_of_the_group_that_claimed_a_bundle_write_it(api, second, admin, anyone, groups, body):
    bundle = Version(new_uuid(), now())
    assert put(api, bundle, body, groups[0]) == 201
    assert put(api, bundle, body, groups[0]) == 200

    later = Version(bundle.uuid, now())
    assert [put(second, later, body), patch(second, bundle), delete(second, bundle)] == [403, 403, 403]
    assert [put(second, later, body, groups[1]), put(api, later, body, groups[1])] == [403, 409]
    assert [put(api, later, body), patch(api, bundle), delete(api, later)] == [201, 200, 200]
    assert put(admin, Version(bundle.uuid, now()), body) == 201
    # Who owns it says nothing about who reads it.
    assert anyone.get(f"/v1/bundles/{bundle.uuid}", replica="gcp").status_code == 200


def test_what_nobody_claims_is_written_by_all_writers(api, second, groups, body):
    bundle = Version(new_uuid(), now())
    assert put(api, bundle, body) == 201
    assert put(second, Version(bundle.uuid, now()), body) == 201
    assert [patch(second, bundle), delete(second, bundle)] == [200, 403]
    path = f"/v1/bundles/{bundle.uuid}"
    late = api.put(path, replica="gcp", version=now(), json=body, owner_group=groups[0])
    assert_problem(late, 409, "already_owned", bundle.uuid)


def test_only_a_member_claims_for_a_group(second, admin, groups, body):
    uuid = new_uuid()
    assert put(second, Version(uuid, now()), body, groups[0]) == 403
    assert put(second, Version(uuid, now()), body, "public") == 400
    # A claim that was refused leaves nothing.
    assert put(second, Version(uuid, now()), body) == 201
    assert put(admin, Version(new_uuid(), now()), body, groups[0]) == 201


def test_a_claim_whose_bundle_is_refused_leaves_nothing(api, second, groups, body):
    uuid = new_uuid()
    missing = {**body, "files": [{**body["files"][0], "uuid": new_uuid()}]}
    assert put(api, Version(uuid, now()), missing, groups[0]) == 400
    assert put(second, Version(uuid, now()), body, groups[1]) == 201


def test_of_two_groups_that_claim_at_once_one_wins(api, second, groups, body):
    with ConcurrentCalls(2) as concurrently:
        for _ in range(3):
            uuid = new_uuid()
            versions = Version(uuid, now()), Version(uuid, now())
            first, other = concurrently(
                lambda versions=versions: put(api, versions[0], body, groups[0]),
                lambda versions=versions: put(second, versions[1], body, groups[1]),
            )
            assert 201 in (first, other)
            assert {first, other} - {201} <= {403, 409}
            assert (first == 201) != (other == 201)
            winner, loser = (api, second) if first == 201 else (second, api)
            assert patch(winner, versions[first != 201]) == 200
            assert put(loser, Version(uuid, now()), body) == 403


def test_of_equal_claims_at_once_both_succeed(api, groups, body):
    with ConcurrentCalls(2) as concurrently:
        for _ in range(3):
            bundle = Version(new_uuid(), now())
            calls = [lambda bundle=bundle: put(api, bundle, body, groups[0])] * 2
            assert sorted(concurrently(*calls)) == [200, 201]


def test_a_bound_bundle_is_claimed_with_its_readers(api, second, anyone, dss, groups, body):
    bundle = Version(new_uuid(), now())
    bind(dss, bundle.uuid, groups[0])
    assert put(api, bundle, body, groups[0]) == 201
    answers = [one.get(f"/v1/bundles/{bundle.uuid}", replica="gcp") for one in (anyone, second, api)]
    assert [answer.status_code for answer in answers] == [401, 403, 200]
    binding = dss.catalog.bindings.current(bundle.uuid).record
    assert (binding.owner_group, binding.readers) == (groups[0], {groups[0]})
