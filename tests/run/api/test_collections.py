"""Collections: owned, checked, versioned, hidden for ever, and private."""

from typing import Any

import pytest

from dss.tokens import claims_of, fetch_local
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

DOCUMENT = b'{"cells": [{"name": "first"}, {"name": "second"}], "a/b": {"~": null}, "": 0}'
ABOUT = {"name": "cells", "description": "all of them", "details": {"n": 1, "é": [None, 1.5]}}


@pytest.fixture
def other(api: Api, stack: dict[str, str]) -> Api:
    """The API for another user who may write."""
    return api.signed_in(stack["DSS_TOKEN2"])


@pytest.fixture
def json_file(api: Api, clouds: Clouds, replica: str) -> Version:
    return put_file(api, clouds.stage(replica, DOCUMENT, content_type="application/json"))


def link(kind: str, to: Version, **more: Any) -> dict[str, Any]:
    return to.linked(kind, **more)


def body(*contents: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**ABOUT, "contents": list(contents), **more}


def put(api: Api, replica: str, *contents: dict[str, Any], to: Version | None = None, **more: Any) -> Version:
    return put_collection(api, replica, contents, collection=to, **{**ABOUT, **more})


def patch(api: Api, replica: str, old: Version, **changes: Any) -> Version:
    answer = api.patch(f"/v1/collections/{old.uuid}", replica=replica, version=old.version, json=changes)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"uuid", "version"}
    return Version(**answer.json())


def read(api: Api, replica: str, name: Version, *, newest: bool = False) -> dict[str, Any]:
    version = None if newest else name.version
    answer = api.get(f"/v1/collections/{name.uuid}", replica=replica, version=version)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def listed(api: Api, **query: Any) -> list[dict[str, str]]:
    return [one for page in api.pages("/v1/collections", **query) for one in page.json()["collections"]]


def test_a_collection_is_read_as_it_was_put(
    api: Api, stack: dict[str, str], json_file: Version, replica: str
) -> None:
    bundle = put_bundle(api, replica, [json_file.named("a")])
    inner = put(api, replica)
    contents = [
        link("fragment", json_file, path="/cells/1/name"),
        link("cell", json_file, path="/a~1b/~0"),
        link("whole", json_file, path=""),
        link("collection", inner),
        link("file", json_file),
        link("bundle", bundle),
    ]

    made = put(api, replica, *contents, contents[0], contents[4])

    found = read(api, replica, made)
    assert found == {
        **body(*contents),
        "owner": claims_of(stack["DSS_TOKEN"])["email"],
        "uuid": made.uuid,
        "version": made.version,
    }
    assert read(api, replica, made, newest=True) == found
    assert read(api, replica, Version(made.uuid.upper(), made.version)) == found
    assert put(api, replica, *contents, to=made) == made


def test_a_version_once_written_never_changes(api: Api, json_file: Version, replica: str) -> None:
    made = put(api, replica, link("file", json_file))
    query = {"replica": replica, "uuid": made.uuid, "version": made.version}
    for changed in (
        body(),
        body(link("file", json_file), name="other"),
        body(link("file", json_file), details={}),
    ):
        answer = api.put("/v1/collections", json=changed, **query)
        assert_problem(answer, 409, "collection_already_exists", str(made))
    assert read(api, replica, made)["contents"] == [link("file", json_file)]


def test_a_patch_makes_a_new_version(api: Api, json_file: Version, replica: str) -> None:
    items = [link("x", json_file, path=f"/cells/{n}") for n in (0, 1)]
    first = put(api, replica, *items)

    second = patch(
        api,
        replica,
        first,
        remove_contents=[{**items[0], "uuid": json_file.uuid.upper()}, link("file", json_file)],
        add_contents=[link("file", json_file), items[1], {**link("y", json_file), "fragment": "/cells"}],
        description="fewer",
    )

    assert second.version > first.version
    found = read(api, replica, first, newest=True)
    assert found["version"] == second.version
    assert found["contents"] == [
        items[1],
        link("file", json_file),
        {**link("y", json_file), "fragment": "/cells"},
    ]
    assert (found["name"], found["description"], found["details"]) == ("cells", "fewer", body()["details"])
    assert read(api, replica, first)["contents"] == items
    third = patch(api, replica, second, details={}, name="")
    assert read(api, replica, third)["contents"] == found["contents"]
    assert (read(api, replica, third)["details"], read(api, replica, third)["name"]) == ({}, "")
    missing = api.patch(f"/v1/collections/{first.uuid}", replica=replica, version=now(), json={})
    assert_problem(missing, 404, "not_found", first.uuid)


