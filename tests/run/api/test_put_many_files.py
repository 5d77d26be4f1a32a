"""POST /files/batch: many small files in one request, each with the guarantees of a PUT of its own."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
import requests

from shared.checksums import checksums_of
from shared.file_batches import MOST_BYTES, MOST_FILES
from shared.system import Dss
from tests.support.access_world import bind
from tests.support.api import Api, Version, assert_problem, new_uuid, now, put_file
from tests.support.clouds import Clouds

PATH = "/v1/files/batch"


def item(content: bytes, file: Version | None = None, **more: Any) -> dict[str, Any]:
    """Return a file of the list."""
    file = file or Version(new_uuid(), now())
    encoded = base64.b64encode(content).decode()
    return {"uuid": file.uuid, "version": file.version, "creator_uid": 1, "content": encoded, **more}


def named(row: Mapping[str, Any]) -> Version:
    """Return the file of an item, or of a row of the answer."""
    return Version(row["uuid"], row["version"])


def post(api: Api, replica: str, *items: Mapping[str, Any]) -> requests.Response:
    """Return the answer to a request with these files."""
    return api.post(PATH, replica=replica, json={"files": list(items)})


def statuses(answer: requests.Response) -> list[int]:
    """Return the status of each file."""
    assert answer.status_code == 200, answer.text
    return [row["status"] for row in answer.json()["files"]]


def head(api: Api, replica: str, row: Mapping[str, Any]) -> requests.Response:
    """Return the answer to a HEAD of the file of an item."""
    return api.head(f"/v1/files/{row['uuid']}", replica=replica, version=row["version"])


def test_files_are_written_with_blob_manifest_and_type(api: Api, clouds: Clouds, replica: str) -> None:
    contents = [new_uuid().encode() * 20, b"", new_uuid().encode()]
    items = [
        item(contents[0], content_type="text/plain; dcp-type=data", creator_uid=7),
        item(contents[1]),
        item(contents[2], sha256=checksums_of(contents[2]).sha256.upper()),
    ]

    answer = post(api, replica, *items)

    assert statuses(answer) == [201, 201, 201]
    assert [named(row) for row in answer.json()["files"]] == [named(one) for one in items]
    for one, content in zip(items, contents, strict=True):
        url = api.get(f"/v1/files/{one['uuid']}", replica=replica).headers["Location"]
        assert requests.get(url, timeout=60).content == content
        manifest = json.loads(clouds.read(replica, f"files/{named(one)}"))
        checksums = checksums_of(content)
        assert manifest["size"] == len(content)
        assert (manifest["sha256"], manifest["sha1"]) == (checksums.sha256, checksums.sha1)
        assert (manifest["s3-etag"], manifest["crc32c"]) == (checksums.s3_etag, checksums.crc32c)
        assert clouds.read(replica, checksums.blob_key) == content
    seen = head(api, replica, items[0]).headers
    assert (seen["X-DSS-CONTENT-TYPE"], seen["X-DSS-CREATOR-UID"]) == ("text/plain; dcp-type=data", "7")
    assert head(api, replica, items[1]).headers["X-DSS-CONTENT-TYPE"] == "application/octet-stream"


def test_content_for_s3_is_in_the_primary_cloud_at_once(api: Api, clouds: Clouds) -> None:
    content = new_uuid().encode()

    assert statuses(post(api, "aws", item(content))) == [201]

    assert clouds.read("gcp", checksums_of(content).blob_key) == content


def test_a_repetition_writes_nothing_and_new_ones_beside_it_are_written(api: Api, replica: str) -> None:
    items = [item(b"same"), item(b"same"), item(new_uuid().encode())]
    assert statuses(post(api, replica, *items)) == [201] * 3

    again = post(api, replica, *items, item(b"same"))

    assert statuses(again) == [200, 200, 200, 201]
    assert statuses(post(api, replica, *items)) == [200] * 3


def test_a_name_has_one_content_and_the_others_are_written(api: Api, clouds: Clouds, replica: str) -> None:
    taken = put_file(api, clouds.stage(replica, b"first"))
    same, other = item(b"first", taken), item(b"second", taken)
    valid = [item(b"valid"), item(b"valid too")]
    changes = [other, {**same, "creator_uid": 2}, {**same, "content_type": "text/plain"}]

    answers = [post(api, replica, valid[0], one, valid[1]) for one in changes]

    assert [statuses(answer) for answer in answers] == [[201, 409, 201], [200, 409, 200], [200, 409, 200]]
    row = answers[0].json()["files"][1]
    assert (row["code"], str(taken) in row["title"]) == ("file_already_exists", True)
    assert head(api, replica, other).headers["X-DSS-SIZE"] == "5"
    assert all(head(api, replica, one).status_code == 200 for one in valid)
    assert statuses(post(api, replica, same)) == [200]


def test_versions_of_one_file_and_files_of_one_content_are_told_apart(api: Api, replica: str) -> None:
    uuid = new_uuid()
    items = [item(b"one", Version(uuid, now())), item(b"two", Version(uuid, now())), item(b"one")]

    assert statuses(post(api, replica, *items)) == [201] * 3
    sizes = {head(api, replica, one).headers["X-DSS-SHA256"] for one in items}
    assert len(sizes) == 2


def test_another_sha256_than_claimed_is_422_and_leaves_nothing(
    api: Api, clouds: Clouds, replica: str
) -> None:
    content = new_uuid().encode()
    false = item(content, sha256="0" * 64)

    answer = post(api, replica, item(b"valid"), false)

    assert statuses(answer) == [201, 422]
    assert answer.json()["files"][1]["code"] == "invalid_checksum"
    assert head(api, replica, false).status_code == 404
    assert clouds.keys(replica, f"blobs/{checksums_of(content).sha256}") == []
    del false["sha256"]
    assert statuses(post(api, replica, false)) == [201]


MALFORMED: dict[str, tuple[Any, str]] = {
    "no list": ({}, "json_request_body.files"),
    "an empty list": ({"files": []}, "json_request_body.files"),
    "no base64": ({"content": "not base64!"}, "files[1].content"),
    "no padding": ({"content": "YQ"}, "files[1].content"),
    "not ASCII": ({"content": "é==="}, "files[1].content"),
    "a number": ({"content": 5}, "files[1].content"),
    "no content": ({"content": None}, "files[1].content"),
    "no UUID": ({"uuid": "x"}, "files[1].uuid"),
    "no version": ({"version": "yesterday"}, "files[1].version"),
    "a version ahead": ({"version": "2999-01-01T000000.000000Z"}, "files[1].version"),
    "no creator": ({"creator_uid": "me"}, "files[1].creator_uid"),
    "a type of two lines": ({"content_type": "a\nb"}, "files[1].content_type"),
    "a long type": ({"content_type": "a" * 256}, "files[1].content_type"),
    "a short sha256": ({"sha256": "ab"}, "files[1].sha256"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_list_is_refused_as_a_whole(api: Api, case: str) -> None:
    change, place = MALFORMED[case]
    valid = item(b"valid")
    body = change if not change or "files" in change else {"files": [valid, {**item(b"b"), **change}]}

    answer = api.post(PATH, replica="gcp", json=body)

    code = "illegal_version" if "version" in place else "illegal_arguments"
    assert_problem(answer, 400, code, place)
    assert head(api, "gcp", valid).status_code == 404


@pytest.mark.parametrize("content", [b"a", b"other"])
def test_one_name_twice_is_refused_as_a_whole(api: Api, content: bytes) -> None:
    first = item(b"a")
    second = item(content, Version(first["uuid"].upper(), first["version"]))

    answer = post(api, "gcp", item(b"valid"), first, second)

    assert_problem(answer, 400, "illegal_arguments", "files[2]", "files[1]")
    assert head(api, "gcp", first).status_code == 404


def test_too_many_files_and_too_many_bytes_are_413(api: Api) -> None:
    count = post(api, "gcp", *(item(b"") for _ in range(MOST_FILES + 1)))
    size = post(api, "gcp", item(b"small"), item(b"x" * (MOST_BYTES - 4)), item(b""))

    assert_problem(count, 413, "illegal_arguments", str(MOST_FILES))
    assert_problem(size, 413, "illegal_arguments", "files[1].content")


def test_as_many_files_and_bytes_as_allowed_are_written(api: Api, replica: str) -> None:
    small = [item(f"{number}{new_uuid()}".encode()) for number in range(MOST_FILES - 1)]
    used = sum(len(base64.b64decode(one["content"])) for one in small)
    large = item(new_uuid().encode().ljust(MOST_BYTES - used, b"."))

    answer = post(api, replica, *small, large)

    assert statuses(answer) == [201] * MOST_FILES
    assert head(api, replica, large).headers["X-DSS-SIZE"] == str(MOST_BYTES - used)


def test_what_others_own_is_refused_alone(api: Api, dss: Dss, clouds: Clouds) -> None:
    owned, own = (put_file(api, clouds.stage("gcp", b"first")) for _ in range(2))
    bind(dss, owned.uuid, owner_group=f"group-{new_uuid()}")
    next_version = [item(b"next", Version(file.uuid, now())) for file in (owned, own)]

    answer = post(api, "gcp", next_version[0], item(b"new"), next_version[1])

    assert statuses(answer) == [403, 201, 201]
    assert head(api, "gcp", next_version[0]).status_code == 404
    assert head(api, "gcp", next_version[1]).status_code == 200
