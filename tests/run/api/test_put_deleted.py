"""PUT of what is deleted for ever: 409, which says so, and nothing is written."""

import pytest

from tests.support.api import Api, Version, assert_problem, new_uuid, now, put_bundle, put_collection
from tests.support.clouds import REPLICAS, Clouds


def put(api: Api, replica: str, kind: str, name: Version) -> None:
    if kind == "bundles":
        put_bundle(api, replica, [], bundle=name)
    else:
        put_collection(api, replica, [], collection=name)


def refused(api: Api, replica: str, kind: str, name: Version, title: str) -> None:
    """Fail unless a PUT is 409, and says why."""
    if kind == "bundles":
        body: dict[str, object] = {"files": [], "creator_uid": 1}
        answer = api.put(f"/v1/bundles/{name.uuid}", replica=replica, version=name.version, json=body)
        code = "bundle_tombstone_already_exists"
    else:
        body = {"name": "name", "description": "about", "details": {}, "contents": []}
        query = {"replica": replica, "uuid": name.uuid, "version": name.version}
        answer = api.put("/v1/collections", json=body, **query)
        code = "collection_tombstone_already_exists"
    assert_problem(answer, 409, code, title, "is deleted for ever")


@pytest.mark.parametrize("kind", ["bundles", "collections"])
def test_below_a_deleted_uuid_nothing_is_written_any_more(
    admin: Api, clouds: Clouds, replica: str, kind: str
) -> None:
    first = Version(new_uuid(), now())
    put(admin, replica, kind, first)
    answer = admin.delete(f"/v1/{kind}/{first.uuid}", replica=replica, json={"reason": "wrong"})
    assert answer.status_code == 200

    for where in REPLICAS:
        # Another version, and the same one again.
        for name in (Version(first.uuid, now()), first):
            refused(admin, where, kind, name, f"{kind.removesuffix('s')} {first.uuid}")
        keys = clouds.keys(where, f"{kind}/{first.uuid}")
        assert keys == sorted([f"{kind}/{first}", f"{kind}/{first.uuid}.dead"] if where == replica else [])


def test_a_deleted_version_is_refused_and_another_is_not(admin: Api, replica: str) -> None:
    first = Version(new_uuid(), now())
    put(admin, replica, "bundles", first)
    path = f"/v1/bundles/{first.uuid}"
    answer = admin.delete(path, replica=replica, version=first.version, json={"reason": "wrong"})
    assert answer.status_code == 200

    for where in REPLICAS:
        refused(admin, where, "bundles", first, f"bundle {first}")
    put(admin, replica, "bundles", Version(first.uuid, now()))


def test_others_do_not_learn_that_a_collection_was_deleted(api: Api, admin: Api, replica: str) -> None:
    first = put_collection(admin, replica, [])
    assert admin.delete(f"/v1/collections/{first.uuid}", replica=replica).status_code == 200
    put_collection(api, replica, [], collection=Version(first.uuid, now()), status=403)
