"""`sync`, as a process: killed at any step it finishes later; what it cannot do ends as a dead letter."""

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from shared.bindings import change_binding
from shared.checksums import MIB, checksums_of
from shared.faults import FAULT_POINTS
from shared.groups import add_members
from shared.identifiers import parse_key
from shared.kinds import KINDS, ObjectKind
from shared.messages import DEAD_LETTERS
from shared.purges.records import declare, new_purge
from shared.system import Dss
from tests.support.api import Api, Version, new_uuid, put_collection, put_file
from tests.support.clouds import Clouds
from tests.support.copies import distinct_bytes
from tests.support.dss import open_dss_for_threads
from tests.support.function_process import FunctionProcess, function_process
from tests.support.http_proxy import Fault, HttpProxy
from tests.support.replication import (
    DIRECTIONS,
    OTHER,
    new_bundle,
    new_file,
    object_event_attributes,
    read_status,
    remove_relayed,
)
from tests.support.topic_listener import TopicListener, listen_to
from tests.support.waiting import deadline_after

# What operators write, by the point after its replication.
RECORDS = {
    "replication: binding written": "access/",
    "replication: group written": "groups/",
    "replication: purge written": "purges/",
}
POINTS = [point for point in FAULT_POINTS if point.startswith("replication: ") and point not in RECORDS]
FILE = [point for point in POINTS if "file" in point or "blob" in point]
BUNDLE = [point for point in POINTS if "bundle" in point]
TOMBSTONE = [point for point in POINTS if "tombstone" in point]
COLLECTION = [point for point in POINTS if "collection" in point]


@pytest.fixture(scope="module")
def dead_letters(stack: dict[str, str]) -> Iterator[TopicListener]:
    with listen_to(stack, DEAD_LETTERS) as listener:
        yield listener


@pytest.fixture(scope="module")
def sync(stack: dict[str, str]) -> Iterator[FunctionProcess]:
    """The function, which gives up at the third attempt."""
    with function_process("sync", stack) as process:
        yield process


def killed(process: FunctionProcess, message: dict[str, str]) -> bool:
    """Tell whether the function dies of a message."""
    try:
        process.push(message)
    except requests.ConnectionError:
        return True
    return False


def test_every_fault_point_is_tried() -> None:
    assert {*FILE, *BUNDLE, *TOMBSTONE, *COLLECTION} == set(POINTS)


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_step_it_finishes_at_the_next_message(
    stack: dict[str, str], sync: FunctionProcess, admin: Api, clouds: Clouds, point: str
) -> None:
    here, there = DIRECTIONS[POINTS.index(point) % 2]
    data = new_uuid().encode()
    file = new_file(admin, clouds, here, data)
    bundle = new_bundle(admin, here, file)
    keys = [f"files/{file}"]
    if point in COLLECTION:
        name, kind = put_collection(admin, here, [file.linked()]), "collections"
    else:
        name, kind = (file, "files") if point in FILE else (bundle, "bundles")
    if point not in FILE:
        keys.append(f"{kind}/{name}")
    if point in TOMBSTONE:
        keys.append(f"{kind}/{name.uuid}.dead")
        path, reason = f"/v1/{kind}/{name.uuid}", {"reason": "wrong"} if kind == "bundles" else None
        assert admin.delete(path, replica=here, json=reason).status_code == 200
    for key in keys[:-1]:
        assert sync.push(object_event_attributes(clouds, here, key)).status_code == 204

    with function_process("sync", stack, DSS_FAULT_POINT=point) as mortal:
        assert killed(mortal, object_event_attributes(clouds, here, keys[-1])), f"{point!r} was not reached"
    assert read_status(admin, kind, name, there) == 404

    assert sync.push(object_event_attributes(clouds, here, keys[-1])).status_code == 204
    assert clouds.read(there, keys[-1]) == clouds.read(here, keys[-1])
    assert read_status(admin, kind, name, there) == (404 if point in TOMBSTONE else 200)
    assert clouds.keys(there, checksums_of(data).blob_key) != []


@pytest.mark.parametrize("point", RECORDS)
def test_killed_after_it_has_replicated_a_record_it_finishes_at_the_next_message(
    stack: dict[str, str], sync: FunctionProcess, admin: Api, clouds: Clouds, point: str
) -> None:
    file = new_file(admin, clouds, "gcp", new_uuid().encode())
    before = set(clouds.keys("gcp", RECORDS[point]))
    dss = open_dss_for_threads(stack, publishes=False)
    if point.endswith("binding written"):
        change_binding(dss, file.uuid, "operator", lambda one: replace(one, readers=frozenset({"lab"})))
    elif point.endswith("group written"):
        add_members(dss, f"lab-{new_uuid()}", ["a@example.org"], "operator")
    else:
        declare(dss, new_purge(dss, file.uuid, file.version, reason="withdrawn", by="admin@example.org"))
    [key] = set(clouds.keys("gcp", RECORDS[point])) - before

    with function_process("sync", stack, DSS_FAULT_POINT=point) as mortal:
        assert killed(mortal, object_event_attributes(clouds, "gcp", key)), f"{point!r} was not reached"
    assert sync.push(object_event_attributes(clouds, "gcp", key)).status_code == 204

    assert clouds.read("aws", key) == clouds.read("gcp", key)
    [head] = [head for kind in KINDS.values() if (head := _known(dss, kind, key))]
    assert head.available == {"gcp", "aws"}


