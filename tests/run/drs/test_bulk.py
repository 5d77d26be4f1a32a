"""Bulk requests of DRS."""

import pytest
import requests

from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_file
from tests.support.clouds import Clouds
from tests.support.drs import Drs


@pytest.fixture
def files(api: Api, clouds: Clouds) -> list[Version]:
    """A file on each replica."""
    return [put_file(api, clouds.stage(replica, replica.encode())) for replica in ("gcp", "aws")]


def test_many_objects_are_described_as_each_alone(api: Api, drs: Drs, files: list[Version]) -> None:
    bundle = put_bundle(api, "gcp", [files[0].named("name")])
    ids = [str(files[0]), str(bundle), files[1].uuid]

    # An id that is named twice counts once.
    found = drs.post("/objects", {"bulk_object_ids": [*ids, ids[0]]}).json()

    assert found["resolved_drs_object"] == [drs.object(one) for one in ids]
    assert found["summary"] == {"requested": 3, "resolved": 3, "unresolved": 0}
    assert found["unresolved_drs_objects"] == []


def test_what_is_unknown_does_not_fail_the_others(drs: Drs, files: list[Version]) -> None:
    unknown = [new_uuid(), f"{new_uuid()}.{now()}", "no id", "a/b", "\x00", "ä" * 5000]
    ids = [unknown[0], str(files[0]), *unknown[1:]]

    for answer in (
        drs.post("/objects", {"bulk_object_ids": ids}),
        drs.options("/objects", json={"bulk_object_ids": ids}),
    ):
        found = answer.json()

        assert answer.status_code == 200
        assert found["unresolved_drs_objects"] == [{"error_code": 404, "object_ids": unknown}]
        assert found["summary"] == {"requested": 7, "resolved": 1, "unresolved": 6}


def test_authorizations_of_many(drs: Drs, files: list[Version]) -> None:
    ids = list(map(str, files))

    found = drs.options("/objects", json={"bulk_object_ids": ids}).json()

    assert found["resolved_drs_object"] == [
        {"drs_object_id": one, "supported_types": ["None"]} for one in ids
    ]


def test_urls_of_many(drs: Drs, files: list[Version]) -> None:
    of_each = [[method["access_id"] for method in drs.object(file)["access_methods"]] for file in files]
    asked = [
        {"bulk_object_id": str(file), "bulk_access_ids": access_ids}
        for file, access_ids in zip(files, of_each, strict=True)
    ]
    asked[0]["bulk_access_ids"].append("other")

    found = drs.post("/objects/access", {"bulk_object_access_ids": asked}).json()

    assert found["summary"] == {"requested": 5, "resolved": 4, "unresolved": 1}
    assert found["unresolved_drs_objects"] == [{"error_code": 404, "object_ids": [str(files[0])]}]
    urls = {
        (one["drs_object_id"], one["drs_access_id"]): one["url"]
        for one in found["resolved_drs_object_access_urls"]
    }
    for file, content, access_ids in zip(files, (b"gcp", b"aws"), of_each, strict=True):
        for access_id in access_ids[:2]:
            assert requests.get(urls[str(file), access_id], timeout=60).content == content


def test_an_empty_list_resolves_nothing(drs: Drs) -> None:
    nothing = {"requested": 0, "resolved": 0, "unresolved": 0}

    for path, name in (("/objects", "bulk_object_ids"), ("/objects/access", "bulk_object_access_ids")):
        assert drs.post(path, {name: []}).json()["summary"] == nothing


def test_an_object_without_access_ids_is_400(drs: Drs, files: list[Version]) -> None:
    items = [{"bulk_object_id": str(file), "bulk_access_ids": []} for file in files]
    items[0]["bulk_access_ids"] = ["https.gcp"]

    refused = drs.post("/objects/access", {"bulk_object_access_ids": items})

    assert refused.status_code == 400
    assert "bulk_object_access_ids[1].bulk_access_ids: has 0 items" in refused.json()["msg"]


def test_more_than_a_thousand_is_413(drs: Drs) -> None:
    ids = [new_uuid()] * 1001
    # Pairs count, not objects.
    pairs = [{"bulk_object_id": ids[0], "bulk_access_ids": ["a"] * 500}] * 3
    for answer in (
        drs.post("/objects", {"bulk_object_ids": ids}),
        drs.options("/objects", json={"bulk_object_ids": ids}),
        drs.post("/objects/access", {"bulk_object_access_ids": pairs}),
    ):
        assert answer.status_code == 413
        assert "1,000" in answer.json()["msg"]
    assert drs.post("/objects", {"bulk_object_ids": ids[1:]}).status_code == 200
