"""Items of a collection come back as they were PUT, with all their keys, and go by what they lead to."""

import json
from typing import Any

import pytest

from tests.support.api import Api, Version, assert_problem, put_collection, put_file
from tests.support.clouds import Clouds

CONTENT = b'{"cells": [{"name": "first"}, {"name": "second"}]}'
MORE = {"label": "ü \U0001f600", "n": [1, 1.5, None, {"uuid": "x"}], "PATH": "kept"}


@pytest.fixture
def file(api: Api, clouds: Clouds, replica: str) -> Version:
    return put_file(api, clouds.stage(replica, CONTENT, content_type="application/json"))


def contents(api: Api, replica: str, collection: Version) -> Any:
    path, query = f"/v1/collections/{collection.uuid}", {"version": collection.version}
    return api.get(path, replica=replica, **query).json()["contents"]


def patched(api: Api, replica: str, collection: Version, **body: Any) -> Any:
    path, query = f"/v1/collections/{collection.uuid}", {"version": collection.version}
    answer = api.patch(path, replica=replica, json=body, **query)
    assert answer.status_code == 200, answer.text
    return contents(api, replica, Version(**answer.json()))


def test_items_come_back_as_they_were_put(api: Api, clouds: Clouds, file: Version, replica: str) -> None:
    items = [
        file.linked(),
        file.linked(path=""),
        file.linked(fragment=""),
        file.linked(**MORE),
        file.linked("fragment", fragment="/cells"),
        file.linked("fragment", path="/cells"),
        file.linked("fragment", path="/cells", fragment="/cells"),
        file.linked("cell", fragment="/cells/0", **MORE),
    ]

    collection = put_collection(api, replica, [*items, *items])

    assert contents(api, replica, collection) == items
    assert json.loads(clouds.read(replica, f"collections/{collection}"))["contents"] == items
    added = file.linked("cell", fragment="/cells/1", other=True)
    assert patched(api, replica, collection, add_contents=[added, items[0]]) == [*items, added]


def test_a_uuid_in_upper_case_is_the_same_and_comes_back_in_lower_case(
    api: Api, file: Version, replica: str
) -> None:
    item = file.linked(label="A")
    collection = put_collection(api, replica, [{**item, "uuid": file.uuid.upper()}, item])
    assert contents(api, replica, collection) == [item]


def test_what_is_removed_goes_by_what_it_leads_to(api: Api, file: Version, replica: str) -> None:
    plain = [file.linked("x", fragment="/cells"), file.linked("x", path="/cells"), file.linked(path="")]
    labelled = [{**file.linked("x", path="/cells"), "n": n} for n in (1, True, "1")]
    rest = [file.linked("y", path="/cells"), file.linked("x", path="/cells/0")]
    collection = put_collection(api, replica, [*plain, *labelled, *rest])

    def without(*removed: dict[str, Any]) -> Any:
        return patched(api, replica, collection, remove_contents=list(removed))

    # One with keys of its own goes alone, with any name of its path.
    assert without({**file.linked("x", fragment="/cells"), "n": 1}) == [*plain, *labelled[1:], *rest]
    # One without takes along all that lead to the same.
    assert without(file.linked("x", path="/cells")) == [plain[2], *rest]
    assert without(file.linked()) == [*plain[:2], *labelled, *rest]
    assert without({**file.linked(), "n": 1}) == [*plain, *labelled, *rest]


def test_what_is_kept_is_bounded(api: Api, file: Version, replica: str) -> None:
    # `{"label":"…"}`
    fits = file.linked(label="a" * (4096 - 12))
    assert contents(api, replica, put_collection(api, replica, [fits])) == [fits]
    for item in (file.linked(label="a" * (4096 - 11)), file.linked(label="é" * 700)):
        body = {"name": "", "description": "", "details": {}, "contents": [file.linked(), item]}
        answer = api.put("/v1/collections", replica=replica, uuid=file.uuid, version=file.version, json=body)
        assert_problem(answer, 422, "invalid_link", "contents[1]", "at most 4096 are kept")


@pytest.mark.parametrize("value", ["1e400", "NaN", '"\\ud800"', "[" * 200 + "]" * 200])
def test_what_cannot_be_stored_is_refused(api: Api, file: Version, replica: str, value: str) -> None:
    item = json.dumps(file.linked())[:-1] + f', "label": {value}}}'
    body = f'{{"name": "", "description": "", "details": {{}}, "contents": [{item}]}}'
    query = {"replica": replica, "uuid": file.uuid, "version": file.version}
    answer = api.put("/v1/collections", data=body, headers={"Content-Type": "application/json"}, **query)
    assert_problem(answer, 400, "illegal_arguments")