def _known(dss: Dss, kind: ObjectKind[Any], key: str) -> Any:
    name = parse_key(key)
    return kind.lookup(dss, name) if name and kind.owns(name) else None


def test_killed_in_the_middle_of_a_part_it_begins_again(
    stack: dict[str, str], sync: FunctionProcess, api: Api, clouds: Clouds
) -> None:
    data = distinct_bytes(64 * MIB + 300_000)
    file = put_file(api, clouds.stage("gcp", data))
    message = object_event_attributes(clouds, "gcp", f"files/{file}")
    with HttpProxy(stack["AWS_ENDPOINT_URL"]) as s3:
        s3.inflict(Fault(method="PUT", text="partNumber=2", delay=20))
        with function_process("sync", stack, AWS_ENDPOINT_URL=s3.url) as mortal:
            pushing = threading.Thread(target=killed, args=(mortal, message))
            pushing.start()
            deadline = deadline_after(30)
            while not any("partNumber" in one.query for one in s3.exchanges):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            mortal.kill()
            pushing.join()
        assert read_status(api, "files", file, "aws") == 404
        assert clouds.keys("aws", checksums_of(data).blob_key) == []

        assert sync.push(message).status_code == 204

    assert read_status(api, "files", file, "aws") == 200
    assert clouds.read("aws", checksums_of(data).blob_key) == data

    def uploads() -> int:
        found = clouds.s3.list_multipart_uploads(Bucket=clouds.main["aws"]).get("Uploads", [])
        return [one["Key"] for one in found].count(checksums_of(data).blob_key)

    # What the killed process began is the sweep's, once nobody can be at it any more.
    with function_process("sweep", stack, DSS_SWEEP_SECONDS="100000") as sweep:
        assert sweep.post("").status_code == 200
        assert uploads() == 1
        sweep.kill()
        sweep.start(DSS_UPLOAD_SECONDS="0")
        assert sweep.post("").status_code == 200
        assert uploads() == 0
        assert checksums_of(data).blob_key in str(sweep.logged("abandoned uploads aborted"))


def test_what_is_replicated_is_logged(sync: FunctionProcess, api: Api, clouds: Clouds, replica: str) -> None:
    data = os.urandom(12_345)
    file = new_file(api, clouds, replica, data)

    assert sync.push(object_event_attributes(clouds, replica, f"files/{file}")).status_code == 204

    (line,) = [line for line in sync.logged("replicated") if line["key"] == f"files/{file}"]
    assert (line["replica"], line["bytes"], line["severity"]) == (OTHER[replica], 12_345, "INFO")
    assert 0 < line["seconds"] < 30


def lost_blob(api: Api, clouds: Clouds, replica: str) -> Version:
    """Return a file whose blob is gone."""
    data = new_uuid().encode()
    file = new_file(api, clouds, replica, data)
    key = checksums_of(data).blob_key
    remove_relayed(clouds, OTHER[replica], key)
    if replica == "gcp":
        clouds.gcs.bucket(clouds.main["gcp"]).blob(key).delete()
    else:
        clouds.s3.delete_object(Bucket=clouds.main["aws"], Key=key)
    return file


@pytest.mark.parametrize("fault", ["gone", "rotten"])
def test_what_cannot_be_done_ends_as_a_dead_letter(
    sync: FunctionProcess, dead_letters: TopicListener, api: Api, clouds: Clouds, replica: str, fault: str
) -> None:
    if fault == "gone":
        file, reason = lost_blob(api, clouds, replica), f"replica {replica} has lost its blob"
    else:
        data = new_uuid().encode()
        file, reason = new_file(api, clouds, replica, data), "is claimed, the store says"
        key = checksums_of(data).blob_key
        remove_relayed(clouds, OTHER[replica], key)
        clouds.stage(replica, data[::-1], bucket=clouds.main[replica], key=key, metadata={})
    message = object_event_attributes(clouds, replica, f"files/{file}")

    answers = [sync.push(message, last=last, data=b"as it came") for last in (False, False, True)]

    assert [answer.status_code for answer in answers] == [503, 503, 200]
    dead = dead_letters.wait(lambda one: one.get("objectId") == f"files/{file}")
    assert reason in dead.pop("deadReason")
    assert datetime.fromisoformat(dead.pop("deadPublished")) < datetime.now(UTC) - timedelta(days=1)
    assert dead == {**message, "deadSubscription": "sync"}
    (line,) = [line for line in sync.logged("dead letter") if line["attributes"] == message]
    assert line["severity"] == "ERROR"
    assert reason in line["reason"]
    assert read_status(api, "files", file, OTHER[replica]) == 404


@pytest.mark.parametrize(
    "body",
    [
        *("", "{", "[]", "null", '{"message": 5}', '{"message": {"data": "%"}}', "[" * 9999),
        *('{"message": {"publishTime": "9999"}}', '{"message": {"publishTime": 5}}'),
        '{"message": {"attributes": 5}}',
    ],
)
def test_what_is_no_push_of_pub_sub_is_refused(sync: FunctionProcess, body: str) -> None:
    assert sync.post(body, content_type="application/json").status_code == 400


def test_an_event_that_is_none_is_a_dead_letter_too(
    sync: FunctionProcess, dead_letters: TopicListener
) -> None:
    name = new_uuid()
    assert sync.push({"replica": name}).status_code == 503
    assert sync.push({"replica": name}, last=True).status_code == 200
    dead = dead_letters.wait(lambda one: one.get("replica") == name)
    assert "the message has no such attribute" in dead["deadReason"]
