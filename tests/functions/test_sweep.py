"""The sweep publishes lost object events again, and logs how far each replica is behind."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from flask import Flask
from flask import request as flask_request
from google.cloud.firestore import FieldFilter
from structlog.testing import capture_logs

from functions.sweep import sweep as sweep_function
from local.api import api_process
from shared.catalog import Switch, Switches
from shared.checksums import checksums_of
from shared.errors import Unavailable
from shared.kinds import KINDS
from shared.messages import BUNDLE_EVENTS, DEAD_LETTERS, OBJECT_EVENTS
from shared.switches import LiveSwitches
from shared.tracing import Tracer
from tests.support.api import Api, Version, new_uuid, now, put_collection, put_file
from tests.support.clouds import Clouds
from tests.support.dss import firestore_client
from tests.support.function_process import FunctionProcess, function_process
from tests.support.replication import (
    OTHER,
    new_bundle,
    new_file,
    object_event_attributes,
    read_status,
)
from tests.support.topic_listener import TopicListener, listen_to

NOW = datetime(2026, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def listener(stack: dict[str, str]) -> Iterator[TopicListener]:
    with listen_to(stack, OBJECT_EVENTS) as found:
        yield found


@pytest.fixture(scope="module")
def sync(stack: dict[str, str]) -> Iterator[FunctionProcess]:
    with function_process("sync", stack) as process:
        yield process


@pytest.fixture(scope="module")
def index(stack: dict[str, str]) -> Iterator[FunctionProcess]:
    with listen_to(stack, BUNDLE_EVENTS), function_process("index", stack) as process:
        yield process


@pytest.fixture(scope="module")
def sweep(stack: dict[str, str]) -> Iterator[FunctionProcess]:
    """The function, for which everything has waited too long."""
    with function_process("sweep", stack, DSS_SWEEP_SECONDS="0") as process:
        yield process


@pytest.fixture
def clean(stack: dict[str, str]) -> None:
    """Take from the catalog what other tests have left unreplicated, or unpublished."""
    client = firestore_client(stack)
    for kind in KINDS.values():
        for field in ("missing", "unpublished") if kind.published else ("missing",):
            query = client.collection(kind.collection).where(filter=FieldFilter(field, "!=", []))
            left = query.select([]).get()
            # Few commits: other tests of this system have left thousands.
            for start in range(0, len(left), 500):
                batch = client.batch()
                for head in left[start : start + 500]:
                    batch.update(head.reference, {field: []})
                batch.commit()


def behind(sweep: FunctionProcess, what: str = "replication") -> dict[str, tuple[int, float]]:
    """Return the backlog of each replica that the last sweep has logged: objects, and age of the oldest."""
    lines = sweep.logged(f"{what} backlog")[-2:]
    return {line["replica"]: (line["objects"], line["oldest_seconds"]) for line in lines}


@pytest.mark.usefixtures("clean")
def test_objects_whose_events_were_lost_are_replicated_and_published_after_a_sweep(
    sweep: FunctionProcess,
    sync: FunctionProcess,
    index: FunctionProcess,
    listener: TopicListener,
    admin: Api,
    clouds: Clouds,
    replica: str,
) -> None:
    there = OTHER[replica]
    file = new_file(admin, clouds, replica, new_uuid().encode())
    bundle = new_bundle(admin, replica, file)
    gone = new_bundle(admin, replica, file)
    path = f"/v1/bundles/{gone.uuid}"
    assert admin.delete(path, replica=replica, version=gone.version, json={"reason": "x"}).status_code == 200
    collection, deleted = (put_collection(admin, replica, [file.linked()]) for _ in range(2))
    assert admin.delete(f"/v1/collections/{deleted.uuid}", replica=replica).status_code == 200
    bundles = [f"bundles/{bundle}", f"bundles/{gone}", f"bundles/{gone}.dead"]
    collections = [f"collections/{name}" for name in (collection, deleted, f"{deleted.uuid}.dead")]
    keys = [f"files/{file}", *bundles, *collections]

    assert sweep.post("").text == "7"

    objects, oldest = behind(sweep)[there]
    assert (objects, behind(sweep)[replica]) == (7, (0, 0.0))
    assert 0 < oldest < 60
    # An object that a replica lacks has no events there.
    unpublished = behind(sweep, "event")
    assert (unpublished[replica][0], unpublished[there]) == (3, (0, 0.0))
    assert 0 < unpublished[replica][1] < 60
    journals = behind(sweep, "journal")
    events = [listener.wait(lambda one, key=key: one["objectId"] == key) for key in keys]  # type: ignore[misc]
    assert {(event["replica"], event["eventType"]) for event in events} == {(replica, "OBJECT_FINALIZE")}
    for event in events:
        assert sync.push(event).status_code == 204
    seen = [("files", file), ("bundles", bundle), ("collections", collection), ("collections", deleted)]
    assert [read_status(admin, kind, name, there) for kind, name in seen] == [200, 200, 200, 404]
    # The events of both replicas are not published yet.
    assert sweep.post("").text == "6"
    for key in bundles:
        for where in (replica, there):
            event = listener.wait(lambda one, at=(where, key): (one["replica"], one["objectId"]) == at)  # type: ignore[misc]
            assert index.push(event).status_code == 204
    assert sweep.post("").text == "0"
    assert behind(sweep) == behind(sweep, "event") == {"gcp": (0, 0.0), "aws": (0, 0.0)}
    # What was hidden before it came there is no event there.
    events_of = {name: count - journals[name][0] for name, (count, _) in behind(sweep, "journal").items()}
    assert events_of == {replica: 3, there: 1}
    assert all(oldest > 0 for _, oldest in behind(sweep, "journal").values())


@pytest.mark.usefixtures("clean")
def test_an_object_of_a_killed_writer_is_found_though_its_event_is_lost(
    stack: dict[str, str],
    sweep: FunctionProcess,
    sync: FunctionProcess,
    listener: TopicListener,
    admin: Api,
    clouds: Clouds,
    replica: str,
) -> None:
    file, url = Version(new_uuid(), now()), clouds.stage(replica, new_uuid().encode())
    with api_process(stack, {"DSS_FAULT_POINT": "file: manifest written"}) as mortal:
        with pytest.raises(requests.ConnectionError):
            put_file(Api(mortal.url, admin.token), url, file=file)
        mortal.kill()
        # A writer that was killed before it wrote the manifest leaves no object.
        mortal.start({"DSS_FAULT_POINT": "file: head created"})
        with pytest.raises(requests.ConnectionError):
            put_file(Api(mortal.url, admin.token), url, file=Version(new_uuid(), now()))
        mortal.kill()

    assert sweep.post("").text == "1"

    event = listener.wait(lambda one: one["objectId"] == f"files/{file}")
    assert event["replica"] == replica
    assert sync.push(event).status_code == 204
    assert [read_status(admin, "files", file, name) for name in (replica, OTHER[replica])] == [200, 200]


@pytest.mark.usefixtures("clean")
def test_objects_whose_events_are_dead_letters_are_left_alone(
    stack: dict[str, str],
    sweep: FunctionProcess,
    sync: FunctionProcess,
    index: FunctionProcess,
    admin: Api,
    clouds: Clouds,
    replica: str = "gcp",
) -> None:
    def last_push(function: FunctionProcess, key: str, *, killed: bool) -> int:
        """Return the status of the last attempt, or of the one after it if that was killed."""
        event = object_event_attributes(clouds, replica, key)
        return function.push(event, last=True, killed=killed).status_code

    data = new_uuid().encode()
    deadly, broken = new_file(admin, clouds, replica, b"deadly"), new_file(admin, clouds, replica, data)
    key = checksums_of(data).blob_key
    clouds.stage(replica, data[::-1], bucket=clouds.main[replica], key=key, metadata={})
    bundle = new_bundle(admin, replica, deadly)
    nowhere = Version(new_uuid(), now())
    assert sweep.post("").text == "3"
    with listen_to(stack, DEAD_LETTERS):
        for function, key, killed in (
            (sync, f"files/{deadly}", True),
            (sync, f"files/{broken}", False),
            (sync, f"files/{nowhere}", True),
            (index, f"bundles/{bundle}", True),
        ):
            assert last_push(function, key, killed=killed) == 200
        # The bundle is still to be replicated; a bundle that waits for its files is not left alone.
        assert sweep.post("").text == "1"
        assert last_push(sync, f"bundles/{bundle}", killed=False) == 200
        assert sweep.post("").text == "1"
        assert last_push(sync, f"bundles/{bundle}", killed=True) == 200
    assert sweep.post("").text == "0"
    # What has failed is tried again after a day; what has killed the function is not.
    client = firestore_client(stack)
    left_alone = {
        name: client.document(f"files/{name}").get().get("left_alone.sync") for name in (deadly, broken)
    }
    assert left_alone[deadly].year == 9999
    assert timedelta(hours=23) < left_alone[broken] - datetime.now(UTC) <= timedelta(days=1)
    client.document(f"files/{broken}").update({"left_alone.sync": datetime.now(UTC)})
    assert sweep.post("").text == "1"


@pytest.mark.usefixtures("clean")
def test_new_objects_are_left_to_their_events(
    stack: dict[str, str], api: Api, clouds: Clouds, sweep: FunctionProcess
) -> None:
    new_file(api, clouds, "gcp", b"content")
    with function_process("sweep", stack, DSS_SWEEP_SECONDS="600") as patient:
        assert patient.post("").text == "0"
        assert behind(patient)["aws"][0] == 1
    assert sweep.post("").text == "1"


def test_a_part_that_fails_keeps_no_other_from_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def failing(_: Any) -> list[str]:
        raise Unavailable("workflow checkout: it could not be started")

    def resumed(_: Any) -> list[str]:
        done.append("resumed")
        return []

    module = sys.modules["functions.sweep"]
    monkeypatch.setattr(module, "system", lambda: with_switches(Switches()))
    monkeypatch.setattr(module, "sweep_all", lambda _, **__: 3)
    monkeypatch.setattr(module, "ABANDONED", (("checkouts resumed", failing), ("copies resumed", resumed)))
    monkeypatch.setattr(module, "PARTS", (module.PARTS[0], lambda _: done.append("mailed")))

    with Flask("sweep").test_request_context(method="POST"), capture_logs() as lines:
        answer = sweep_function(flask_request)

    # Cloud Scheduler sees that it failed, and an operator what.
    assert (answer, done) == (("3", 503), ["resumed", "mailed"])
    assert [(line["part"], line["reason"]) for line in lines] == [
        ("resume", "workflow checkout: it could not be started")
    ]


@pytest.mark.parametrize(
    ("switches", "done"),
    [
        (Switches(), ["swept", "resumed", "mailed"]),
        (Switches(stopped=Switch(reason="a bad release", by="ada", since=NOW)), []),
        # What nobody worked on, because nobody could, is not abandoned.
        (Switches(started=NOW - timedelta(minutes=59)), ["swept", "mailed"]),
        (Switches(started=NOW - timedelta(minutes=61)), ["swept", "resumed", "mailed"]),
    ],
)
def test_a_stopped_system_is_not_swept_and_resumes_nothing_soon_after(
    monkeypatch: pytest.MonkeyPatch, switches: Switches, done: list[str]
) -> None:
    found: list[str] = []
    module = sys.modules["functions.sweep"]
    monkeypatch.setattr(module, "system", lambda: with_switches(switches))
    monkeypatch.setattr(module, "sweep_all", lambda _, **__: found.append("swept"))
    monkeypatch.setattr(module, "ABANDONED", (("copies resumed", lambda _: found.append("resumed")),))
    monkeypatch.setattr(module, "PARTS", (module.PARTS[0], lambda _: found.append("mailed")))

    with Flask("sweep").test_request_context(method="POST"):
        answer = sweep_function(flask_request)

    assert (found, answer[1]) == (done, 200 if done else 503)


def with_switches(known: Switches) -> Any:
    """Return what a sweep of nothing needs."""
    return SimpleNamespace(
        settings=SimpleNamespace(sweep_seconds=1),
        switches=LiveSwitches(SimpleNamespace(get=lambda: known), read_only_mode=False),  # type: ignore[arg-type]
        tracer=Tracer(),
        clock=SimpleNamespace(now=lambda: NOW),
    )
