"""DELETE /bundles/{uuid}: tombstones, which hide bundles for ever."""

import json

import pytest

from tests.support.api import Version, assert_problem, new_uuid, now, put_bundle
from tests.support.clouds import REPLICAS


@pytest.fixture
def bundle(api) -> Version:
    """An empty bundle that is on both replicas."""
    bundle = put_bundle(api, "gcp", [])
    return put_bundle(api, "aws", [], bundle=bundle, status=200)


def delete(api, replica, bundle, *, version=None, reason="a mistake"):
    """Return the answer to a DELETE of a whole UUID, or of a version."""
    query = {"replica": replica, "version": version}
    return api.delete(f"/v1/bundles/{bundle.uuid}", json={"reason": reason}, **query)


def is_readable(api, replica, bundle, version=None):
    """Return whether GET finds a version of a bundle, or the newest."""
    answer = api.get(f"/v1/bundles/{bundle.uuid}", replica=replica, version=version)
    if answer.status_code != 200:
        assert_problem(answer, 404, "not_found", bundle.uuid)
    return answer.status_code == 200


def listed(api, replica, bundle):
    """Return the versions of a bundle in the list of all bundles."""
    answer = api.get("/v1/bundles/all", replica=replica, prefix=bundle.uuid)
    return [item["version"] for item in answer.json()["bundles"]]


def test_a_version_is_hidden_everywhere_and_the_others_are_not(api, admin, bundle, replica):
    newer = put_bundle(api, replica, [], bundle=Version(bundle.uuid, now()))
    answer = delete(admin, replica, newer, version=newer.version)
    assert (answer.status_code, answer.json()) == (200, {})
    assert not is_readable(api, replica, newer, newer.version)
    newest = api.get(f"/v1/bundles/{bundle.uuid}", replica=replica).json()["bundle"]
    assert newest["version"] == bundle.version
    for one in REPLICAS:
        assert listed(api, one, bundle) == [bundle.version]


def test_a_version_is_hidden_on_both_replicas_at_once(api, admin, bundle, replica):
    delete(admin, replica, bundle, version=bundle.version)
    for one in REPLICAS:
        assert not is_readable(api, one, bundle, bundle.version)
        assert not is_readable(api, one, bundle)
        assert listed(api, one, bundle) == []


def test_a_whole_uuid_is_hidden_with_all_its_versions(api, admin, bundle, replica):
    second = put_bundle(api, replica, [], bundle=Version(bundle.uuid, now()))
    assert delete(admin, replica, bundle).status_code == 200
    for one in REPLICAS:
        assert not is_readable(api, one, bundle)
        assert not is_readable(api, one, bundle, bundle.version)
        assert listed(api, one, bundle) == []
    assert not is_readable(api, replica, second, second.version)


def test_no_version_is_written_after_a_uuid_was_hidden(api, admin, bundle, replica):
    delete(admin, replica, bundle)
    for one in REPLICAS:
        later = put_bundle(api, one, [], bundle=Version(bundle.uuid, now()), status=409)
        assert not is_readable(api, one, later, later.version)
        assert not is_readable(api, one, later)
        assert listed(api, one, later) == []


def test_a_hidden_version_stays_hidden_when_it_is_put_again(api, admin, bundle, replica):
    delete(admin, replica, bundle, version=bundle.version)
    put_bundle(api, replica, [], bundle=bundle, status=409)
    assert not is_readable(api, replica, bundle, bundle.version)


def test_a_hidden_version_cannot_become_something_else(api, admin, bundle, replica):
    delete(admin, replica, bundle, version=bundle.version)
    put_bundle(api, replica, [], bundle=bundle, creator_uid=2, status=409)
    assert not is_readable(api, replica, bundle, bundle.version)


@pytest.mark.parametrize("whole", [True, False])
def test_the_same_again_is_200_and_another_reason_409(admin, bundle, replica, whole):
    version = None if whole else bundle.version
    assert delete(admin, replica, bundle, version=version).status_code == 200
    assert delete(admin, replica, bundle, version=version).status_code == 200
    other_reason = delete(admin, replica, bundle, version=version, reason="another")
    assert_problem(other_reason, 409, "bundle_tombstone_already_exists", bundle.uuid)


def test_a_tombstone_stays_with_the_admin_who_wrote_it(stack, admin, configured, bundle, replica):
    second_admin = configured.signed_in(stack["DSS_TOKEN2"])
    assert delete(second_admin, replica, bundle).status_code == 200
    answer = delete(admin, replica, bundle)
    assert_problem(answer, 409, "bundle_tombstone_already_exists", bundle.uuid)


def test_the_tombstone_is_an_object_beside_the_manifest(admin, clouds, bundle, replica):
    delete(admin, replica, bundle, version=bundle.version, reason="first the version")
    delete(admin, replica, bundle, reason="then all of it")
    for key, reason in (
        (f"bundles/{bundle}.dead", "first the version"),
        (f"bundles/{bundle.uuid}.dead", "then all of it"),
    ):
        document = json.loads(clouds.read(replica, key))
        assert document == {"email": "admin@example.org", "reason": reason, "admin_deleted": True}
    assert clouds.keys(replica, f"bundles/{bundle}") == [f"bundles/{bundle}", f"bundles/{bundle}.dead"]


def test_only_admins_delete(api, anyone, bundle, replica):
    assert_problem(delete(api, replica, bundle), 403, "Forbidden", "admin")
    assert_problem(delete(anyone, replica, bundle), 401, "Unauthorized")
    assert is_readable(api, replica, bundle)


def test_others_cannot_find_out_whether_it_exists(api, replica):
    assert_problem(delete(api, replica, Version(new_uuid(), now())), 403, "Forbidden")


def test_a_bundle_that_the_replica_lacks_is_404(api, admin, replica):
    other = "aws" if replica == "gcp" else "gcp"
    there = put_bundle(api, other, [])
    for bundle, version in (
        (Version(new_uuid(), now()), None),
        (there, None),
        (there, there.version),
        (there, now()),
    ):
        answer = delete(admin, replica, bundle, version=version)
        assert_problem(answer, 404, "not_found", bundle.uuid, replica)
    assert is_readable(api, other, there)


@pytest.mark.parametrize("reason", [None, 5, "x" * 5_000, "x" * 2_000_000])
def test_a_reason_is_text_that_a_document_can_hold(admin, bundle, replica, reason):
    answer = delete(admin, replica, bundle, reason=reason)
    assert_problem(answer, 400, "illegal_arguments", "json_request_body.reason")


def test_a_reason_is_required(admin, bundle, replica):
    path = f"/v1/bundles/{bundle.uuid}"
    for body in ({}, None):
        answer = admin.delete(path, replica=replica, json=body)
        assert_problem(answer, 400, "illegal_arguments", "json_request_body")
