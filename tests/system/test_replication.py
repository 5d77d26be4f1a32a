"""The whole system, left to itself: what is written on one replica appears on the other, never half."""

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from shared.messages import OBJECT_EVENTS
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
from tests.support.clouds import Clouds, checksum_metadata
from tests.support.replication import DIRECTIONS, OTHER, new_bundle, new_file, read_status
from tests.support.topic_listener import listen_to
from tests.support.waiting import wait_until

# Seconds within which everything here appears; far less on a machine that is not busy.
_SOON = 40


@pytest.fixture(scope="module")
def writer(whole_system: dict[str, str]) -> Api:
    return Api(whole_system["DSS_URL"], whole_system["DSS_ADMIN_TOKEN"])


@pytest.fixture(scope="module")
def both(whole_system: dict[str, str]) -> Clouds:
    return Clouds(whole_system)


soon = partial(wait_until, seconds=_SOON)


def log_lines(env: dict[str, str], name: str, message: str) -> list[dict[str, Any]]:
    """Return the lines of a component's log that say this."""
    text = (Path(env["DSS_LOCAL_DATA"]) / "logs" / f"{name}.log").read_text()
    rows = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [row for row in rows if row.get("message") == message]


@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
def test_what_is_written_here_appears_there(
    whole_system: dict[str, str], writer: Api, both: Clouds, here: str, there: str
) -> None:
    data = os.urandom(10_000)
    file = new_file(writer, both, here, data)
    bundle = new_bundle(writer, here, file)

    soon(lambda: read_status(writer, "bundles", bundle, there) == 200, f"{bundle} is on {there}")
    path = f"/v1/bundles/{bundle.uuid}"
    (read,) = writer.get(path, replica=there, presignedurls=True).json()["bundle"]["files"]
    assert requests.get(read["url"], timeout=60).content == data

    def logged() -> list[int]:
        rows = log_lines(whole_system, "sync", "replicated")
        return [row["bytes"] for row in rows if (row["key"], row["replica"]) == (f"files/{file}", there)]

    # The line comes a moment after the catalog has it.
    soon(logged, f"{file} is in the log")
    # Once, or again if the event came again.
    assert set(logged()) == {10_000}

    assert writer.delete(path, replica=there, json={"reason": "wrong"}).status_code == 200
    soon(lambda: both.keys(here, f"bundles/{bundle.uuid}.dead"), "the tombstone goes the other way")
    assert (
        read_status(writer, "bundles", bundle, here) == read_status(writer, "bundles", bundle, there) == 404
    )


@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
def test_a_collection_appears_there_and_is_hidden_there(
    writer: Api, both: Clouds, here: str, there: str
) -> None:
    file = new_file(writer, both, here, b'{"a": 1}')
    inner = put_collection(writer, here, [file.linked("x", path="/a")])
    # Its contents and it are on their way together.
    collection = put_collection(writer, here, [inner.linked("collection"), file.linked()])
    soon(lambda: read_status(writer, "collections", collection, there) == 200, f"{collection} is on {there}")
    path = f"/v1/collections/{collection.uuid}"
    assert writer.get(path, replica=there).json() == writer.get(path, replica=here).json()

    changes = {"remove_contents": [file.linked()]}
    answer = writer.patch(path, replica=there, version=collection.version, json=changes)
    newer = Version(**answer.json())
    soon(lambda: read_status(writer, "collections", newer, here) == 200, "the change goes the other way")
    assert writer.delete(path, replica=there).status_code == 200
    soon(lambda: both.keys(here, f"collections/{collection.uuid}.dead"), "so does the tombstone")
    assert writer.get(path, replica=here).status_code == 404


def test_events_of_both_clouds_arrive_in_one_shape(
    whole_system: dict[str, str], writer: Api, both: Clouds
) -> None:
    with listen_to(whole_system, OBJECT_EVENTS) as listener:
        files = {replica: new_file(writer, both, replica, new_uuid().encode()) for replica in OTHER}
        events = {
            replica: listener.wait(
                lambda one, name=replica: (one["replica"], one["objectId"]) == (name, f"files/{files[name]}"),
                _SOON,
            )
            for replica in OTHER
        }
        # A key that needs to be quoted, as far as either cloud's way goes.
        odd = "files/with space+plus %41 ünïcödé 漢字"
        for replica in OTHER:
            both.stage(replica, b"odd", bucket=both.main[replica], key=odd, metadata={})
            listener.wait(lambda one, name=replica: (one["replica"], one["objectId"]) == (name, odd), _SOON)
        kinds = {event["objectId"].partition("/")[0] for event in listener.attributes}

    assert kinds <= {"files", "bundles", "collections"}, "blobs are nobody's events"
    for replica, event in events.items():
        assert event["bucketId"] == both.main[replica]
        assert event["eventType"] == "OBJECT_FINALIZE"
        assert event["objectGeneration"]
        assert {"replica", "bucketId", "objectId", "eventType", "objectGeneration"} <= set(event)


