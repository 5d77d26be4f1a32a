"""What one replica has appears on the other: whole, proved, in any order and number of its events."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from local.api import api_process
from shared.checksums import MIB
from shared.clock import SystemClock
from shared.errors import (
    BundleAlreadyExists,
    CollectionAlreadyExists,
    FileAlreadyExists,
    InvalidChecksum,
    NoRoom,
    NotYetThere,
    StoreError,
    Unprocessable,
)
from shared.faults import FaultPoints
from shared.kinds.bundle import MOST_AWAITED, PLACES
from shared.manifests import encode
from shared.memory_budget import MemoryBudget
from shared.messages import FINALIZED, ObjectEvent
from shared.replication import Replicated, replicate
from shared.system import Dss
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_collection, put_file
from tests.support.batches import put_contents
from tests.support.clouds import Clouds, checksum_metadata
from tests.support.dss import open_dss
from tests.support.replication import (
    DIRECTIONS,
    OTHER,
    deliver_events,
    head_states,
    new_bundle,
    new_file,
    object_event,
    read_manifests,
    read_status,
    remove_relayed,
    replicate_keys,
)

BOTH = (["aws", "gcp"], [])
ALREADY_EXISTS = {
    "files": FileAlreadyExists,
    "bundles": BundleAlreadyExists,
    "collections": CollectionAlreadyExists,
}


@pytest.fixture(scope="module")
def dss(stack: dict[str, str]) -> Iterator[Dss]:
    with open_dss(stack) as system:
        yield system


def delete_object(clouds: Clouds, replica: str, key: str) -> None:
    if replica == "gcp":
        clouds.gcs.bucket(clouds.main["gcp"]).blob(key).delete()
    else:
        clouds.s3.delete_object(Bucket=clouds.main["aws"], Key=key)


def overwrite(clouds: Clouds, replica: str, key: str, data: bytes) -> None:
    """Write what no part of the system ever would."""
    clouds.stage(replica, data, metadata={}, bucket=clouds.main[replica], key=key)


def blob_key(data: bytes) -> str:
    sums = checksum_metadata(data, "")
    return f"blobs/{sums['sha256']}.{sums['sha1']}.{sums['s3_etag']}.{sums['crc32c']}"


@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
def test_a_file_appears_with_its_bytes(dss: Dss, api: Api, clouds: Clouds, here: str, there: str) -> None:
    data = new_uuid().encode() * 1000
    file = new_file(api, clouds, here, data)
    assert read_status(api, "files", file, there) == 404

    done = replicate_keys(dss, here, f"files/{file}")

    assert done == [Replicated(key=f"files/{file}", replica=there, bytes=len(data))]
    answer = api.get(f"/v1/files/{file.uuid}", replica=there, version=file.version)
    assert requests.get(answer.headers["Location"], timeout=60).content == data
    assert clouds.read(there, f"files/{file}") == clouds.read(here, f"files/{file}")
    # What the destination's own event brings about, and the same event once more: nothing.
    assert replicate_keys(dss, there, f"files/{file}") == replicate_keys(dss, here, f"files/{file}") == []


@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
def test_a_bundle_waits_for_its_files(dss: Dss, api: Api, clouds: Clouds, here: str, there: str) -> None:
    files = [new_file(api, clouds, here, new_uuid().encode()) for _ in range(2)]
    bundle = new_bundle(api, here, *files)

    for file in files:
        with pytest.raises(NotYetThere, match="of its files are not on"):
            replicate_keys(dss, here, f"bundles/{bundle}")
        assert clouds.keys(there, f"bundles/{bundle}") == []
        replicate_keys(dss, here, f"files/{file}")
    assert read_status(api, "bundles", bundle, there) == 404
    assert replicate_keys(dss, here, f"bundles/{bundle}") == [
        Replicated(key=f"bundles/{bundle}", replica=there)
    ]

    assert read_status(api, "bundles", bundle, there) == 200
    assert clouds.read(there, f"bundles/{bundle}") == clouds.read(here, f"bundles/{bundle}")


class HeldClock(SystemClock):
    """A clock whose pauses last until `on_pause` has returned, and no longer."""

    def __init__(self, on_pause: Callable[[], object]) -> None:
        self._on_pause = on_pause
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self._on_pause()


@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
def test_a_bundle_that_is_just_before_its_files_waits_for_a_moment(
    dss: Dss, api: Api, clouds: Clouds, here: str, there: str
) -> None:
    files = [new_file(api, clouds, here, new_uuid().encode()) for _ in range(2)]
    bundle = new_bundle(api, here, *files)
    left = list(files)
    clock = HeldClock(lambda: replicate_keys(dss, here, f"files/{left.pop()}"))

    done = replicate_keys(replace(dss, clock=clock), here, f"bundles/{bundle}")

    assert done == [Replicated(key=f"bundles/{bundle}", replica=there)]
    assert len(clock.pauses) == 2
    assert sum(clock.pauses) < 1


def test_a_bundle_that_lacks_many_files_does_not_wait(dss: Dss, api: Api) -> None:
    files = put_contents(api, "gcp", (new_uuid().encode() for _ in range(MOST_AWAITED + 1)))
    bundle, clock = new_bundle(api, "gcp", *files), HeldClock(lambda: None)

    with pytest.raises(NotYetThere):
        replicate_keys(replace(dss, clock=clock), "gcp", f"bundles/{bundle}")
    assert clock.pauses == []

    # One less than that.
    replicate_keys(dss, "gcp", f"files/{files[0]}")
    with pytest.raises(NotYetThere):
        replicate_keys(replace(dss, clock=clock), "gcp", f"bundles/{bundle}")
    assert clock.pauses


def test_few_bundles_of_a_process_wait_for_their_files(dss: Dss, api: Api, clouds: Clouds) -> None:
    file = new_file(api, clouds, "gcp", new_uuid().encode())
    bundles = [new_bundle(api, "gcp", file) for _ in range(PLACES + 2)]
    all_wait, waiting = threading.Event(), []

    def wait() -> None:
        waiting.append(1)
        if len(waiting) == PLACES:
            all_wait.set()
        assert refused.wait(timeout=60)

    refused = threading.Event()
    waiters = replace(dss, clock=HeldClock(wait))
    with ThreadPoolExecutor(PLACES) as threads:
        done = [threads.submit(replicate_keys, waiters, "gcp", f"bundles/{one}") for one in bundles[2:]]
        assert all_wait.wait(timeout=60)
        clock = HeldClock(lambda: None)
        for bundle in bundles[:2]:
            with pytest.raises(NotYetThere):
                replicate_keys(replace(dss, clock=clock), "gcp", f"bundles/{bundle}")
        replicate_keys(dss, "gcp", f"files/{file}")
        refused.set()

    assert clock.pauses == []
    assert [key for one in done for key in one.result()] == [
        Replicated(key=f"bundles/{bundle}", replica="aws") for bundle in bundles[2:]
    ]
    assert replicate_keys(dss, "gcp", f"bundles/{bundles[0]}")


@pytest.mark.parametrize("whole", [True, False], ids=["uuid", "version"])
@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
def test_a_tombstone_waits_for_nothing(
    dss: Dss, admin: Api, clouds: Clouds, here: str, there: str, whole: bool
) -> None:
    file = new_file(admin, clouds, here, b"content")
    bundle = new_bundle(admin, here, file)
    version = None if whole else bundle.version
    name = bundle.uuid if whole else str(bundle)
    path = f"/v1/bundles/{bundle.uuid}"
    assert admin.delete(path, replica=here, version=version, json={"reason": "wrong"}).status_code == 200

    assert replicate_keys(dss, here, f"bundles/{name}.dead") == [
        Replicated(key=f"bundles/{name}.dead", replica=there)
    ]

    assert clouds.read(there, f"bundles/{name}.dead") == clouds.read(here, f"bundles/{name}.dead")
    assert head_states(dss, "bundle_tombstones", name) == {name: (*BOTH, None)}
    # The bundle comes after it, and stays hidden.
    replicate_keys(dss, here, f"files/{file}", f"bundles/{bundle}")
    assert read_status(admin, "bundles", bundle, there) == 404


class Scene:
    """Files, bundles, collections and tombstones, written to both replicas; and all events of them."""

    def __init__(self, api: Api, clouds: Clouds, dss: Dss) -> None:
        first, second = (new_file(api, clouds, "gcp", new_uuid().encode()) for _ in range(2))
        third = new_file(api, clouds, "aws", new_uuid().encode())
        self.files = [str(first), str(second), str(third)]
        kept, hidden = new_bundle(api, "gcp", first, second), new_bundle(api, "gcp", second)
        foreign = new_bundle(api, "aws", third)
        self.bundles = [str(kept), str(hidden), str(foreign)]
        self.hidden = str(hidden)
        answer = api.delete(
            f"/v1/bundles/{hidden.uuid}", replica="gcp", version=hidden.version, json={"reason": "wrong"}
        )
        assert answer.status_code == 200
        inner = put_collection(api, "aws", [foreign.linked("bundle")])
        outer = put_collection(api, "gcp", [first.linked(), kept.linked("bundle")])
        answer = api.delete(f"/v1/collections/{inner.uuid}", replica="aws")
        assert answer.status_code == 200
        self.collections = [str(inner), str(outer)]
        self.deleted = inner.uuid
        self.uuids = [name.uuid for name in (first, second, third, kept, hidden, foreign, inner, outer)]
        self.events = [
            object_event(dss, replica, key)
            for replica, found in read_manifests(clouds, *self.uuids).items()
            for key in found
        ]
        # What replication itself will cause.
        self.events += [object_event(dss, OTHER[event.replica], event.key) for event in self.events]

    def assert_replicated(self, dss: Dss, clouds: Clouds) -> None:
        """Fail unless both replicas have the same, and the catalog knows."""
        found = read_manifests(clouds, *self.uuids)
        assert len(found["gcp"]) == 10
        assert found["gcp"] == found["aws"]
        assert head_states(dss, "files", *self.files) == dict.fromkeys(self.files, (*BOTH, None))
        for name, head in head_states(dss, "bundles", *self.bundles).items():
            assert head == (*BOTH, name == self.hidden)
        assert head_states(dss, "collections", *self.collections) == dict.fromkeys(
            self.collections, (*BOTH, None)
        )
        assert head_states(dss, "collection_tombstones", self.deleted) == {self.deleted: (*BOTH, None)}
        assert head_states(dss, "bundle_tombstones", self.hidden) == {self.hidden: (*BOTH, None)}


@settings(max_examples=5, deadline=None, derandomize=True)
@given(data=st.data())
def test_the_end_is_the_same_in_any_order(dss: Dss, admin: Api, clouds: Clouds, data: st.DataObject) -> None:
    scene = Scene(admin, clouds, dss)
    doubled = data.draw(st.lists(st.sampled_from(scene.events), max_size=6))

    # An event of the other replica may come before there is anything: it waits, as every other one.
    deliver_events(dss, data.draw(st.permutations(scene.events + doubled)))

    scene.assert_replicated(dss, clouds)


def test_the_end_is_the_same_when_all_come_at_once(dss: Dss, admin: Api, clouds: Clouds) -> None:
    scene = Scene(admin, clouds, dss)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda event: deliver_slowly(dss, event), scene.events * 3))

    scene.assert_replicated(dss, clouds)


def deliver_slowly(dss: Dss, event: ObjectEvent) -> None:
    """Deliver an event until it is done, for 30 s at most."""
    for _ in range(300):
        try:
            replicate(dss, event)
            return
        except NotYetThere:
            dss.clock.sleep(0.1)
    raise AssertionError(f"{event} waits for ever")


def test_what_is_none_of_ours_is_left_alone(dss: Dss, api: Api, clouds: Clouds) -> None:
    data = new_uuid().encode()
    file = new_file(api, clouds, "gcp", data)
    key, bucket = f"files/{file}", clouds.main["gcp"]
    for event in (
        object_event(dss, "gcp", blob_key(data)),
        object_event(dss, "gcp", f"files/{file.uuid}"),
        object_event(dss, "gcp", key.upper()),
        object_event(dss, "gcp", "notes/of somebody"),
        ObjectEvent(replica="gcp", bucket=bucket, key=key, event_type="OBJECT_DELETE"),
        ObjectEvent(replica="gcp", bucket=clouds.staging["gcp"], key=key),
        ObjectEvent(replica="aws", bucket=bucket, key=key),
        ObjectEvent(replica="azure", bucket=bucket, key=key, event_type=FINALIZED),
    ):
        assert replicate(dss, event) == []
    assert read_status(api, "files", file, "aws") == 404


@pytest.mark.parametrize("kind", ["file", "bundle", "collection"])
def test_a_writer_killed_before_the_last_step_is_healed_by_the_event(
    stack: dict[str, str], dss: Dss, api: Api, clouds: Clouds, replica: str, kind: str
) -> None:
    there = OTHER[replica]
    file, bundle = Version(new_uuid(), now()), Version(new_uuid(), now())
    source = clouds.stage(replica, b"whole or not at all")
    with api_process(stack, {"DSS_FAULT_POINT": f"{kind}: manifest written"}) as process:
        mortal = Api(process.url, stack["DSS_TOKEN"])
        with pytest.raises(requests.ConnectionError):
            if kind == "file":
                put_file(mortal, source, file=file)
            put_file(api, source, file=file)
            if kind == "bundle":
                put_bundle(mortal, replica, [file.named("a")], bundle=bundle)
            put_collection(mortal, replica, [file.linked()], collection=bundle)
    killed = file if kind == "file" else bundle
    assert read_status(api, f"{kind}s", killed, replica) == 404

    keys = [f"files/{file}"] + ([f"{kind}s/{killed}"] if kind != "file" else [])
    done = replicate_keys(dss, replica, *keys)

    assert {one.replica for one in done if one.key == f"{kind}s/{killed}"} == {replica, there}
    assert [read_status(api, f"{kind}s", killed, name) for name in (replica, there)] == [200, 200]


@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
def test_a_blob_that_is_gone_is_waited_for(dss: Dss, api: Api, clouds: Clouds, here: str, there: str) -> None:
    data = new_uuid().encode()
    file = new_file(api, clouds, here, data)
    remove_relayed(clouds, there, blob_key(data))
    delete_object(clouds, here, blob_key(data))

    with pytest.raises(NotYetThere, match="has lost its blob"):
        replicate_keys(dss, here, f"files/{file}")

    assert clouds.keys(there, f"files/{file}") == []
    assert read_status(api, "files", file, there) == 404


@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
def test_a_blob_that_has_rotted_is_never_available_elsewhere(
    dss: Dss, api: Api, clouds: Clouds, here: str, there: str
) -> None:
    data = new_uuid().encode()
    file = new_file(api, clouds, here, data)
    remove_relayed(clouds, there, blob_key(data))
    delete_object(clouds, here, blob_key(data))
    overwrite(clouds, here, blob_key(data), data[::-1])

    with pytest.raises(InvalidChecksum):
        replicate_keys(dss, here, f"files/{file}")

    assert clouds.keys(there, f"files/{file}") == clouds.keys(there, blob_key(data)) == []
    assert read_status(api, "files", file, there) == 404


@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
def test_a_file_is_not_restored_from_a_wrong_blob(
    dss: Dss, api: Api, clouds: Clouds, here: str, there: str
) -> None:
    data = new_uuid().encode()
    file = new_file(api, clouds, here, data)
    remove_relayed(clouds, there, blob_key(data))
    overwrite(clouds, there, f"files/{file}", clouds.read(here, f"files/{file}"))

    with pytest.raises(NotYetThere, match="no blob"):
        replicate_keys(dss, there, f"files/{file}")
    overwrite(clouds, there, blob_key(data), data[::-1])
    with pytest.raises(InvalidChecksum):
        replicate_keys(dss, there, f"files/{file}")
    assert read_status(api, "files", file, there) == 404

    # The copy replaces what proves wrong.
    replicate_keys(dss, here, f"files/{file}")
    assert clouds.read(there, blob_key(data)) == data
    assert read_status(api, "files", file, there) == 200


@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
@pytest.mark.parametrize("kind", ["files", "bundles", "collections"])
def test_a_manifest_of_somebody_else_is_in_the_way_and_never_served(
    dss: Dss, api: Api, clouds: Clouds, here: str, there: str, kind: str
) -> None:
    file = new_file(api, clouds, here, b"content")
    bundle = new_bundle(api, here, file)
    replicate_keys(dss, here, *([] if kind == "files" else [f"files/{file}"]))
    collection = put_collection(api, here, [file.linked()], details={"creator_uid": 5})
    name = {"files": file, "bundles": bundle, "collections": collection}[kind]
    manifest = json.loads(clouds.read(here, f"{kind}/{name}"))
    changed = {"details": {}} if kind == "collections" else {"creator_uid": 666}
    overwrite(clouds, there, f"{kind}/{name}", encode({**manifest, **changed}))

    with pytest.raises(StoreError, match="differs from what the catalog says"):
        replicate_keys(dss, here, f"{kind}/{name}")
    with pytest.raises(ALREADY_EXISTS[kind]):
        replicate_keys(dss, there, f"{kind}/{name}")

    assert read_status(api, kind, name, there) == 404


@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
def test_a_bundle_manifest_that_was_changed_is_not_passed_on(
    dss: Dss, api: Api, clouds: Clouds, here: str, there: str
) -> None:
    bundle = new_bundle(api, here)
    manifest = json.loads(clouds.read(here, f"bundles/{bundle}"))
    overwrite(clouds, here, f"bundles/{bundle}", json.dumps({**manifest, "creator_uid": 666}).encode())

    with pytest.raises(InvalidChecksum, match="other content than the catalog says"):
        replicate_keys(dss, here, f"bundles/{bundle}")

    assert clouds.keys(there, f"bundles/{bundle}") == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b'{"files": 5, "creator_uid": 1}'])
def test_what_is_no_manifest_is_named(dss: Dss, clouds: Clouds, replica: str, content: bytes) -> None:
    for key in (
        f"files/{new_uuid()}.{now()}",
        f"bundles/{new_uuid()}.{now()}",
        f"bundles/{new_uuid()}.dead",
        f"collections/{new_uuid()}.{now()}",
        f"collections/{new_uuid()}.dead",
    ):
        overwrite(clouds, replica, key, content)
        with pytest.raises(Unprocessable, match=key):
            replicate_keys(dss, replica, key)


def test_the_event_of_a_copy_that_is_being_made_is_left_to_its_maker(
    dss: Dss, api: Api, clouds: Clouds
) -> None:
    late = new_file(api, clouds, "gcp", new_uuid().encode())
    seen: list[list[Replicated]] = []

    class Watching(FaultPoints):
        """Fault points that deliver the event of the copy while it is being made."""

        def reach(self, point: str) -> None:
            if point == "replication: file manifest written":
                seen.append(replicate_keys(dss, "aws", f"files/{late}"))

    watched = replace(dss, faults=Watching(""))
    vars(watched)["arriving"] = dss.arriving

    done = replicate_keys(watched, "gcp", f"files/{late}")

    assert seen == [[]]
    assert [(one.key, one.replica, one.bytes) for one in done] == [(f"files/{late}", "aws", 36)]
    assert dss.arriving == set()


def test_content_for_which_there_is_no_room_stays_where_it_is(dss: Dss, api: Api, clouds: Clouds) -> None:
    crowded = replace(dss)
    vars(crowded)["copy_memory"] = MemoryBudget(MIB, patience=0.01)
    file = new_file(api, clouds, "gcp", new_uuid().encode())

    with crowded.copy_memory.reserve(MIB), pytest.raises(NoRoom):
        replicate_keys(crowded, "gcp", f"files/{file}")
    assert read_status(api, "files", file, "aws") == 404

    replicate_keys(crowded, "gcp", f"files/{file}")
    assert read_status(api, "files", file, "aws") == 200
