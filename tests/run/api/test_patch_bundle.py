"""PATCH /bundles/{uuid}: a new version with some files removed and others added."""

import pytest

from tests.support.api import Version, assert_problem, new_uuid, now, put_bundle, put_file


@pytest.fixture
def bundle(api, file, replica) -> Version:
    """A bundle of `file` as `a` and `b`."""
    return put_bundle(api, replica, [file.named("a"), file.named("b", indexed=True)], creator_uid=5)


def patch(api, replica, bundle, **body):
    """Return the answer to a PATCH."""
    return api.patch(f"/v1/bundles/{bundle.uuid}", replica=replica, version=bundle.version, json=body)


def files_of(api, replica, bundle):
    """Return names and UUIDs of the files of a bundle version."""
    answer = api.get(f"/v1/bundles/{bundle.uuid}", replica=replica, version=bundle.version)
    return [(file["name"], file["uuid"]) for file in answer.json()["bundle"]["files"]]


def test_files_are_removed_and_then_added(api, clouds, file, bundle, replica):
    other = put_file(api, clouds.stage(replica, b"other"))
    answer = patch(
        api, replica, bundle, remove_files=[file.named("b")], add_files=[other.named("b"), other.named("0")]
    )
    assert answer.status_code == 200
    assert set(answer.json()) == {"uuid", "version"}
    patched = Version(**answer.json())
    assert files_of(api, replica, patched) == [("0", other.uuid), ("a", file.uuid), ("b", other.uuid)]
    assert files_of(api, replica, bundle) == [("a", file.uuid), ("b", file.uuid)]


def test_the_new_version_is_stamped_now_and_is_the_newest(api, bundle, replica):
    before = now()
    patched = Version(**patch(api, replica, bundle).json())
    assert patched.uuid == bundle.uuid
    assert before < patched.version < now()
    newest = api.get(f"/v1/bundles/{bundle.uuid}", replica=replica).json()["bundle"]
    assert (newest["version"], newest["creator_uid"]) == (patched.version, 5)
    assert newest["files"][1]["indexed"] is True


def test_files_are_removed_only_if_name_uuid_and_version_all_match(api, file, bundle, replica):
    near_misses = [
        file.named("c"),
        Version(new_uuid(), file.version).named("a"),
        Version(file.uuid, now()).named("a"),
    ]
    patched = Version(**patch(api, replica, bundle, remove_files=near_misses).json())
    assert files_of(api, replica, patched) == files_of(api, replica, bundle)
    in_upper_case = {**file.named("a"), "uuid": file.uuid.upper()}
    patched = Version(**patch(api, replica, bundle, remove_files=[in_upper_case]).json())
    assert files_of(api, replica, patched) == [("b", file.uuid)]


def test_all_files_may_be_removed(api, file, bundle, replica):
    removed = [file.named("a"), file.named("b")]
    patched = Version(**patch(api, replica, bundle, remove_files=removed).json())
    assert files_of(api, replica, patched) == []


def test_added_files_must_exist_and_not_collide(api, file, bundle, replica):
    nowhere = Version(new_uuid(), now())
    assert_problem(
        patch(api, replica, bundle, add_files=[nowhere.named("c")]), 400, "file_missing", str(nowhere)
    )
    for name in ("a", "a/b"):
        answer = patch(api, replica, bundle, add_files=[file.named(name)])
        assert_problem(answer, 400, "duplicate_filename", "'a'")
    answer = patch(api, replica, bundle, add_files=[file.named("../a")])
    assert_problem(answer, 400, "illegal_arguments", "add_files[0].name")


def test_a_bundle_that_is_unknown_hidden_or_elsewhere_is_404(api, admin, bundle, replica):
    other = "aws" if replica == "gcp" else "gcp"
    for where, unknown in (
        (replica, Version(new_uuid(), now())),
        (replica, Version(bundle.uuid, now())),
        (other, bundle),
    ):
        assert_problem(patch(api, where, unknown), 404, "not_found", unknown.uuid)
    query = {"replica": replica, "version": bundle.version}
    assert admin.delete(f"/v1/bundles/{bundle.uuid}", json={"reason": "x"}, **query).status_code == 200
    assert_problem(patch(api, replica, bundle), 404, "not_found", str(bundle))