def complete(api: Api, bundle: Version, replica: str, wanted: dict[str, str]) -> bool:
    """Tell whether a replica shows a bundle; fail where it does, and not with all of its files."""
    path = f"/v1/bundles/{bundle.uuid}"
    answer = api.get(path, replica=replica, version=bundle.version, presignedurls=True)
    if answer.status_code == 404:
        assert assert_problem(answer, 404, "not_found")["replica_state"] in ("pending", "absent")
        return False
    assert answer.status_code == 200, answer.text
    files = answer.json()["bundle"]["files"]
    assert {file["name"]: file["sha256"] for file in files} == wanted
    for file in files:
        content = requests.get(file["url"], timeout=60)
        assert content.status_code == 200
        assert hashlib.sha256(content.content).hexdigest() == file["sha256"]
    return True


@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
def test_a_reader_never_sees_half_of_anything(writer: Api, both: Clouds, here: str, there: str) -> None:
    """Readers ask the destination all the while, for bundles and for their files."""
    bundles: list[tuple[Version, dict[str, str], list[Version]]] = []
    done, errors = threading.Event(), list[BaseException]()
    api = {number: Api(writer.url, writer.token) for number in range(4)}

    def read(number: int) -> None:
        try:
            while not done.is_set():
                for bundle, wanted, files in list(bundles):
                    complete(api[number], bundle, there, wanted)
                    for file in files:
                        answer = api[number].get(f"/v1/files/{file.uuid}", replica=there)
                        if answer.status_code == 302:
                            content = requests.get(answer.headers["Location"], timeout=60).content
                            assert hashlib.sha256(content).hexdigest() == answer.headers["X-DSS-SHA256"]
        except BaseException as error:  # noqa: BLE001 # raised by the main thread
            errors.append(error)

    readers = [threading.Thread(target=read, args=(number,)) for number in (0, 1)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(3):
            data = [os.urandom(20_000) for _ in range(3)]
            files = [new_file(writer, both, here, one) for one in data]
            wanted = {str(n): hashlib.sha256(one).hexdigest() for n, one in enumerate(data)}
            bundle = Version(new_uuid(), now())
            bundles.append((bundle, wanted, files))
            put_bundle(writer, here, [file.named(str(n)) for n, file in enumerate(files)], bundle=bundle)
        soon(
            lambda: errors or all(complete(writer, bundle, there, wanted) for bundle, wanted, _ in bundles),
            "all bundles are there",
        )
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert errors == []


def staged_by_old_client(both: Clouds, data: bytes) -> str:
    """Stage a file as the `hca` command line does: no metadata, four tags."""
    return both.stage(
        "aws", data, metadata={}, tags=checksum_metadata(data, "hca-dss-"), key=f"{new_uuid()}/a name.json"
    )


def test_an_old_client_uploads_to_s3_and_puts_its_bundle_on_gcp_at_once(writer: Api, both: Clouds) -> None:
    data = [os.urandom(1000) for _ in range(5)]
    sources = [staged_by_old_client(both, one) for one in data]
    with ThreadPoolExecutor(5) as threads:
        files = list(threads.map(lambda source: put_file(Api(writer.url, writer.token), source), sources))

    # No wait in between: PUT /bundles waits for what is on its way.
    bundle = put_bundle(writer, "gcp", [file.named(f"{n}") for n, file in enumerate(files)])

    wanted = {str(n): hashlib.sha256(one).hexdigest() for n, one in enumerate(data)}
    assert complete(writer, bundle, "gcp", wanted)
    soon(lambda: complete(writer, bundle, "aws", wanted), "the bundle goes back to aws")


def test_a_file_that_exists_nowhere_is_refused_at_once(writer: Api, both: Clouds) -> None:
    file = put_file(writer, staged_by_old_client(both, new_uuid().encode()))
    body = {"creator_uid": 1, "files": [file.named("a"), Version(new_uuid(), now()).named("b")]}

    answer = writer.put(f"/v1/bundles/{new_uuid()}", replica="gcp", version=now(), json=body)

    assert_problem(answer, 400, "file_missing", "no such file")


@pytest.fixture
def no_dead_letters(whole_system: dict[str, str]) -> Iterator[None]:
    """Fail where something of this module ended as a dead letter."""
    yield
    assert log_lines(whole_system, "sync", "dead letter") == []


@pytest.mark.usefixtures("no_dead_letters")
def test_the_newest_version_of_each_replica_comes_to_be_the_same(writer: Api, both: Clouds) -> None:
    uuid = new_uuid()
    first = put_file(writer, both.stage("gcp", b"first"), file=Version(uuid, now()))
    second = put_file(writer, both.stage("aws", b"second"), file=Version(uuid, now()))

    def newest() -> set[str]:
        answers = [writer.head(f"/v1/files/{uuid}", replica=replica) for replica in OTHER]
        return {answer.headers.get("X-DSS-VERSION", "") for answer in answers}

    soon(lambda: newest() == {second.version}, "both show the second version")
    for replica in OTHER:
        assert read_status(writer, "files", first, replica) == 200
