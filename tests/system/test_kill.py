"""A kill between any two steps of a write leaves nothing half-done to be seen, and a retry finishes it."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from local.api import ApiProcess, api_process
from shared.faults import FAULT_POINTS
from shared.identifiers import group_uuid
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_collection, put_file
from tests.support.clouds import REPLICAS, Clouds
from tests.support.command_line import dss, dss_here

CONTENT = b"whole or not at all"
BODY = {"creator_uid": 1}


def points_of(area: str) -> list[str]:
    """Return the fault points of an area, in the order in which a write comes by them."""
    return [point for point in FAULT_POINTS if point.startswith(f"{area}: ")]


FILE, BUNDLE, TOMBSTONE = points_of("file"), points_of("bundle"), points_of("tombstone")
COLLECTION, COLLECTION_TOMBSTONE = points_of("collection"), points_of("collection tombstone")
FILES = points_of("files")
ACCESS, GROUP = points_of("access"), points_of("group")
# From here on the name means this content, for ever.
FILE_CLAIMED, BUNDLE_CLAIMED = "file: head created", "bundle: head created"
COLLECTION_CLAIMED = "collection: head created"


def test_every_fault_point_is_tried() -> None:
    # Those of the functions are tried in tests/functions/, those of copies in test_large_copies.py,
    # those of imports in test_import_steps.py.
    functions = (
        "checkout: ",
        "copy: ",
        "import: ",
        "replication: ",
        "index: ",
        "compact: ",
        "administration: ",
        "notify: ",
        "delivery: ",
        "replay: ",
        # In tests/system/jobs/.
        "purge: ",
        # In tests/run/explore/test_manifests.py.
        "manifest: ",
    )
    others = [point for point in FAULT_POINTS if not point.startswith(functions)]
    tried = [*FILE, *FILES, *BUNDLE, *TOMBSTONE, *COLLECTION, *COLLECTION_TOMBSTONE, *ACCESS, *GROUP]
    assert sorted(tried) == sorted(others)


@dataclass(frozen=True)
class Mortal:
    """An API that kills itself at a fault point; `other` is a process of the same service that lives."""

    process: ApiProcess
    api: Api
    other: Api

    def dies_of(self, call: Callable[..., Any], *arguments: Any, **more: Any) -> bool:
        """Make a call; return whether the process was killed before it answered."""
        try:
            call(*arguments, **more)
        except requests.ConnectionError:
            return True
        return False

    def back(self) -> Api:
        """Return who answers now: another process, which shares the clouds with the dead one, and no more."""
        self.process.kill()
        return self.other


@pytest.fixture
def mortal(request: pytest.FixtureRequest, stack: dict[str, str]) -> Iterator[Mortal]:
    """An API that kills itself at the point that the test is about."""
    point = request.node.callspec.params["point"]
    with api_process(stack, {"DSS_FAULT_POINT": point}) as process:
        token = stack["DSS_ADMIN_TOKEN"]
        yield Mortal(process, Api(process.url, token), Api(stack["DSS_URL"], token))
        process.kill()


def is_listed(api: Api, bundle: Version, replica: str) -> bool:
    """Tell whether enumeration lists a bundle version."""
    found = api.get("/v1/bundles/all", replica=replica, prefix=bundle.uuid).json()["bundles"]
    return {"uuid": bundle.uuid, "version": bundle.version} in found


def statuses(api: Api, kind: str, name: Version, replica: str) -> set[int]:
    """Return the statuses of all ways to read a file or bundle."""
    method = "HEAD" if kind == "files" else "GET"
    asked = [
        api.request(method, f"/v1/{kind}/{name.uuid}", replica=replica, version=version)
        for version in (name.version, None)
    ]
    return {answer.status_code for answer in asked}


def assert_whole_file(api: Api, clouds: Clouds, file: Version, replica: str) -> None:
    """Fail unless all that there is to read of a file is right."""
    answer = api.get(f"/v1/files/{file.uuid}", replica=replica, version=file.version)
    assert answer.status_code == 302
    assert requests.get(answer.headers["Location"], timeout=60).content == CONTENT
    manifest = json.loads(clouds.read(replica, f"files/{file}"))
    assert manifest["sha256"] == hashlib.sha256(CONTENT).hexdigest() == answer.headers["X-DSS-SHA256"]
    assert (manifest["version"], manifest["size"]) == (file.version, len(CONTENT))
    assert statuses(api, "files", file, replica) == {200}


def assert_whole_bundle(
    api: Api, clouds: Clouds, bundle: Version, replica: str, files: list[dict[str, Any]]
) -> None:
    """Fail unless all that there is to read of a bundle is right."""
    path = f"/v1/bundles/{bundle.uuid}"
    answer = api.get(path, replica=replica, version=bundle.version, presignedurls=True, per_page=500)
    read = answer.json()["bundle"]["files"]
    names = {file["name"] for file in files}
    assert {file["name"] for file in read} == names
    assert requests.get(read[-1]["url"], timeout=60).content == CONTENT
    manifest = json.loads(clouds.read(replica, f"bundles/{bundle}"))
    assert {file["name"] for file in manifest["files"]} == names
    assert statuses(api, "bundles", bundle, replica) == {200}
    assert is_listed(api, bundle, replica)


@pytest.mark.parametrize("point", FILE)
def test_a_file_is_absent_until_it_is_whole(
    mortal: Mortal, api: Api, clouds: Clouds, replica: str, point: str
) -> None:
    file, url = Version(new_uuid(), now()), clouds.stage(replica, CONTENT)
    claimed = FILE.index(point) >= FILE.index(FILE_CLAIMED)

    assert mortal.dies_of(put_file, mortal.api, url, file=file), f"{point!r} was not reached"

    if point == FILE[-1]:
        assert_whole_file(api, clouds, file, replica)
    else:
        assert statuses(api, "files", file, replica) == {404}
    if claimed:
        put_file(api, clouds.stage(replica, b"other content"), file=file, status=409)

    put_file(mortal.back(), url, file=file, status=200 if claimed else 201)
    assert_whole_file(api, clouds, file, replica)
    put_file(api, url, file=file, status=200)
    put_file(api, clouds.stage(replica, b"other content"), file=file, status=409)


@pytest.mark.parametrize("point", FILES)
def test_files_of_one_request_are_absent_until_they_are_whole(
    mortal: Mortal, api: Api, clouds: Clouds, point: str
) -> None:
    replica = REPLICAS[FILES.index(point) % 2]
    files = [Version(new_uuid(), now()) for _ in range(3)]
    claimed = FILES.index(point) >= FILES.index("files: heads created")

    def put(somebody: Api, content: bytes = CONTENT) -> list[int]:
        encoded = base64.b64encode(content).decode()
        items = [{"uuid": file.uuid, "version": file.version, "content": encoded, **BODY} for file in files]
        answer = somebody.post("/v1/files/batch", replica=replica, json={"files": items})
        return [row["status"] for row in answer.json()["files"]]

    assert mortal.dies_of(put, mortal.api), f"{point!r} was not reached"

    seen = point == FILES[-1]
    for file in files:
        assert statuses(api, "files", file, replica) == ({200} if seen else {404})
    if claimed:
        assert put(api, b"other content") == [409] * 3

    assert put(mortal.back()) == [200 if claimed else 201] * 3
    for file in files:
        assert_whole_file(api, clouds, file, replica)
    assert put(api) == [200] * 3
    assert put(api, b"other content") == [409] * 3


@pytest.mark.parametrize("point", BUNDLE)
def test_a_bundle_is_absent_until_it_is_whole(mortal: Mortal, api: Api, clouds: Clouds, point: str) -> None:
    replica = REPLICAS[BUNDLE.index(point) % 2]
    file = put_file(api, clouds.stage(replica, CONTENT))
    bundle, files = Version(new_uuid(), now()), [file.named("a"), file.named("b/c")]
    claimed = BUNDLE.index(point) >= BUNDLE.index(BUNDLE_CLAIMED)

    assert mortal.dies_of(put_bundle, mortal.api, replica, files, bundle=bundle), f"{point!r} was not reached"

    if point == BUNDLE[-1]:
        assert_whole_bundle(api, clouds, bundle, replica, files)
    else:
        assert statuses(api, "bundles", bundle, replica) == {404}
        assert not is_listed(api, bundle, replica)
    if claimed:
        put_bundle(api, replica, files[:1], bundle=bundle, status=409)

    put_bundle(mortal.back(), replica, files, bundle=bundle, status=200 if claimed else 201)
    assert_whole_bundle(api, clouds, bundle, replica, files)
    put_bundle(api, replica, files, bundle=bundle, status=200)
    put_bundle(api, replica, files[:1], bundle=bundle, status=409)


@pytest.mark.parametrize("point", TOMBSTONE)
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "version"])
def test_a_bundle_is_there_until_it_is_hidden_for_ever(
    mortal: Mortal, admin: Api, clouds: Clouds, point: str, whole: bool, replica: str = "gcp"
) -> None:
    file = put_file(admin, clouds.stage(replica, CONTENT))
    files = [file.named("name")]
    bundle = put_bundle(admin, replica, files)
    tombstone = f"bundles/{bundle.uuid if whole else bundle}.dead"

    def delete(somebody: Api, reason: str = "to see it gone") -> int:
        query = {"replica": replica, "version": None if whole else bundle.version}
        answer = somebody.delete(f"/v1/bundles/{bundle.uuid}", json={"reason": reason}, **query)
        return answer.status_code

    assert mortal.dies_of(delete, mortal.api), f"{point!r} was not reached"

    if point == TOMBSTONE[-1]:
        assert statuses(admin, "bundles", bundle, replica) == {404}
    else:
        assert_whole_bundle(admin, clouds, bundle, replica, files)
    assert delete(admin, reason="another") == 409

    assert delete(mortal.back()) == 200
    assert statuses(admin, "bundles", bundle, replica) == {404}
    assert not is_listed(admin, bundle, replica)
    assert json.loads(clouds.read(replica, tombstone))["reason"] == "to see it gone"
    assert delete(admin) == 200


def collection_statuses(api: Api, collection: Version, replica: str) -> set[int]:
    """Return the statuses of all ways to read a collection."""
    path = f"/v1/collections/{collection.uuid}"
    asked = [api.get(path, replica=replica, version=version) for version in (collection.version, None)]
    return {answer.status_code for answer in asked}


def owns(api: Api, collection: Version) -> bool:
    """Tell whether a collection is in the list of who asks."""
    pages = api.pages("/v1/collections")
    return {"uuid": collection.uuid, "version": collection.version} in [
        one for page in pages for one in page.json()["collections"]
    ]


@pytest.mark.parametrize("point", COLLECTION)
def test_a_collection_is_absent_until_it_is_whole(
    mortal: Mortal, admin: Api, clouds: Clouds, point: str
) -> None:
    replica = REPLICAS[COLLECTION.index(point) % 2]
    file = put_file(admin, clouds.stage(replica, CONTENT))
    collection, contents = Version(new_uuid(), now()), [file.linked()]
    claimed = COLLECTION.index(point) >= COLLECTION.index(COLLECTION_CLAIMED)

    def put(api: Api, status: int = 201, name: str = "mine") -> None:
        put_collection(api, replica, contents, collection=collection, name=name, status=status)

    assert mortal.dies_of(put, mortal.api), f"{point!r} was not reached"

    seen = point == COLLECTION[-1]
    assert collection_statuses(admin, collection, replica) == ({200} if seen else {404})
    assert owns(admin, collection) is seen
    if claimed:
        put(admin, 409, name="other")

    put(mortal.back())
    assert collection_statuses(admin, collection, replica) == {200}
    assert owns(admin, collection)
    path = f"/v1/collections/{collection.uuid}"
    assert admin.get(path, replica=replica).json()["contents"] == contents
    assert json.loads(clouds.read(replica, f"collections/{collection}"))["contents"] == contents
    put(admin)
    put(admin, 409, name="other")


@pytest.mark.parametrize("point", COLLECTION_TOMBSTONE)
def test_a_collection_is_there_until_it_is_hidden_for_ever(
    mortal: Mortal, admin: Api, clouds: Clouds, point: str
) -> None:
    replica = REPLICAS[COLLECTION_TOMBSTONE.index(point) % 2]
    collection = put_collection(admin, replica, [])

    def delete(somebody: Api) -> int:
        return somebody.delete(f"/v1/collections/{collection.uuid}", replica=replica).status_code

    assert mortal.dies_of(delete, mortal.api), f"{point!r} was not reached"

    hidden = point == COLLECTION_TOMBSTONE[-1]
    assert collection_statuses(admin, collection, replica) == ({404} if hidden else {200})
    assert delete(mortal.back()) == 200
    assert collection_statuses(admin, collection, replica) == {404}
    assert not owns(admin, collection)
    assert "@" in json.loads(clouds.read(replica, f"collections/{collection.uuid}.dead"))["email"]
    assert delete(admin) == 200


def killed(stack: dict[str, str], point: str, *arguments: object) -> bool:
    """Run `dss admin`; return whether it was killed at a point."""
    return dss({**stack, "DSS_FAULT_POINT": point}, "admin", *arguments).code == -9


@pytest.mark.parametrize("point", ACCESS)
def test_a_binding_that_was_killed_is_finished_by_a_retry(
    stack: dict[str, str], api: Api, anyone: Api, clouds: Clouds, point: str
) -> None:
    file = put_file(api, clouds.stage("gcp", CONTENT))
    bundle = put_bundle(api, "gcp", [file.named("a")])
    paths = [f"/v1/bundles/{bundle.uuid}", f"/v1/files/{file.uuid}"]
    command = ("access", "add", bundle.uuid, "dss", "--with-files")

    def seen_by_anyone() -> list[int]:
        return [anyone.get(path, replica="gcp").status_code for path in paths]

    assert killed(stack, point, *command), f"{point!r} was not reached"

    # What is not in effect yet is not half in effect; heads follow one after the other.
    if ACCESS.index(point) < ACCESS.index("access: in effect"):
        assert seen_by_anyone() == [200, 302]
    assert dss_here(stack, "admin", *command).code == 0
    assert seen_by_anyone() == [401, 401]
    assert [api.get(path, replica="gcp").status_code for path in paths] == [200, 302]
    [key] = clouds.keys("gcp", f"access/{bundle.uuid}")
    assert json.loads(clouds.read("gcp", key))["readers"] == ["dss"]


@pytest.mark.parametrize("point", ["access: claimed", "access: object written", *BUNDLE[1:-1]])
def test_a_claim_that_was_killed_is_finished_by_a_retry(
    mortal: Mortal, stack: dict[str, str], clouds: Clouds, point: str
) -> None:
    writer, other = Api(mortal.process.url, stack["DSS_TOKEN"]), mortal.other.signed_in(stack["DSS_TOKEN"])
    bundle = Version(new_uuid(), now())
    path, body = f"/v1/bundles/{bundle.uuid}", {"files": [], **BODY}
    query = {"replica": "gcp", "version": bundle.version, "owner_group": "dss", "json": body}

    assert mortal.dies_of(writer.put, path, **query), f"{point!r} was not reached"
    assert statuses(other, "bundles", bundle, "gcp") == {404}
    mortal.back()

    # The next write finishes the claim, even by another version.
    later = Version(bundle.uuid, now())
    put_bundle(other, "gcp", [], bundle=later)
    [key] = clouds.keys("gcp", f"access/{bundle.uuid}")
    assert json.loads(clouds.read("gcp", key))["owner_group"] == "dss"
    assert other.put(path, **query).status_code == 200


@pytest.mark.parametrize("point", GROUP)
def test_a_group_that_was_killed_is_finished_by_a_retry(
    stack: dict[str, str], clouds: Clouds, point: str
) -> None:
    name = f"lab-{new_uuid()[:8]}"
    command = ("group", "add", name, "a@example.org", "b@example.org")

    assert killed(stack, point, *command), f"{point!r} was not reached"

    def members() -> list[str]:
        [group] = dss_here(stack, "admin", "group", "list", name, "--json").json["groups"] or [
            {"members": []}
        ]
        return list(group["members"])

    both = ["a@example.org", "b@example.org"]
    assert members() == (both if GROUP.index(point) >= GROUP.index("group: in effect") else [])
    assert dss_here(stack, "admin", *command).code == 0
    assert members() == both
    [key] = clouds.keys("gcp", f"groups/{group_uuid(name)}")
    assert json.loads(clouds.read("gcp", key))["members"] == both