def test_a_collection_is_its_owners_and_admins(
    api: Api, other: Api, admin: Api, json_file: Version, replica: str
) -> None:
    made = put(api, replica, link("file", json_file))
    path, query = f"/v1/collections/{made.uuid}", {"replica": replica, "version": made.version}

    for answer in (
        other.get(path, replica=replica),
        other.get(path, **query),
        other.patch(path, json={}, **query),
        other.delete(path, replica=replica),
        other.put("/v1/collections", json=body(), uuid=made.uuid, **query),
        other.put("/v1/collections", json=body(), uuid=made.uuid, replica=replica, version=now()),
    ):
        assert_problem(answer, 403, "Forbidden", "owner")

    owner = read(api, replica, made)["owner"]
    assert read(admin, replica, made)["owner"] == owner
    newer = patch(admin, replica, made, name="by an admin")
    put(admin, replica, to=Version(made.uuid, now()))
    for version in (newer, made):
        assert read(api, replica, version)["owner"] == owner
    assert made.uuid not in {one["uuid"] for one in listed(admin)}
    assert admin.delete(path, replica=replica).status_code == 200
    assert api.get(path, replica=replica).status_code == 404


def test_a_deleted_collection_is_gone_for_ever(
    api: Api, clouds: Clouds, json_file: Version, replica: str
) -> None:
    first = put(api, replica, link("file", json_file))
    second = patch(api, replica, first)
    path = f"/v1/collections/{first.uuid}"
    assert_problem(api.delete(f"/v1/collections/{new_uuid()}", replica=replica), 404, "not_found")

    for _ in range(2):
        answer = api.delete(path, replica=replica)
        assert (answer.status_code, answer.json()) == (200, {})

    later = Version(first.uuid, now())
    put_collection(api, replica, [], collection=later, status=409)
    for version in (first.version, second.version, later.version, None):
        assert_problem(api.get(path, replica=replica, version=version), 404, "not_found", first.uuid)
    gone = api.patch(path, replica=replica, version=first.version, json={})
    assert_problem(gone, 404, "not_found")
    assert first.uuid not in {one["uuid"] for one in listed(api)}
    assert clouds.keys(replica, f"collections/{first.uuid}.dead") != []


def test_the_list_is_the_owners_newest_versions_in_pages(
    api: Api, stack: dict[str, str], replica: str
) -> None:
    email = f"{new_uuid()}@example.org"
    token = fetch_local(stack["DSS_LOCAL_TOKEN_URL"], email=email, group="dss", seconds=600)
    mine = api.signed_in(token)
    made = [put(mine, replica) for _ in range(11)]
    newest = patch(mine, replica, made[0])
    put(mine, replica, to=Version(made[0].uuid, "1999-01-01T000000.000000Z"))
    put(mine, replica, to=Version(made[1].uuid, "0001-01-01T000000.000000Z"))

    pages = list(mine.pages("/v1/collections", per_page=10))

    assert [page.status_code for page in pages] == [206, 200]
    assert {page.headers["X-OpenAPI-Paginated-Content-Key"] for page in pages} == {"collections"}
    found = [one for page in pages for one in page.json()["collections"]]
    wanted = [newest, *made[1:]]
    assert found == sorted(
        ({"uuid": one.uuid, "version": one.version} for one in wanted), key=lambda one: one["uuid"]
    )
    assert listed(mine, start_at=11) == listed(mine, start_at=2**62) == []
    assert listed(mine, start_at=10, per_page=10) == found[10:]


@pytest.mark.parametrize(
    "item",
    [
        {"type": "file"},
        {"type": "bundle"},
        {"type": "collection"},
        {"type": "fragment", "path": "/cells"},
    ],
    ids=lambda item: item["type"],
)
def test_a_link_to_nothing_is_named(api: Api, json_file: Version, replica: str, item: dict[str, Any]) -> None:
    nothing = Version(new_uuid(), now())
    items = [link("file", json_file), {**item, "uuid": nothing.uuid, "version": nothing.version}]
    query = {"replica": replica, "uuid": new_uuid(), "version": now()}
    answer = api.put("/v1/collections", json=body(*items), **query)
    assert_problem(answer, 422, "invalid_link", str(nothing), "does not exist")

    made = put(api, replica, items[0])
    path = f"/v1/collections/{made.uuid}"
    answer = api.patch(path, replica=replica, version=made.version, json={"add_contents": items[1:]})
    assert_problem(answer, 422, "invalid_link", str(nothing))
    removed = patch(api, replica, made, remove_contents=items[1:])
    assert read(api, replica, removed)["contents"] == items[:1]


