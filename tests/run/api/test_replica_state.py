"""A 404 says if the replica will have the object: `pending`, else `absent`."""

import pytest

from tests.support.api import Api, Version, assert_problem, new_uuid, now, put_bundle, put_file
from tests.support.clouds import Clouds
from tests.support.replication import OTHER


def state(api: Api, kind: str, name: Version, replica: str, *, versioned: bool) -> str:
    """Return the `replica_state` in the answer to a read."""
    version = name.version if versioned else None
    answer = api.get(f"/v1/{kind}/{name.uuid}", replica=replica, version=version)
    return str(assert_problem(answer, 404, "not_found", name.uuid)["replica_state"])


@pytest.mark.parametrize("versioned", [True, False], ids=["version", "newest"])
def test_an_object_of_another_replica_is_pending(
    api: Api, clouds: Clouds, replica: str, versioned: bool
) -> None:
    file = put_file(api, clouds.stage(replica, b"content"))
    bundle = put_bundle(api, replica, [file.named("a")])
    for kind, name in (("files", file), ("bundles", bundle)):
        assert state(api, kind, name, OTHER[replica], versioned=versioned) == "pending"


@pytest.mark.parametrize("versioned", [True, False], ids=["version", "newest"])
@pytest.mark.parametrize("kind", ["files", "bundles"])
def test_an_object_of_no_replica_is_absent(api: Api, replica: str, kind: str, versioned: bool) -> None:
    assert state(api, kind, Version(new_uuid(), now()), replica, versioned=versioned) == "absent"


@pytest.mark.parametrize("kind", ["files", "bundles"])
def test_another_version_is_no_reason_to_wait(api: Api, clouds: Clouds, replica: str, kind: str) -> None:
    file = put_file(api, clouds.stage(replica, b"content"))
    made = file if kind == "files" else put_bundle(api, replica, [file.named("a")])
    assert state(api, kind, Version(made.uuid, now()), OTHER[replica], versioned=True) == "absent"


@pytest.mark.parametrize("versioned", [True, False], ids=["version", "newest"])
@pytest.mark.parametrize("whole", [True, False], ids=["uuid hidden", "version hidden"])
def test_a_hidden_object_is_absent_everywhere(
    admin: Api, clouds: Clouds, replica: str, whole: bool, versioned: bool
) -> None:
    bundle = put_bundle(admin, replica, [put_file(admin, clouds.stage(replica, b"content")).named("a")])
    version = None if whole else bundle.version
    answer = admin.delete(
        f"/v1/bundles/{bundle.uuid}", replica=replica, version=version, json={"reason": "wrong"}
    )
    assert answer.status_code == 200
    for name in (replica, OTHER[replica]):
        assert state(admin, "bundles", bundle, name, versioned=versioned) == "absent"
