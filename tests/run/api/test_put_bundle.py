"""PUT /bundles: which requests create a bundle, and which are refused."""

import json
import time

import pytest
import requests

from shared.checksums import checksums_of
from tests.support.api import Version, assert_problem, new_uuid, now, put_bundle, put_file

OTHER_REPLICA = {"gcp": "aws", "aws": "gcp"}


def put(api, replica, files, bundle=None, **body):
    """Return the answer to a PUT of items."""
    bundle = bundle or Version(new_uuid(), now())
    body = {"files": files, "creator_uid": 1, **body}
    return api.put(f"/v1/bundles/{bundle.uuid}", replica=replica, version=bundle.version, json=body)


def names_of_files(api, replica, bundle):
    """Return the names in a bundle as a read lists them."""
    answer = api.get(f"/v1/bundles/{bundle.uuid}", replica=replica, version=bundle.version)
    return [item["name"] for item in answer.json()["bundle"]["files"]]


def test_a_new_bundle_is_201_and_the_same_again_is_200(api, file, replica):
    bundle, files = Version(new_uuid(), now()), [file.named("b"), file.named("a", indexed=True)]
    first, second = put(api, replica, files, bundle), put(api, replica, files[::-1], bundle)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert first.json()["version"] == bundle.version


def test_the_answer_holds_the_manifest_that_is_in_the_bucket(api, clouds, file, replica):
    data = b"content of a file"
    checksums = checksums_of(data)
    bundle = Version(new_uuid(), now())
    manifest = put(api, replica, [file.named("x/y.json", indexed=True)], bundle, creator_uid=9).json()[
        "manifest"
    ]
    assert manifest == {
        "format": "0.0.1",
        "version": bundle.version,
        "creator_uid": 9,
        "files": [
            {
                "name": "x/y.json",
                "uuid": file.uuid,
                "version": file.version,
                "content-type": "application/octet-stream",
                "size": len(data),
                "indexed": True,
                "crc32c": checksums.crc32c,
                "s3-etag": checksums.s3_etag,
                "sha1": checksums.sha1,
                "sha256": checksums.sha256,
            }
        ],
    }
    assert json.loads(clouds.read(replica, f"bundles/{bundle}")) == manifest


def test_other_files_names_or_creators_under_the_same_name_are_409(api, clouds, file, replica):
    other = put_file(api, clouds.stage(replica, b"other"))
    bundle = put_bundle(api, replica, [file.named("a")])
    answers = [
        put(api, replica, [], bundle),
        put(api, replica, [other.named("a")], bundle),
        put(api, replica, [file.named("b")], bundle),
        put(api, replica, [file.named("a", indexed=True)], bundle),
        put(api, replica, [file.named("a")], bundle, creator_uid=2),
    ]
    for answer in answers:
        assert_problem(answer, 409, "bundle_already_exists", str(bundle))
    files = api.get(f"/v1/bundles/{bundle.uuid}", replica=replica).json()["bundle"]["files"]
    assert [(item["name"], item["uuid"]) for item in files] == [("a", file.uuid)]


def test_a_bundle_may_be_empty(api, replica):
    bundle = put_bundle(api, replica, [])
    answer = api.get(f"/v1/bundles/{bundle.uuid}", replica=replica)
    assert answer.status_code == 200
    assert answer.json()["bundle"]["files"] == []


def test_one_file_may_stand_under_several_names(api, file, replica):
    names = ["a", "b/c", "b/d"]
    bundle = put_bundle(api, replica, [file.named(name) for name in names])
    assert names_of_files(api, replica, bundle) == names


def test_a_uuid_in_upper_case_is_the_same_bundle(api, file, replica):
    bundle = Version(new_uuid(), now())
    item = {**file.named("a"), "uuid": file.uuid.upper()}
    assert put(api, replica, [item], Version(bundle.uuid.upper(), bundle.version)).status_code == 201
    assert put(api, replica, [file.named("a")], bundle).status_code == 200


def test_files_that_exist_nowhere_are_named_all_together(api, file, replica):
    missing = [Version(new_uuid(), now()) for _ in range(2)]
    missing.append(Version(file.uuid, now()))
    items = [file.named("there"), *(one.named(f"missing {one.uuid}") for one in missing)]
    answer = put(api, replica, items)
    problem = assert_problem(answer, 400, "file_missing", *map(str, missing))
    assert str(file) not in problem["title"]


def test_of_many_missing_files_some_are_named_and_the_rest_is_counted(api, replica):
    items = [Version(new_uuid(), now()).named(str(number)) for number in range(300)]
    problem = assert_problem(put(api, replica, items), 400, "file_missing", "290 more")
    assert len(problem["title"]) < 2000