@pytest.mark.parametrize(
    ("item", "word"),
    [
        ({"path": "/cells/2"}, "nothing at"),
        ({"path": "/cells/-"}, "nothing at"),
        ({"path": "/cells/-/name"}, "nothing at"),
        ({"path": "/cells/01"}, "nothing at"),
        ({"path": "/cells/0/name/0"}, "nothing at"),
        ({"path": "/absent"}, "nothing at"),
        ({"path": "//"}, "nothing at"),
        ({"path": "cells"}, "not a JSON Pointer"),
        ({"path": "/~2"}, "not a JSON Pointer"),
        ({"path": "/" + "a" * 4096}, "longer"),
        ({"path": f"/cells/{'1' * 4000}"}, "nothing at"),
        ({"path": "/cells", "fragment": "/other"}, "differ"),
        ({}, "missing"),
        ({"type": "t" * 300, "path": "/cells"}, "longer"),
        ({"type": "file", "path": "/cells"}, "has none"),
    ],
)
def test_a_fragment_that_its_file_lacks_is_named(
    api: Api, json_file: Version, replica: str, item: dict[str, Any], word: str
) -> None:
    query = {"replica": replica, "uuid": new_uuid(), "version": now()}
    items = [link("file", json_file), {**link("fragment", json_file), **item}]
    answer = api.put("/v1/collections", json=body(*items), **query)
    assert_problem(answer, 422, "invalid_link", word)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b"1" * 5000, b'"' + b"x" * 9_000_000 + b'"'],
    ids=["empty", "cut", "bytes", "deep", "digits", "large"],
)
def test_fragments_are_those_of_json_files_of_a_bounded_size(
    api: Api, clouds: Clouds, replica: str, content: bytes
) -> None:
    file = put_file(api, clouds.stage(replica, content))
    query = {"replica": replica, "uuid": new_uuid(), "version": now()}
    answer = api.put("/v1/collections", json=body(link("x", file, path="")), **query)
    assert_problem(answer, 422, "invalid_link", str(file))


def test_a_hidden_object_cannot_be_linked(api: Api, admin: Api, json_file: Version, replica: str) -> None:
    bundle = put_bundle(api, replica, [json_file.named("a")])
    inner = put(api, replica)
    items = [link("bundle", bundle), link("collection", inner)]
    outer = put(api, replica, *items)
    admin.delete(f"/v1/bundles/{bundle.uuid}", replica=replica, json={"reason": "wrong"})
    api.delete(f"/v1/collections/{inner.uuid}", replica=replica)

    for item in items:
        query = {"replica": replica, "uuid": new_uuid(), "version": now()}
        assert_problem(
            api.put("/v1/collections", json=body(item), **query), 422, "invalid_link", item["uuid"]
        )
    # What links to it already stays as it is.
    assert read(api, replica, outer)["contents"] == items
    assert read(api, replica, patch(api, replica, outer, name="new"))["contents"] == items


def test_a_request_has_a_thousand_items_at_most(api: Api, json_file: Version, replica: str) -> None:
    made = put(api, replica, *[link("file", json_file)] * 1000)
    assert read(api, replica, made)["contents"] == [link("file", json_file)]
    items = [link("file", json_file)] * 1001
    answer = api.put("/v1/collections", json=body(*items), replica=replica, uuid=new_uuid(), version=now())
    assert_problem(answer, 400, "illegal_arguments", "json_request_body.contents", "1001")
    path, query = f"/v1/collections/{made.uuid}", {"replica": replica, "version": made.version}
    for changes in ({"add_contents": items}, {"remove_contents": items}):
        assert_problem(api.patch(path, json=changes, **query), 400, "illegal_arguments", "1001")
    both = {"add_contents": items[:600], "remove_contents": items[:600]}
    assert_problem(api.patch(path, json=both, **query), 400, "illegal_arguments", "1200")


def test_a_collection_that_the_catalog_cannot_hold_is_refused(api: Api, replica: str) -> None:
    query = {"replica": replica, "uuid": new_uuid(), "version": now()}
    answer = api.put("/v1/collections", json=body(details={"x": "y" * 900_000}), **query)
    assert_problem(answer, 400, "illegal_arguments", "details")
    made = put(api, replica, details={"x": "y" * 890_000})
    assert len(read(api, replica, made)["details"]["x"]) == 890_000


@pytest.mark.parametrize("version", ["rubbish", "2021-02-29T000000.000000Z"])
def test_a_malformed_version_is_400(api: Api, replica: str, version: str) -> None:
    uuid = new_uuid()
    path, query = f"/v1/collections/{uuid}", {"replica": replica, "version": version}
    assert_problem(api.get(path, **query), 400, "illegal_version", "version")
    assert_problem(api.patch(path, json={}, **query), 400, "illegal_version", "version")
    assert_problem(api.put("/v1/collections", uuid=uuid, json=body(), **query), 400, "illegal_version")
    items = [{"type": "file", "uuid": uuid, "version": version}]
    answer = api.put("/v1/collections", uuid=uuid, json=body(*items), replica=replica, version=now())
    assert_problem(answer, 400, "illegal_version", "contents[0].version")
