"""`dss collection`, against a running system; and what `Client` asks when there is much."""

import json
from pathlib import Path
from typing import Any

import pytest

from dss.client import Client
from dss.errors import CallFailed
from tests.support.api import Api, Version, new_uuid, now, put_file
from tests.support.clouds import Clouds
from tests.support.command_line import Outcome, dss_here


@pytest.fixture
def file(api: Api, clouds: Clouds, replica: str) -> Version:
    content = json.dumps(list(range(3000))).encode()
    return put_file(api, clouds.stage(replica, content, content_type="application/json"))


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def printed(outcome: Outcome) -> Version:
    assert outcome.code == 0, outcome.err
    return Version(*outcome.out.strip().split(".", 1))


def test_a_collection_from_beginning_to_end(
    stack: dict[str, str], file: Version, replica: str, tmp_path: Path
) -> None:
    where = ("--replica", replica)
    links = [file.linked(), file.linked("x", path="/1")]
    about = {"name": "mine", "description": "for a test", "details": {"é": 1}}
    source = written(tmp_path / "collection.json", {**about, "contents": links})

    first = printed(dss_here(stack, "collection", "put", source, *where))
    remove = written(tmp_path / "remove.json", links[:1])
    details = written(tmp_path / "details.json", {"n": 2})
    changes = ("--remove", remove, "--details", details, "--name", "yours")
    second = printed(dss_here(stack, "collection", "patch", first.uuid, *changes, *where))
    found = dss_here(stack, "collection", "get", first.uuid, *where).json
    listed = dss_here(stack, "collection", "list")

    assert found == {
        **about,
        "name": "yours",
        "details": {"n": 2},
        "contents": links[1:],
        "owner": found["owner"],
        "uuid": first.uuid,
        "version": second.version,
    }
    old = dss_here(stack, "collection", "get", first.uuid, "--version", first.version, "--json", *where).json
    assert old["contents"] == links
    assert str(second) in listed.out.splitlines()
    assert dss_here(stack, "collection", "delete", first.uuid, "--yes", *where).code == 0
    gone = dss_here(stack, "collection", "get", first.uuid, *where)
    assert (gone.code, "not_found" in gone.err) == (3, True)
    row = {"uuid": second.uuid, "version": second.version}
    assert row not in dss_here(stack, "collection", "list", "--json").json["collections"]


def test_more_items_than_a_request_may_have_make_several_versions(
    stack: dict[str, str], file: Version, replica: str
) -> None:
    client = Client(stack["DSS_URL"], stack["DSS_TOKEN"], replica=replica)
    items = [file.linked("x", path=f"/{number}") for number in range(2500)]
    uuid, version = new_uuid(), now()

    newest = client.put_collection(uuid, version, items)

    assert client.collection(uuid)["version"] == newest > version
    assert client.collection(uuid)["contents"] == items
    assert client.collection(uuid, version)["contents"] == items[:1000]
    fewer = client.patch_collection(uuid, newest, remove=items[:2000], add=[file.linked()], name="few")
    found = client.collection(uuid)
    assert (found["version"], found["name"]) == (fewer, "few")
    assert found["contents"] == [*items[2000:], file.linked()]
    with pytest.raises(CallFailed, match="invalid_link"):
        client.put_collection(new_uuid(), now(), [Version(new_uuid(), now()).linked()])


@pytest.mark.parametrize("content", ["", "{", "5", '{"contents": 5}', "[]"])
def test_a_malformed_file_is_rejected_before_any_call(
    stack: dict[str, str], tmp_path: Path, content: str
) -> None:
    (tmp_path / "wrong.json").write_text(content)

    outcome = dss_here(
        {**stack, "DSS_URL": "http://127.0.0.1:9"}, "collection", "put", tmp_path / "wrong.json"
    )

    assert (outcome.code, "wrong.json" in outcome.err) == (1, True)
