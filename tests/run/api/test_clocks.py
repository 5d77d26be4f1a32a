"""Clocks that disagree: what may be written ahead of the service's time, and what PATCH stamps then."""

from datetime import timedelta
from typing import Any

import pytest

from run.api.contract import Contract
from shared.clock import SystemClock
from shared.identifiers import version_after, version_of
from tests.support.api import (
    Api,
    Version,
    assert_problem,
    new_uuid,
    now,
    put_bundle,
    put_collection,
    put_file,
)
from tests.support.clouds import Clouds

# The operations that write a version of the caller's choice.
WRITES = {"files.put", "bundles.put", "collections.put"}
TOO_FAR = ["9999-12-31T235959.999999Z", "601 s"]


def ahead(seconds: float) -> str:
    """Return a version stamped by a clock that is ahead of this machine's."""
    return version_of(SystemClock().now() + timedelta(seconds=seconds))


def version(text: str) -> str:
    return ahead(float(text.removesuffix(" s"))) if text.endswith(" s") else text


def write(api: Api, clouds: Clouds, replica: str, operation: str, name: Version) -> Any:
    """Return the answer to a PUT of something new."""
    if operation == "files.put":
        body: dict[str, Any] = {"source_url": clouds.stage(replica, b"x"), "creator_uid": 1}
        return api.put(f"/v1/files/{name.uuid}", version=name.version, json=body)
    if operation == "bundles.put":
        body = {"files": [], "creator_uid": 1}
        return api.put(f"/v1/bundles/{name.uuid}", replica=replica, version=name.version, json=body)
    body = {"name": "", "description": "", "details": {}, "contents": []}
    return api.put("/v1/collections", replica=replica, uuid=name.uuid, version=name.version, json=body)


def test_these_are_all_operations_that_write_a_version_of_choice() -> None:
    document = Contract.load().document
    choosing = {
        operation["operationId"]
        for methods in document["paths"].values()
        for method, operation in methods.items()
        if method in ("put", "post")
        and any(one["name"] == "version" and one.get("required") for one in operation["parameters"])
    }
    assert choosing == WRITES


@pytest.mark.parametrize("far", TOO_FAR)
@pytest.mark.parametrize("operation", sorted(WRITES))
def test_a_version_far_ahead_of_the_service_is_illegal(
    api: Api, clouds: Clouds, replica: str, operation: str, far: str
) -> None:
    name = Version(new_uuid(), version(far))
    answer = write(api, clouds, replica, operation, name)
    assert_problem(answer, 400, "illegal_version", name.version)
    assert "600 seconds ahead" in answer.json()["title"]


@pytest.mark.parametrize("operation", sorted(WRITES))
@pytest.mark.parametrize("seconds", [590, -1e9])
def test_a_version_a_little_ahead_or_long_ago_is_written(
    api: Api, clouds: Clouds, replica: str, operation: str, seconds: float
) -> None:
    name = Version(new_uuid(), ahead(seconds))
    assert write(api, clouds, replica, operation, name).status_code == 201


@pytest.mark.parametrize("kind", ["bundles", "collections"])
def test_a_patch_of_a_version_that_is_ahead_comes_right_after_it(api: Api, replica: str, kind: str) -> None:
    base = Version(new_uuid(), ahead(60))
    if kind == "bundles":
        put_bundle(api, replica, [], bundle=base)
    else:
        put_collection(api, replica, [], collection=base)
    path = f"/v1/{kind}/{base.uuid}"

    patched = api.patch(path, replica=replica, version=base.version, json={}).json()
    again = api.patch(path, replica=replica, version=patched["version"], json={}).json()

    assert patched["version"] == version_after(base.version)
    assert again["version"] == version_after(patched["version"])
    newest = api.get(path, replica=replica).json()
    assert newest.get("bundle", newest)["version"] == again["version"]


@pytest.mark.parametrize("kind", ["bundles", "collections"])
def test_a_patch_of_an_older_version_is_stamped_now(api: Api, replica: str, kind: str) -> None:
    base = Version(new_uuid(), ahead(-60))
    if kind == "bundles":
        put_bundle(api, replica, [], bundle=base)
    else:
        put_collection(api, replica, [], collection=base)
    before = now()
    answer = api.patch(f"/v1/{kind}/{base.uuid}", replica=replica, version=base.version, json={})
    assert before < answer.json()["version"] < now()


def test_files_and_links_may_be_ahead(api: Api, clouds: Clouds, replica: str) -> None:
    """What is written ahead can be used at once."""
    file = put_file(api, clouds.stage(replica, b"x"), file=Version(new_uuid(), ahead(300)))
    put_bundle(api, replica, [file.named("a")])
    put_collection(api, replica, [file.linked()])