def test_files_of_the_other_replica_are_waited_for_and_then_missing(configured, file, replica):
    began = time.monotonic()
    answer = put(configured, OTHER_REPLICA[replica], [file.named("a")])
    assert time.monotonic() - began >= 1
    assert_problem(answer, 400, "file_missing", str(file), OTHER_REPLICA[replica])


@pytest.mark.parametrize(
    "names",
    [("a", "a"), ("a", "b", "c/d", "c/d"), ("a", "a/b"), ("a/b", "a"), ("a/b/c/d", "a/b"), ("ü", "ü/x")],
)
def test_names_that_collide_are_400(api, file, replica, names):
    answer = put(api, replica, [file.named(name) for name in names])
    assert_problem(answer, 400, "duplicate_filename", "files", names[0].partition("/")[0])


def test_names_that_only_look_alike_do_not_collide(api, file, replica):
    names = ["a", "ab/c", "a.b/c", "A", "a b", "aa"]
    bundle = put_bundle(api, replica, [file.named(name) for name in names])
    assert sorted(names_of_files(api, replica, bundle)) == sorted(names)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../x", "./x", "/x", "~/x", "a/../b", "a/./b", "a/..", "a/.", "a//../b", "//a", "/"),
        *("a\\b", "\\", "a\nb", "a\n", "a\x00b", "a\x7f", "n/" * 450 + "n", "ü/" * 300 + "n"),
        *("n" * 256, "ü" * 128, "a/" + "n" * 256, "n" * 256 + "/a"),
    ],
)
def test_names_that_leave_their_directory_or_cannot_be_stored_are_400(api, file, replica, name):
    answer = put(api, replica, [file.named("good"), file.named(name)])
    assert_problem(answer, 400, "illegal_arguments", "files[1].name")


@pytest.mark.parametrize(
    "name",
    [
        *("a b", ".hidden", "..a", "a..b", "näme €.txt", "日本/語", "'\"<>&?#%;", "~"),
        *("path.json2/", "a//b", "a///", "a/.hidden", "counts/.zarray", ".git/HEAD"),
        *("a./b", "a/...", "a/~/b", "n" * 255, "ü" * 127 + "n", "n" * 255 + "/a"),
        *("n/" * 450, ("n" * 255 + "/") * 3 + "n" * 132),
    ],
)
def test_all_other_names_are_kept_as_they_are(api, file, replica, name):
    bundle = put_bundle(api, replica, [file.named(name)])
    [item] = api.get(f"/v1/bundles/{bundle.uuid}", replica=replica).json()["bundle"]["files"]
    assert item["name"] == name


def test_a_name_that_ends_with_a_slash_is_saved_under_its_last_step(api, file, replica):
    bundle = put_bundle(api, replica, [file.named("a//path.json2/")])
    answer = api.get(f"/v1/bundles/{bundle.uuid}", replica=replica, presignedurls=True)
    [item] = answer.json()["bundle"]["files"]
    saved = requests.get(item["url"], timeout=10)
    assert (saved.status_code, saved.content) == (200, b"content of a file")
    assert saved.headers["Content-Disposition"] == "attachment; filename=path.json2"


def test_what_is_wrong_with_a_name_is_said_without_a_pattern(api, file, replica):
    for name, words in (
        ("a/../b", "has a '.' or '..' step"),
        ("a/" + "n" * 256, "longer than 255 bytes"),
        ("/a", "is not relative"),
    ):
        title = put(api, replica, [file.named(name)]).json()["title"]
        assert title.startswith("json_request_body.files[0].name: ") and words in title
        assert "?!" not in title
        bundle = put_bundle(api, replica, [])
        path, query = f"/v1/bundles/{bundle.uuid}", {"replica": replica, "version": bundle.version}
        answer = api.patch(path, json={"add_files": [file.named(name)]}, **query)
        assert_problem(answer, 400, "illegal_arguments", "add_files[0].name", words)


def test_the_same_bundle_can_be_put_on_both_replicas(api, clouds):
    file = put_file(api, clouds.stage("gcp", b"on both"))
    put_file(api, clouds.stage("aws", b"on both"), file=file, status=200)
    bundle = put_bundle(api, "gcp", [file.named("a")])
    assert api.get(f"/v1/bundles/{bundle.uuid}", replica="aws").status_code == 404
    put_bundle(api, "aws", [file.named("a")], bundle=bundle, status=200)
    answers = [api.get(f"/v1/bundles/{bundle.uuid}", replica=replica).json() for replica in ("gcp", "aws")]
    assert answers[0] == answers[1]
